"""Many transfers from a table, one a row: resumable, and shared out among processes."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from ..engine.engine import Engine
from ..output_files import write_atomically
from .settings import Settings
from .share import Share
from .transfer import check_paths, transfer_files

FILE_COLUMNS = ("content", "style", "out")


class Row(NamedTuple):
    line: int
    content: Path
    style: Path
    output: Path
    settings: Settings

    @property
    def report(self) -> Path:
        return self.output.with_name(self.output.name + ".json")


def read_manifest(manifest: Path, out: Path, settings: Settings) -> list[Row]:
    """The rows of a CSV file with the columns content, style, and, as wished, out and any setting.

    Recordings are looked for from the manifest's folder. A row without out is called after its recordings; an empty setting
    is that of `settings`.

    Raises:
        ValueError: naming the line, if any row can't be run.
    """
    if not manifest.is_file():
        raise ValueError(f"manifest {manifest} does not exist: check its name and folder")
    with manifest.open(newline="", encoding="utf-8-sig") as file:
        table = csv.DictReader(file)
        columns = {column.strip().replace("-", "_"): column for column in table.fieldnames or ()}
        known = (*FILE_COLUMNS, *(field.name for field in fields(Settings)))
        if unknown := columns.keys() - known:
            raise ValueError(
                f"manifest {manifest} has unknown columns {', '.join(sorted(unknown))}: use {', '.join(known)}"
            )
        if missing := {"content", "style"} - columns.keys():
            raise ValueError(
                f"manifest {manifest} has no column {', '.join(sorted(missing))}: name it in the first line"
            )
        cells = [
            (table.line_num, {name: (record[column] or "").strip() for name, column in columns.items()})
            for record in table
        ]
    out.mkdir(parents=True, exist_ok=True)
    rows: dict[Path, Row] = {}
    for line, values in cells:
        try:
            row = _row(line, values, manifest.parent, out, settings)
            check_paths(row.content, [row.style], row.output)
        except (ValueError, OSError) as error:
            raise ValueError(f"manifest {manifest}, line {line}: {error}") from error
        if earlier := rows.get(row.output):
            raise ValueError(
                f"manifest {manifest}: lines {earlier.line} and {line} both write {row.output.name}; "
                "tell them apart in a column named out"
            )
        rows[row.output] = row
    _check_recordings_are_kept(manifest, list(rows.values()))
    return list(rows.values())


def _check_recordings_are_kept(manifest: Path, rows: Sequence[Row]) -> None:
    """Raises ValueError when a row would write what any row reads, under whatever name or link."""
    readers = {_identity(recording): row for row in rows for recording in (row.content, row.style)}
    for row in rows:
        for target in (row.output, row.report):
            if target.exists() and (reader := readers.get(_identity(target))):
                raise ValueError(
                    f"manifest {manifest}, line {row.line}: out {target} is a recording that line {reader.line} reads: "
                    "choose another name"
                )


def _identity(path: Path) -> tuple[int, int]:
    """The same for all names of one file."""
    status = path.stat()
    return status.st_dev, status.st_ino


def _row(line: int, values: Mapping[str, str], folder: Path, out: Path, settings: Settings) -> Row:
    if not (values["content"] and values["style"]):
        raise ValueError("content or style is empty: name a recording")
    content, style = (folder / values[name] for name in ("content", "style"))
    output = (out / (values.get("out") or f"{content.stem}--{style.stem}.flac")).resolve()
    if not output.is_relative_to(out.resolve()):
        raise ValueError(f"out is {values['out']!r}, which leaves the output folder: name a file inside it")
    output.parent.mkdir(parents=True, exist_ok=True)
    own = {name: text for name, text in values.items() if text and name not in FILE_COLUMNS}
    return Row(line, content, style, output, settings.changed(own))


def is_finished(row: Row, model: str, weights: str) -> bool:
    """Whether an earlier run has written this row with these settings and the model of this name and digest."""
    if not (row.output.is_file() and row.report.is_file()):
        return False
    report = json.loads(row.report.read_text(encoding="utf-8"))
    return report["request"] == _request(row, model, weights)


def run_rows(engine: Engine, rows: Sequence[Row], share: Share, quiet: bool = False) -> dict[str, Any]:
    """Run this process's share of the rows; a recording that can't be transferred does not stop the others.

    Every row leaves its sound and, beside it, its report; finished rows are skipped.
    """
    weights = engine.model.digest()
    summary: dict[str, Any] = {
        "process": share.process,
        "processes": share.processes,
        "written": [],
        "skipped": [],
        "failed": [],
    }
    with tqdm(rows[share.process :: share.processes], desc="rows", file=sys.stderr, disable=quiet) as bar:
        for row in bar:
            bar.set_postfix_str(row.output.name)
            if is_finished(row, engine.name, weights):
                summary["skipped"].append(str(row.output))
                continue
            try:
                report = transfer_files(engine, row.content, [row.style], [], row.output, row.settings, quiet=True)
            except (ValueError, OSError) as error:
                summary["failed"].append({"line": row.line, "output": str(row.output), "error": str(error)})
                continue
            write_report(row.report, {"request": _request(row, engine.name, weights), **report})
            summary["written"].append(str(row.output))
    return summary


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    text = json.dumps(report, indent=2)
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _request(row: Row, model: str, weights: str) -> dict[str, Any]:
    return {
        "content": str(row.content.resolve()),
        "style": str(row.style.resolve()),
        "model": model,
        "weights": weights,
        "settings": asdict(row.settings),
    }
