"""Every method on every pair: measured, kept in a folder, and summed up once all is there."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from ..audio.write import write_audio
from ..engine.engine import Engine
from ..pipeline.batch import in_words, read_report, write_report
from .measure import COLUMNS, TRUTH_COLUMNS, Measure
from .methods import KINDS, NEED_MODEL, Method, Recordings
from .pairs import Pair
from .results import Median, Row, summarise, write_table, write_trade_off

AUDIO = "audio"  # folder of the sounds, in that of the results


@dataclass(frozen=True)
class Plan:
    """What is evaluated, and where the results go; every job leaves its sound and numbers there, so that a run can go on."""

    pairs: Sequence[Pair]
    methods: Sequence[Method]
    sweep: Sequence[Method]  # settings of the trade-off curve, run on the first `sweep_pairs` pairs
    sweep_pairs: int
    out: Path
    model: str
    weights: str  # digest of the model's weights

    @property
    def columns(self) -> tuple[str, ...]:
        return COLUMNS + (TRUTH_COLUMNS if self.has_truth else ())

    @property
    def has_truth(self) -> bool:
        return any(pair.truth for pair in self.pairs)

    def jobs(self, pair: Pair) -> list[Job]:
        swept = self.sweep if pair in self.pairs[: self.sweep_pairs] else ()
        return [Job(pair, method, self) for method in dict.fromkeys((*self.methods, *swept))]


class Job(NamedTuple):
    pair: Pair
    method: Method
    plan: Plan

    @property
    def sound(self) -> Path:
        return self.plan.out / AUDIO / self.pair.name / f"{self.method.name.replace(':', ' ')}.flac"

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
        }

    def run(self, recordings: Recordings, measure: Measure) -> None:
        sound = KINDS[self.method.kind](recordings, self.method.settings)
        write_audio(self.sound, sound, recordings.sample_rate)
        measured = {name: None if math.isnan(value) else value for name, value in measure(sound).items()}
        write_report(self.record, {"request": self.request, "numbers": dict.fromkeys(self.plan.columns) | measured})

    def row(self) -> Row | None:
        """The job's row of the result, with all the columns of the plan; None where it failed or has not run."""
        record, columns = read_report(self.record), self.plan.columns
        numbers = record.get("numbers")
        if record.get("request") != self.request or not isinstance(numbers, dict) or not numbers.keys() >= {*columns}:
            return None
        named = {"pair": self.pair.name, "content": self.pair.content, "style": self.pair.style}
        known = {column: math.nan if numbers[column] is None else numbers[column] for column in columns}
        return {**named, "method": self.method.name, **known}


def run_plan(plan: Plan, engine: Engine | None, quiet: bool = False) -> list[str]:
    """Run the jobs that are not done yet, whatever becomes of others; returns a sentence for each that failed."""
    todo = {pair: [job for job in plan.jobs(pair) if job.row() is None] for pair in plan.pairs}
    failures = []
    with tqdm(total=sum(map(len, todo.values())), desc="evaluate", file=sys.stderr, disable=quiet) as bar:
        for pair, jobs in todo.items():
            measure = None
            for job in jobs:
                bar.set_postfix_str(f"{pair.name} {job.method.name}")
                try:
                    job.sound.parent.mkdir(parents=True, exist_ok=True)
                    if measure is None:
                        sounds = Recordings(pair, engine)
                        measure = Measure(sounds, pair.monophonic)
                    job.run(sounds, measure)
                except Exception as error:
                    problem = in_words(error)
                    failures.append(f"{pair.name}, {job.method.name}: {problem}")
                    with suppress(OSError):  # a full disk, or a name that no file can have
                        write_report(job.record, {"request": job.request, "error": problem})
                bar.update()
    return failures


def write_results(plan: Plan) -> dict[str, dict[str, Median]]:
    """Write tables and the figure of all jobs that were done; returns the summary: method -> column -> median."""
    done = [(job, row) for pair in plan.pairs for job in plan.jobs(pair) if (row := job.row())]
    swept = plan.pairs[: plan.sweep_pairs] if plan.sweep else ()
    rows = [row for job, row in done if job.method in plan.methods]
    summary = summarise(rows, plan.columns)
    columns = ("pair", "content", "style", "method", *plan.columns)
    write_table(plan.out / "results.csv", columns, rows)
    flat = [
        {"method": method, "column": column, **value._asdict()}
        for method, medians in summary.items()
        for column, value in medians.items()
    ]
    write_table(plan.out / "summary.csv", ("method", "column", *Median._fields), flat)
    if sweep := [row for job, row in done if job.pair in swept]:
        write_table(plan.out / "trade_off.csv", columns, sweep)
        write_trade_off(plan.out / "trade_off.png", sweep)
    return summary
