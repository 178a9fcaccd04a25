"""A table of text: the rows of a CSV file by the names of their columns."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path


def read_table(kind: str, path: Path, needed: Sequence[str], known: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Line numbers, the first being 1, and the text in each column, without the space around it.

    Commas or semicolons separate columns; a row of empty cells is left out. Names of columns are read with or without
    space around them and with `-` for `_`; columns without a name are left out. Messages call the table its `kind`.

    Raises ValueError if it does not exist, is no text in UTF-8, lacks a `needed` column or has another than the
    `known` ones.
    """
    if not path.is_file():
        raise ValueError(f"{kind} {path} does not exist: check its name and folder")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            separator = ";" if ";" in file.readline() else ","  # the one of spreadsheets where a comma is decimal
            file.seek(0)
            table = csv.DictReader(file, delimiter=separator)
            names = table.fieldnames or ()
            records = [(table.line_num, record) for record in table]
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{kind} {path} is no table of text ({error}): save it as CSV in UTF-8") from error
    columns = {name: column for column in names if (name := column.strip().replace("-", "_"))}
    if unknown := columns.keys() - set(known):
        raise ValueError(f"{kind} {path} has unknown columns {', '.join(sorted(unknown))}: use {', '.join(known)}")
    if missing := set(needed) - columns.keys():
        raise ValueError(f"{kind} {path} has no column {', '.join(sorted(missing))}: name it in the first line")
    rows = [(line, {name: (row[column] or "").strip() for name, column in columns.items()}) for line, row in records]
    return [(line, row) for line, row in rows if any(row.values())]
