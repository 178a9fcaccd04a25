"""The dials in docs/dials.md and in the help pages are what their declaration and the nodes say."""

import json
from dataclasses import fields
from pathlib import Path

from scripts.dial_tables import PLACE, ROOT, pages, with_dials
from stylus_ops.dials import DIALS, Dial
from stylus_ops.pipeline.settings import Settings

SCHEMAS = json.loads((ROOT / "tests" / "integration" / "schemas.json").read_text(encoding="utf-8"))


def dials_of(page: Path) -> list[Dial]:
    names = [name for place in PLACE.finditer(page.read_text(encoding="utf-8")) for name in place[2].split()]
    return [DIALS[name] for name in names]


def test_pages_are_up_to_date() -> None:
    for page, form in pages():
        text = page.read_text(encoding="utf-8")
        assert text == with_dials(text, form), "python -m scripts.dial_tables writes them"


def test_the_table_has_every_dial_of_the_command_line_once() -> None:
    shown = [dial.name for dial in dials_of(ROOT / "docs" / "dials.md")]
    assert sorted(shown) == sorted(field.name for field in fields(Settings))


def test_a_help_page_has_every_dial_of_its_node_with_the_nodes_default() -> None:
    for node, schema in SCHEMAS.items():
        defaults = {name.split()[0]: kept["default"] for name, kept in schema["inputs"].items() if "default" in kept}
        shown = {dial.name: dial.default for dial in dials_of(ROOT / "web" / "docs" / f"{node}.md")}
        assert shown == {name: default for name, default in defaults.items() if name in DIALS}
