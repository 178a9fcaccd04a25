"""Tables of a page written from results."""

from pathlib import Path

import pytest

from training.truth_table import COLUMNS, replaced, table

PAGE = "before\n<!-- truth dev -->\nold\n<!-- end -->\nbetween\n<!-- truth test -->\nkept\n<!-- end -->\nafter\n"


def test_a_table_replaces_its_own_place_alone():
    page = replaced(PAGE, "dev", "new\ntable")
    assert page == PAGE.replace("old", "new\ntable")
    assert replaced(page, "dev", "old") == PAGE
    with pytest.raises(ValueError, match="truth other"):
        replaced(PAGE, "other", "new")


def test_cells_are_medians_with_intervals_and_a_dash_where_nothing_was_measured(tmp_path: Path):
    names = list(COLUMNS)
    lines = [",".join(["pair", "method", *names])]
    for number in range(5):
        lines.append(",".join([f"p{number}", "stylus", *(str(number / 10) for _ in names[:-1]), ""]))
        lines.append(",".join([f"p{number}", "eq-match", *("0.15" for _ in names)]))
    (tmp_path / "results.csv").write_text("\n".join(lines) + "\n")
    header, _, row, other = table(tmp_path).splitlines()
    assert header == f"| method | {' | '.join(COLUMNS.values())} | nearer than EQ-match |"
    cells = row.strip("| ").split(" | ")
    assert cells[:2] == ["stylus", "0.20 [0.00, 0.40]"]
    assert cells[2] == "0.2 [0.0, 0.4]"
    assert cells[-2:] == ["-", "2 of 5"]
    assert other.endswith(" | - |")
