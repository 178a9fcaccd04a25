"""Many transfers from a table, one a row: resumable, in this process or on workers. A bad row never stops the others."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from tqdm import tqdm

from ..disk import check_writable, locked, make_folder, place, temporary, write_atomically
from ..tiny import sha256
from .settings import Settings
from .table import read_table
from .transfer import Files, transfer_files

if TYPE_CHECKING:
    from ..engine.engine import Engine

FILE_COLUMNS = ("content", "style", "mask", "out")


class Row(NamedTuple):
    line: int  # of the manifest, its first being 1
    files: Files
    settings: Settings
    folder: Path  # the manifest's; reports hold paths from here

    @property
    def report(self) -> Path:
        return self.files.output.with_name(self.files.output.name + ".json")

    def relative(self, path: Path) -> str:
        """From the manifest's folder, so that all may move together; on another drive of Windows as it is."""
        try:
            return Path(os.path.relpath(path, self.folder)).as_posix()
        except ValueError:
            return path.as_posix()


Outcome = tuple[str, str]  # what became of a row: "written", "skipped" or "failed", and why it failed
Spread = Callable[[Callable[[Row], Outcome], Iterable[Row]], Generator[tuple[Row, Outcome | Exception], None, None]]
"""Calls a function with each row on workers; gives each row with its outcome, or with why its worker died."""


class Batch(NamedTuple):
    """A manifest that was read; its rows are checked when they run."""

    cells: list[tuple[int, dict[str, str]]]  # line and text of every row
    folder: Path
    out: Path
    settings: Settings

    def row(self, line: int, values: Mapping[str, str]) -> Row:
        """Raises ValueError or OSError when the text of the row is no transfer."""
        if not (values["content"] and values["style"]):
            raise ValueError("content or style is empty: name a recording")
        output = (self.out / _name_of(values)).resolve()
        if not output.is_relative_to(self.out):
            raise ValueError(f"out is {values['out']!r}, which leaves the output folder: name a file inside it")
        own = {name: text for name, text in values.items() if text and name not in FILE_COLUMNS}
        mask = self.folder / values["mask"] if values.get("mask") else None
        files = Files(self.folder / values["content"], [self.folder / values["style"]], output, mask=mask)
        return Row(line, files, self.settings.changed(own), self.folder)


def read_batch(manifest: Path, out: Path, settings: Settings) -> Batch:
    """The rows of a CSV file with the columns content and style and optionally mask, out and any setting.

    Recordings and masks are looked for from the manifest's folder. A row without out is called after its recordings; an empty
    setting is that of `settings`.

    Raises ValueError if there is no such table or the folder of the results can't be made; or, naming the lines, if two rows
    write one file, or one writes what another reads.
    """
    known = (*FILE_COLUMNS, *(field.name for field in fields(Settings)))
    cells = read_table("manifest", manifest, ("content", "style"), known)
    batch = Batch(cells, manifest.parent.resolve(), out.resolve(), settings)
    make_folder(out)
    writers: dict[str, int] = {}
    readers: dict[str, int] = {}
    for line, values in batch.cells:
        if values["content"] and values["style"]:
            output = _same(batch.out, _name_of(values))
            if (earlier := writers.setdefault(output, line)) != line:
                raise ValueError(
                    f"manifest {manifest}: lines {earlier} and {line} both write {_name_of(values)}: "
                    "tell them apart in a column named out"
                )
        for name in ("content", "style", "mask"):
            if text := values.get(name):
                readers.setdefault(_same(batch.folder, text), line)
    for output, line in writers.items():
        for target in (output, output + ".json"):
            if reader := readers.get(target):
                raise ValueError(f"manifest {manifest}, line {line}: out {target} is read by line {reader}: rename it")
    return batch


def _name_of(values: Mapping[str, str]) -> str:
    return values.get("out") or f"{Path(values['content']).stem}--{Path(values['style']).stem}.flac"


def _same(folder: Path, name: str) -> str:
    """Equal for two spellings of one file, as far as text tells; nothing is looked up, which takes long for many rows."""
    return os.path.normcase(os.path.normpath(os.path.join(folder, name)))


def run_batch(
    batch: Batch, runner: Runner, part: tuple[int, int] = (1, 1), spread: Spread | None = None, quiet: bool = False
) -> dict[str, Any]:
    """Run the rows of a part but for those that are done.

    Every row leaves its sound and, beside it, its report. The model is loaded when a row needs it. Returns, for JSON, the
    outputs `written` and `skipped`, and `failed` rows with their line and error.

    Args:
        part: rows i, i + n, i + 2 n, ... of a part (i, n), the first row being 1.
        spread: hands the rows out to workers; None runs them here, one after the other.

    Raises ValueError or OSError if another process runs this part of the folder, or the model can't be loaded.
    """
    summary: dict[str, list[Any]] = {"written": [], "skipped": [], "failed": []}
    number, of = part
    cells = batch.cells[number - 1 :: of]

    def count(line: int, output: Path | str, outcome: Outcome | Exception) -> None:
        kind, error = ("failed", in_words(outcome)) if isinstance(outcome, Exception) else outcome
        failure = {"line": line, "output": str(output), "error": error}
        summary[kind].append(failure if kind == "failed" else str(output))
        bar.update()

    def waiting() -> Iterator[Row]:
        for line, values in cells:
            try:
                row = batch.row(line, values)
            except (ValueError, OSError) as error:
                count(line, values.get("out", ""), error)
                continue
            if runner.has_finished(row):
                count(line, row.files.output, ("skipped", ""))
            else:
                bar.set_postfix_str(row.files.output.name)
                yield row

    with (
        locked(batch.out / f".stylus-batch-{number}-of-{of}.lock") as mine,
        tqdm(total=len(cells), desc="rows", file=sys.stderr, disable=quiet or not mine) as bar,
    ):
        if not mine:
            raise ValueError(
                f"folder {batch.out} is being filled by another batch (part {number}/{of}): wait for it, or choose another folder"
            )
        here = ((row, runner(row)) for row in waiting())
        with closing(spread(runner, waiting()) if spread else here) as outcomes:
            for row, outcome in outcomes:
                count(row.line, row.files.output, outcome)
    summary["failed"].sort(key=lambda failure: failure["line"])
    return summary


@dataclass
class Runner:
    """Runs rows on the model of the name `model`, which `load` gives; may be sent to another process before.
    `source` is size and time stamp of the files that its weights are read from; `transfer` works as `transfer_files`."""

    load: Callable[[], Engine]
    model: str
    source: Mapping[str, Any] | None = None
    transfer: Callable[..., dict[str, Any]] = transfer_files

    @cached_property
    def engine(self) -> Engine:
        return self.load()

    @cached_property
    def weights(self) -> str:
        return self.engine.model.digest()

    def __call__(self, row: Row) -> Outcome:
        """Run a row unless it is done. Raises only what loading the model raises."""
        weights = self.weights
        try:
            if self.has_finished(row, weights):
                return "skipped", ""
            self._run(row, weights)
        except Exception as error:
            return "failed", in_words(error)
        return "written", ""

    def has_finished(self, row: Row, weights: str = "") -> bool:
        """Whether an earlier run has written this row with these settings and this model.
        `weights` is the digest of the model's weights; empty where it isn't loaded, and its files have to be the same."""
        report = read_report(row.report)
        request = report.get("request")
        if not isinstance(request, dict) or request != self._request(row, request.get("weights")):
            return False
        same_files = bool(self.source) and report.get("source") == self.source
        return row.files.output.is_file() and (same_files or (bool(weights) and request["weights"] == weights))

    def _request(self, row: Row, weights: Any) -> dict[str, Any]:
        return {
            "content": row.relative(row.files.content),
            "style": row.relative(row.files.styles[0]),
            **({"mask": row.relative(row.files.mask)} if row.files.mask else {}),
            "model": self.model,
            "weights": weights,
            "settings": asdict(row.settings),
        }

    def _run(self, row: Row, weights: str) -> None:
        """The report is there before the sound, and says which sound: what a killed process leaves is known as a batch's."""
        row.files.output.parent.mkdir(parents=True, exist_ok=True)
        row.files.check()
        check_writable("report", row.report, (".json",))
        earlier = read_report(row.report)
        _check_ours(row, earlier)
        with temporary(row.files.output) as sound, temporary(row.report) as text:
            report = self.transfer(self.engine, row.files._replace(output=sound), row.settings, quiet=True)
            report = {
                "request": self._request(row, weights),
                "source": self.source,
                "sha256": sha256(sound),
                **report,
                **row.files.described(row.relative),
            }
            text.write_text(json.dumps(report, indent=2), encoding="utf-8")
            if earlier:
                _check_ours(row, earlier)  # again: the transfer took its time
                row.files.output.unlink(missing_ok=True)
            place(text, row.report, overwrite=bool(earlier))
            place(sound, row.files.output, overwrite=False)


def _check_ours(row: Row, report: Mapping[str, Any]) -> None:
    """Raises ValueError if the row would replace a sound or a report that no batch made."""
    named = PurePosixPath(str(report.get("output"))).name
    ours = isinstance(report.get("request"), dict) and named == row.files.output.name
    if row.report.exists() and not ours:
        raise ValueError(f"report {row.report} exists and no batch made it: choose another out, or move it away")
    if row.files.output.exists() and not (ours and sha256(row.files.output) == report.get("sha256")):
        raise ValueError(
            f"out {row.files.output} exists and no batch made it, or it was changed since: choose another out, or move it away"
        )


def counts_of(summary: Mapping[str, Sequence[Any]]) -> str:
    """A summary in a line, as in "3 written, 1 failed"."""
    words = {"written": "written", "skipped": "done before", "failed": "failed"}
    return ", ".join(f"{len(summary[group])} {word}" for group, word in words.items() if summary[group]) or "no rows"


def in_words(error: Exception) -> str:
    """An error in one line: as it is if the user can mend it, led by its kind if the program is at fault."""
    text = " ".join(str(error).split())
    return text if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: {text}"


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    write_atomically(path, lambda temporary: temporary.write_text(json.dumps(report, indent=2), encoding="utf-8"))


def read_report(path: Path) -> dict[str, Any]:
    """What an earlier run has written there; empty where the file is missing, damaged or no report."""
    try:
        report = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return report if isinstance(report, dict) else {}
