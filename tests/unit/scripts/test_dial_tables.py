"""Every dial is in docs/dials.md, and the pages say of dials what their declaration and the nodes say."""

import json
from pathlib import Path

import pytest

from scripts.dial_tables import PLACE, ROOT, Form, bullets, named, pages, table, with_dials
from stylus_ops.dials import DIALS, Dial
from stylus_ops.dials import dials_of as dials_in
from stylus_ops.pipeline.settings import Settings

SCHEMAS = json.loads((ROOT / "tests" / "integration" / "schemas.json").read_text(encoding="utf-8"))
NODE_DEFAULTS = {
    node: {name.split()[0]: kept["default"] for name, kept in schema["inputs"].items() if "default" in kept}
    for node, schema in SCHEMAS.items()
}


def dials_of(page: Path) -> list[Dial]:
    return [dial for place in PLACE.finditer(page.read_text(encoding="utf-8")) for dial in named(place[2])]


@pytest.mark.parametrize(("page", "form"), list(pages()), ids=lambda given: getattr(given, "stem", None))
def test_dials_are_up_to_date(page: Path, form: Form) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == with_dials(text, form), "python -m scripts.dial_tables writes them"


def test_the_page_has_every_dial_of_the_command_line_once() -> None:
    shown = sorted(dial.name for dial in dials_of(ROOT / "docs" / "dials.md"))
    assert shown == sorted(dial.name for dial in dials_in(Settings))


def test_every_dial_is_in_a_page() -> None:
    shown = {dial.name for page, _ in pages() for dial in dials_of(page)}
    assert shown == set(DIALS)


@pytest.mark.parametrize("node", NODE_DEFAULTS)
def test_a_help_page_has_every_dial_of_its_node_with_the_nodes_default(node: str) -> None:
    shown = {dial.name: dial.default for dial in dials_of(ROOT / "web" / "docs" / f"{node}.md")}
    assert shown == {name: default for name, default in NODE_DEFAULTS[node].items() if name in DIALS}


def test_stale_dials_are_rewritten_and_the_rest_is_left() -> None:
    page = "before\n<!-- dials: alpha -->\nold\n<!-- /dials -->\nafter\n"
    new = with_dials(page, table)
    assert new.startswith("before\n<!-- dials: alpha -->\n\n| dial |")
    assert "| alpha | 0.9 | 0 to 2 | How much style." in new
    assert new.endswith("|\n\n<!-- /dials -->\nafter\n")
    assert with_dials(new, table) == new


def test_a_help_page_lists_them() -> None:
    page = with_dials("<!-- dials: tone preset -->\n<!-- /dials -->\n", bullets)
    assert "- **tone** (0 to 1; default 0.0)<br>How far" in page
    assert "- **preset** (auto, sd-512, tiny-256; default auto)<br>Geometry" in page
