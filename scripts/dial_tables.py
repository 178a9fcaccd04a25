"""Write the tables of dials in README.md and web/docs from their one home, stylus_ops/dials.py.

python -m scripts.dial_tables    # in the repository's root

A table stands between `<!-- dials: alpha gamma -->` and `<!-- /dials -->`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from stylus_ops import dials

ROOT = Path(__file__).parents[1]
TABLE = re.compile(r"(<!-- dials: ([\w ]+) -->\n).*?(<!-- /dials -->)", re.DOTALL)
HEAD = "| dial | default | values | what it does to the sound |\n|---|---|---|---|\n"


def with_tables(text: str) -> str:
    """The page with every table of dials as it should be."""
    return TABLE.sub(lambda match: f"{match[1]}\n{HEAD}{_rows(match[2].split())}\n{match[3]}", text)


def _rows(names: list[str]) -> str:
    chosen: list[dials.Dial] = [getattr(dials, name.upper()) for name in names]
    return "".join(f"| {dial.name} | {dial.default} | {dial.allowed} | {dial.text} |\n" for dial in chosen)


def pages() -> Iterator[Path]:
    yield ROOT / "README.md"
    yield from sorted((ROOT / "web" / "docs").rglob("*.md"))


def main() -> None:
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if (new := with_tables(text)) != text:
            page.write_text(new, encoding="utf-8")
            print(f"wrote {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
