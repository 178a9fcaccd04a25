"""Every method on every pair: measured, kept in a folder, and summed up once all is there."""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from tqdm import tqdm

from ..audio.write import write_audio
from ..disk import write_atomically
from ..engine.engine import Engine
from ..pipeline.batch import in_words, read_report, write_report
from .clap import Clap
from .figures import write_extremes, write_trade_off
from .measure import CLAP_COLUMNS, COLUMNS, TRUTH_COLUMNS, Measure
from .methods import KINDS, NEED_MODEL, Method, Recordings
from .pairs import Pair
from .summary import Median, summarise

AUDIO = "audio"
"""Folder of the sounds, in that of the results."""

Row = dict[str, Any]
"""A row of the result: pair, content, style, method, and every column's number; NaN where it means nothing."""


@dataclass(frozen=True)
class Plan:
    """What is evaluated, and where the results go.

    Every job leaves its sound and its numbers in `out`, so that a run that was stopped goes on where it was.
    """

    pairs: Sequence[Pair]
    methods: Sequence[Method]
    sweep: Sequence[Method]
    """Settings of the trade-off curve, run on the first `sweep_pairs` pairs."""
    sweep_pairs: int
    out: Path
    model: str
    weights: str = ""
    """Digest of the model's weights."""
    clap: str = ""
    refused: Sequence[str] = ()
    """What is wrong with the rows of a table that are no pairs."""

    @property
    def columns(self) -> tuple[str, ...]:
        return COLUMNS + (TRUTH_COLUMNS if self.has_truth else ()) + (CLAP_COLUMNS if self.clap else ())

    @property
    def has_truth(self) -> bool:
        return any(pair.truth for pair in self.pairs)

    @property
    def needs_model(self) -> bool:
        return any(method.kind in NEED_MODEL for method in self.methods)

    def jobs(self, pair: Pair) -> list[Job]:
        swept = self.sweep if pair in self.pairs[: self.sweep_pairs] else ()
        methods = dict.fromkeys((*self.methods, *swept))
        return [Job(pair, method, self) for method in methods]


class Job(NamedTuple):
    """One method on one pair."""

    pair: Pair
    method: Method
    plan: Plan

    @property
    def sound(self) -> Path:
        return self.plan.out / AUDIO / self.pair.name / f"{self.method.file_name}.flac"

    @property
    def record(self) -> Path:
        return self.sound.with_suffix(".flac.json")

    @property
    def request(self) -> dict[str, Any]:
        return {
            "content": str(self.pair.content.resolve()),
            "style": str(self.pair.style.resolve()),
            "monophonic": self.pair.monophonic,
            **({"truth": str(self.pair.truth.resolve())} if self.pair.truth else {}),
            "settings": asdict(self.method.settings),
            "model": [self.plan.model, self.plan.weights] if self.method.kind in NEED_MODEL else [],
            "clap": self.plan.clap,
        }

    def earlier(self) -> Mapping[str, Any]:
        """What an earlier run kept of this very job: its `numbers` in all the columns of the plan, or its `error`; else nothing."""
        record = read_report(self.record)
        numbers = record.get("numbers")
        complete = "error" in record or (isinstance(numbers, dict) and set(self.plan.columns) <= numbers.keys())
        return record if record.get("request") == self.request and complete else {}

    def run(self, recordings: Recordings, measure: Measure) -> None:
        restyled = KINDS[self.method.kind](recordings, self.method.settings)
        write_audio(self.sound, restyled.waveform, recordings.sample_rate)
        measured = measure(restyled)
        numbers = {name: None if math.isnan(value) else value for name, value in measured.items()}
        numbers = dict.fromkeys(self.plan.columns) | numbers
        write_report(self.record, {"request": self.request, "numbers": numbers})

    def row(self) -> Row | None:
        """The job's row of the result; None where it failed or has not run."""
        numbers = self.earlier().get("numbers")
        if numbers is None:
            return None
        named = {"pair": self.pair.name, "content": self.pair.content, "style": self.pair.style}
        known = {column: math.nan if numbers[column] is None else numbers[column] for column in self.plan.columns}
        return {**named, "method": self.method.name, **known}


def run_plan(plan: Plan, engine: Engine | None, clap: Clap | None, quiet: bool = False) -> list[str]:
    """Run the jobs that are not done yet; returns a sentence for each that failed.

    A pair that fails does not stop the others.
    """
    todo = {pair: [job for job in plan.jobs(pair) if "numbers" not in job.earlier()] for pair in plan.pairs}
    failures = []
    with tqdm(total=sum(map(len, todo.values())), desc="evaluate", file=sys.stderr, disable=quiet) as bar:
        for pair, jobs in todo.items():
            for job, problem in _run_pair(pair, jobs, engine, clap):
                bar.set_postfix_str(f"{pair.name} {job.method.name}")
                bar.update()
                if problem:
                    failures.append(f"{pair.name}, {job.method.name}: {problem}")
    return failures


def _run_pair(pair: Pair, jobs: Sequence[Job], engine: Engine | None, clap: Clap | None) -> Iterator[tuple[Job, str]]:
    """Each job once it is done, with an empty text or what went wrong."""
    recordings = None
    for job in jobs:
        problem = ""
        try:
            job.sound.parent.mkdir(parents=True, exist_ok=True)
            if recordings is None:
                recordings = Recordings(pair.content, pair.style, engine, pair.truth)
                measure = Measure(
                    *(recordings.content, recordings.style, recordings.sample_rate),
                    monophonic=pair.monophonic,
                    truth=recordings.truth,
                    clap=clap,
                )
            job.run(recordings, measure)
        except Exception as error:
            problem = in_words(error)
            with suppress(OSError):  # on a full disk, or under a name that no file can have, only the error is printed
                write_report(job.record, {"request": job.request, "error": problem})
        yield job, problem


class Results(NamedTuple):
    rows: list[Row]
    """One for each pair and method."""
    sweep: list[Row]
    summary: dict[str, dict[str, Median]]


def write_results(plan: Plan) -> Results:
    """Write tables and figures of all jobs that were done."""
    jobs = [job for pair in plan.pairs for job in plan.jobs(pair)]
    swept = set(plan.pairs[: plan.sweep_pairs])
    rows = _rows(job for job in jobs if job.method in plan.methods)
    sweep = _rows(job for job in jobs if job.pair in swept and (plan.sweep or job.method in plan.methods))
    results = Results(rows, sweep if plan.sweep else [], summarise(rows, plan.columns))
    head = ("pair", "content", "style", "method")
    _write_table(plan.out / "results.csv", (*head, *plan.columns), results.rows)
    _write_table(plan.out / "summary.csv", ("method", "column", *Median._fields), _flat(results.summary))
    if results.sweep:
        _write_table(plan.out / "trade_off.csv", (*head, *plan.columns), results.sweep)
        write_trade_off(plan.out / "trade_off.png", results.sweep)
    shown = plan.methods[-1]
    outputs = {job.pair.name: job.sound for job in jobs if job.method == shown}
    write_extremes(plan.out, [row for row in rows if row["method"] == shown.name], outputs)
    return results


def _rows(jobs: Iterator[Job]) -> list[Row]:
    return [row for job in jobs if (row := job.row())]


def _flat(summary: Mapping[str, Mapping[str, Median]]) -> list[Row]:
    return [
        {"method": method, "column": column, **value._asdict()}
        for method, medians in summary.items()
        for column, value in medians.items()
    ]


def _write_table(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """NaN is an empty cell."""

    def write(file: TextIO) -> None:
        table = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        table.writeheader()
        for row in rows:
            table.writerow({name: "" if value != value else value for name, value in row.items()})

    def write_to(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            write(file)

    write_atomically(path, write_to)
