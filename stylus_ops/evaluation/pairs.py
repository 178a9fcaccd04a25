"""The pairs of recordings that are evaluated."""

from __future__ import annotations

from collections import Counter
from itertools import product
from pathlib import Path
from typing import NamedTuple

from ..pipeline.table import read_table
from ..pipeline.transfer import AUDIO_SUFFIXES

COLUMNS = ("content", "style", "truth", "monophonic")
TRUE, FALSE = ("yes", "true", "1"), ("", "no", "false", "0")
RECORDINGS = (*AUDIO_SUFFIXES, ".ogg", ".m4a")


class Pair(NamedTuple):
    name: str
    content: Path
    style: Path
    monophonic: bool = False  # whether the content is one voice, whose pitch can be followed
    truth: Path | None = None
    """The content's notes, really played on the style's instrument, and cut where the content is."""


def read_pairs(table: Path) -> tuple[list[Pair], list[str]]:
    """The rows of a CSV file with the columns content and style and optionally truth and monophonic (yes or no), and a
    sentence for each row that is no pair. Recordings are looked for from the table's folder.

    Raises ValueError if the table can't be read, has other columns, no row that is a pair, or two pairs of one name.
    """
    pairs, refused = [], []
    for line, cells in read_table("pairs", table, COLUMNS[:2], COLUMNS):
        try:
            pairs.append(_pair(table.parent, cells))
        except (ValueError, OSError) as error:
            refused.append(f"pairs {table}, line {line}: {error}")
    if refused and not pairs:
        raise ValueError("; ".join(refused))
    return _distinct(pairs, f"pairs {table}"), refused


def _pair(folder: Path, cells: dict[str, str]) -> Pair:
    monophonic = cells.get("monophonic", "").lower()
    if monophonic not in TRUE + FALSE:
        raise ValueError(f"monophonic is {monophonic!r}: write yes or no")
    if not (cells["content"] and cells["style"]):
        raise ValueError("content or style is empty: name a recording")
    paths = {name: folder / cells[name] for name in COLUMNS[:3] if cells.get(name)}
    for path in paths.values():
        if not path.is_file():
            raise ValueError(f"recording {path} does not exist: check its name and folder")
    return Pair(f"{paths['content'].stem}--{paths['style'].stem}", **paths, monophonic=monophonic in TRUE)


def every_pair(contents: Path, styles: Path) -> list[Pair]:
    """Each recording of one folder with each of another; ValueError if one is empty, or two pairs have one name."""
    crossed = product(_recordings(contents), _recordings(styles))
    pairs = [Pair(f"{content.stem}--{style.stem}", content, style) for content, style in crossed]
    return _distinct(pairs, f"folders {contents} and {styles}")


def _recordings(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in RECORDINGS and path.is_file())
    if not found:
        raise ValueError(f"folder {folder} holds no recordings: give one with {', '.join(RECORDINGS)} files")
    return found


def _distinct(pairs: list[Pair], where: str) -> list[Pair]:
    if not pairs:
        raise ValueError(f"{where}: no pairs: add a line for each")
    name, count = Counter(pair.name for pair in pairs).most_common(1)[0]
    if count > 1:
        raise ValueError(f"{where}: two pairs are called {name}: give each recording a file name of its own")
    return pairs
