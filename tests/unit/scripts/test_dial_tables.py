"""Every dial is in the README, and the tables of README and help pages say what the dials' home says."""

from pathlib import Path

import pytest

from scripts.dial_tables import TABLE, pages, with_tables
from stylus_ops import dials
from stylus_ops.dials import DIALS, Dial


@pytest.mark.parametrize("page", list(pages()), ids=lambda page: page.stem)
def test_tables_are_up_to_date(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == with_tables(text), "python -m scripts.dial_tables writes them"


def test_readme_has_every_dial_of_the_command_line_once() -> None:
    readme = next(pages()).read_text(encoding="utf-8")
    named = [name for match in TABLE.finditer(readme) for name in match[2].split()]
    assert sorted(named) == sorted(DIALS)


def test_every_dial_is_in_a_table() -> None:
    named = {name for page in pages() for match in TABLE.finditer(page.read_text("utf-8")) for name in match[2].split()}
    assert named == {dial.name for dial in vars(dials).values() if isinstance(dial, Dial)}


def test_a_stale_table_is_rewritten_and_the_rest_is_left() -> None:
    page = "before\n<!-- dials: alpha -->\nold\n<!-- /dials -->\nafter\n"
    new = with_tables(page)
    assert new.startswith("before\n<!-- dials: alpha -->\n\n| dial |")
    assert "| alpha | 0.9 | 0 to 2 | How much style." in new
    assert new.endswith("|\n\n<!-- /dials -->\nafter\n")
    assert with_tables(new) == new
