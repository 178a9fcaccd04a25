"""The pairs of recordings that are evaluated."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ..audio.write import FORMATS
from ..pipeline.table import read_table

COLUMNS = ("content", "style", "truth", "monophonic")
TRUE, FALSE = ("yes", "true", "1"), ("", "no", "false", "0")


class Pair(NamedTuple):
    """A content and a style."""

    name: str
    content: Path
    style: Path
    monophonic: bool
    """Whether the content is one voice, whose pitch can be followed."""
    truth: Path | None = None
    """The content's notes, really played on the style's instrument, and cut where the content is."""


def read_pairs(table: Path) -> tuple[list[Pair], list[str]]:
    """The rows of a CSV file with the columns content and style and optionally truth and monophonic (yes or no), and a sentence
    for each row that is no pair.

    Recordings are looked for from the table's folder.

    Raises:
        ValueError: the table does not exist or can't be read, has other columns, no row that is a pair, or two pairs of one name.
    """
    pairs, refused = [], []
    for line, cells in read_table("pairs", table, COLUMNS[:2], COLUMNS):
        try:
            monophonic = cells.get("monophonic", "").lower()
            if monophonic not in TRUE + FALSE:
                raise ValueError(f"monophonic is {monophonic!r}: write yes or no")
            if not (cells["content"] and cells["style"]):
                raise ValueError("content or style is empty: name a recording")
            content, style = (table.parent / cells[name] for name in ("content", "style"))
            truth = table.parent / cells["truth"] if cells.get("truth") else None
            pairs.append(_pair(content, style, monophonic in TRUE, truth))
        except (ValueError, OSError) as error:
            refused.append(f"pairs {table}, line {line}: {error}")
    if refused and not pairs:
        raise ValueError("; ".join(refused))
    return _distinct(pairs, f"pairs {table}"), refused


def every_pair(contents: Path, styles: Path) -> list[Pair]:
    """Each recording of one folder with each of another.

    Raises:
        ValueError: a folder has no recordings, or two pairs have one name.
    """
    pairs = [_pair(content, style, False) for content in _recordings(contents) for style in _recordings(styles)]
    return _distinct(pairs, f"folders {contents} and {styles}")


def _pair(content: Path, style: Path, monophonic: bool, truth: Path | None = None) -> Pair:
    for recording in (content, style, *filter(None, [truth])):
        if not recording.is_file():
            raise ValueError(f"recording {recording} does not exist: check its name and folder")
    return Pair(f"{content.stem}--{style.stem}", content, style, monophonic, truth)


def _recordings(folder: Path) -> list[Path]:
    suffixes = (*(f".{name}" for name in FORMATS), ".ogg", ".m4a")
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in suffixes)
    if not found:
        raise ValueError(f"folder {folder} holds no recordings: give one with {', '.join(suffixes)} files")
    return found


def _distinct(pairs: list[Pair], where: str) -> list[Pair]:
    names = [pair.name for pair in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{where}: two pairs are called {name}: give each recording a file name of its own")
    if not pairs:
        raise ValueError(f"{where}: no pairs: add a line for each")
    return pairs
