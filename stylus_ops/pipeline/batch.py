"""Many transfers from a table, one a row: resumable, and shared among processes. A bad row never stops the others."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tqdm import tqdm

from ..output_files import check_writable, write_atomically
from .folders import make_folder
from .settings import Settings
from .share import Share, claim_of, claimed
from .table import read_table
from .transfer import check_paths, transfer_files

if TYPE_CHECKING:
    from ..engine.engine import Engine

FILE_COLUMNS = ("content", "style", "mask", "out")


class Row(NamedTuple):
    """One transfer of the table."""

    line: int
    """Of the manifest, its first being 1."""
    content: Path
    style: Path
    output: Path
    settings: Settings
    folder: Path
    """The manifest's; reports hold paths from here."""
    mask: Path | None = None
    """An image that says where the style is applied; None for everywhere."""

    @property
    def report(self) -> Path:
        return self.output.with_name(self.output.name + ".json")

    def relative(self, path: Path) -> str:
        """From the manifest's folder, so that all may move together; on another drive of Windows as it is."""
        try:
            return Path(os.path.relpath(path, self.folder)).as_posix()
        except ValueError:
            return path.as_posix()


class Failure(NamedTuple):
    line: int
    output: str
    error: str


class Manifest(NamedTuple):
    rows: list[Row]
    refused: list[Failure]
    """Rows that can't be run, as is known beforehand."""


def read_manifest(manifest: Path, out: Path, settings: Settings) -> Manifest:
    """The rows of a CSV file with the columns content and style and optionally mask, out and any setting.

    Recordings and masks are looked for from the manifest's folder. A row without out is called after its recordings; an empty
    setting is that of `settings`.

    Raises:
        ValueError: no such table; the folder of the results can't be made; or, naming the lines, two rows that write one file,
            or one that writes what another reads.
    """
    known = (*FILE_COLUMNS, *(field.name for field in fields(Settings)))
    cells = read_table("manifest", manifest, ("content", "style"), known)
    make_folder(out)
    rows: dict[Path, Row] = {}
    refused = []
    for line, values in cells:
        try:
            row = _row(line, values, manifest.parent, out, settings)
        except (ValueError, OSError) as error:
            refused.append(Failure(line, values.get("out", ""), str(error)))
            continue
        if earlier := rows.get(row.output):
            raise ValueError(
                f"manifest {manifest}: lines {earlier.line} and {line} both write {row.output.name}: "
                "tell them apart in a column named out"
            )
        rows[row.output] = row
    readers = {
        identity: (kind, line)
        for line, values in cells
        for name, kind in (("content", "recording"), ("style", "recording"), ("mask", "mask"))
        if values.get(name) and (identity := _identity(manifest.parent / values[name]))
    }
    for row in rows.values():
        for target in (row.output, row.report):
            if (identity := _identity(target)) and (reader := readers.get(identity)):
                kind, line = reader
                raise ValueError(
                    f"manifest {manifest}, line {row.line}: out {target} is a {kind} that line {line} reads: "
                    "choose another name"
                )
    for row in [*rows.values()]:
        # In this order: a process that has let go of its claim has written its report.
        if row.output.exists() and not claim_of(row.output).exists() and not row.report.exists():
            told = f"out {row.output} exists and no batch made it: choose another name, or move it away"
            refused.append(Failure(row.line, str(row.output), told))
            del rows[row.output]
    return Manifest(list(rows.values()), refused)


def _identity(path: Path) -> tuple[int, int] | None:
    """The same for all names of one file; None where there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _row(line: int, values: Mapping[str, str], folder: Path, out: Path, settings: Settings) -> Row:
    if not (values["content"] and values["style"]):
        raise ValueError("content or style is empty: name a recording")
    content, style = (folder / values[name] for name in ("content", "style"))
    output = (out / (values.get("out") or f"{content.stem}--{style.stem}.flac")).resolve()
    if not output.is_relative_to(out.resolve()):
        raise ValueError(f"out is {values['out']!r}, which leaves the output folder: name a file inside it")
    if not output.parent.is_dir():  # one that is there is tried below, with the name in it
        make_folder(output.parent)
    own = {name: text for name, text in values.items() if text and name not in FILE_COLUMNS}
    mask = folder / values["mask"] if values.get("mask") else None
    row = Row(line, content, style, output, settings.changed(own), folder, mask)
    check_paths(row.content, [row.style], row.output, mask=mask)
    check_writable("report", row.report, (".json",))
    return row


def is_finished(row: Row, model: str, weights: str = "", source: Mapping[str, Any] | None = None) -> bool:
    """Whether an earlier run has written this row with these settings and this model.

    Args:
        model: its name.
        weights: digest of its weights; empty where it isn't loaded.
        source: size and time stamp of the weight files, as passed to `run_rows`; if equal, the digest is not needed.
    """
    report = read_report(row.report)
    request = report.get("request")
    if not isinstance(request, dict) or not row.output.is_file():
        return False
    if request != _request(row, model, request.get("weights")):
        return False
    return bool(weights and request["weights"] == weights) or bool(source and report.get("source") == source)


def run_rows(
    engine: Engine, rows: Sequence[Row], share: Share, quiet: bool = False, source: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Run this process's share of the rows, but for those that other processes are working on; returns `summary_of` it.

    Every row leaves its sound and, beside it, its report; finished rows are skipped.

    Args:
        source: what the model's weights are read from, kept in the reports for `is_finished`.
    """
    weights = engine.model.digest()
    written: list[Row] = []
    skipped: list[Row] = []
    failed: list[Failure] = []
    waiting = share_of(rows, share)
    with tqdm(total=len(waiting), desc="rows", file=sys.stderr, disable=quiet) as bar:
        while True:
            elsewhere = []
            for row in waiting:
                bar.set_postfix_str(row.output.name)
                try:
                    done = is_finished(row, engine.name, weights, source)
                    if not done:
                        with claimed(row.output) as mine:
                            if not mine:
                                elsewhere.append(row)
                                continue
                            done = is_finished(row, engine.name, weights, source)  # by another process just now
                            if not done:
                                _run(engine, row, weights, source)
                    (skipped if done else written).append(row)
                except Exception as error:
                    failed.append(Failure(row.line, str(row.output), in_words(error)))
                bar.update()
            if len(elsewhere) == len(waiting):
                break
            waiting = elsewhere  # their processes may have been killed meanwhile
    return summary_of(share, written, skipped, elsewhere, failed)


def summary_of(
    share: Share,
    written: Sequence[Row] = (),
    skipped: Sequence[Row] = (),
    elsewhere: Sequence[Row] = (),
    failed: Sequence[Failure] = (),
) -> dict[str, Any]:
    """What became of this process's rows, for JSON; `elsewhere` are those that other processes are still working on."""
    groups = {"written": written, "skipped": skipped, "elsewhere": elsewhere}
    return {
        "process": share.process,
        "processes": share.processes,
        **{name: [str(row.output) for row in rows] for name, rows in groups.items()},
        "failed": [failure._asdict() for failure in failed],
    }


def counts_of(summary: Mapping[str, Any]) -> str:
    """A summary in a line, as in "3 written, 1 failed"."""
    words = {"written": "written", "skipped": "done before", "elsewhere": "left to another process", "failed": "failed"}
    return ", ".join(f"{len(summary[group])} {word}" for group, word in words.items() if summary[group]) or "no rows"


def share_of(rows: Sequence[Row], share: Share) -> Sequence[Row]:
    return rows[share.process :: share.processes]


def _run(engine: Engine, row: Row, weights: str, source: Mapping[str, Any] | None) -> None:
    report = transfer_files(engine, row.content, [row.style], [], row.output, row.settings, quiet=True, mask=row.mask)
    paths = {
        "content": row.relative(row.content),
        "styles": [{"path": row.relative(row.style), "weight": 1.0}],
        "output": row.relative(row.output),
        "mask": row.mask and row.relative(row.mask),
    }
    request = _request(row, engine.name, weights)
    write_report(row.report, {"request": request, "source": source, **report, **paths})


def in_words(error: Exception) -> str:
    """An error in one line: as it is if the user can mend it, led by its kind if the program is at fault."""
    text = " ".join(str(error).split())
    return text if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: {text}"


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    text = json.dumps(report, indent=2)
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def read_report(path: Path) -> dict[str, Any]:
    """What an earlier run has written there; empty where the file is missing, damaged or no report."""
    try:
        report = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return report if isinstance(report, dict) else {}


def _request(row: Row, model: str, weights: Any) -> dict[str, Any]:
    return {
        "content": row.relative(row.content),
        "style": row.relative(row.style),
        **({"mask": row.relative(row.mask)} if row.mask else {}),
        "model": model,
        "weights": weights,
        "settings": asdict(row.settings),
    }
