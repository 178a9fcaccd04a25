"""Write the dials in docs/dials.md and web/docs from their declaration, stylus_ops/dials.py.

python -m scripts.dial_tables    # in the repository's root

They stand between `<!-- dials: alpha tone -->` and `<!-- /dials -->`: in docs/dials.md as a table, in the help pages as a list, since
ComfyUI shows those in a panel too narrow for four columns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from stylus_ops.dials import DIALS, Dial

ROOT = Path(__file__).parents[1]
PLACE = re.compile(r"(<!-- dials: ([\w ]+) -->\n).*?(<!-- /dials -->)", re.DOTALL)
HEAD = "| dial | default | values | what it does to the sound |\n|---|---|---|---|\n"
Form = Callable[[list[Dial]], str]


def table(chosen: list[Dial]) -> str:
    return HEAD + "".join(f"| {dial.name} | {dial.default} | {dial.allowed} | {dial.text} |\n" for dial in chosen)


def bullets(chosen: list[Dial]) -> str:
    return "".join(f"- **{dial.name}** ({dial.allowed}; default {dial.default})<br>{dial.text}\n" for dial in chosen)


def with_dials(text: str, form: Form) -> str:
    return PLACE.sub(lambda place: f"{place[1]}\n{form([DIALS[name] for name in place[2].split()])}\n{place[3]}", text)


def pages() -> Iterator[tuple[Path, Form]]:
    yield ROOT / "docs" / "dials.md", table
    for page in sorted((ROOT / "web" / "docs").rglob("*.md")):
        yield page, bullets


def main() -> None:
    for page, form in pages():
        text = page.read_text(encoding="utf-8")
        if (new := with_dials(text, form)) != text:
            page.write_text(new, encoding="utf-8")
            print(f"wrote {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
