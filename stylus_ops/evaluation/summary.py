"""Medians over the pairs with bootstrap intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import bootstrap

CONFIDENCE = 0.95
RESAMPLES = 2000


class Median(NamedTuple):
    median: float
    low: float
    """Ends of the 95 % percentile bootstrap interval of the median (Efron 1979); NaN for fewer than two values."""
    high: float
    measured: int
    """Values that were measured."""


def summarise(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> dict[str, dict[str, Median]]:
    """Method -> column -> median over that method's rows, in the order of first appearance; NaN cells are left out."""
    methods = dict.fromkeys(str(row["method"]) for row in rows)
    return {
        method: {
            column: median([float(str(row[column])) for row in rows if row["method"] == method]) for column in columns
        }
        for method in methods
    }


def median(values: Sequence[float]) -> Median:
    known = np.array([value for value in values if not math.isnan(value)])
    if not known.size:
        return Median(math.nan, math.nan, math.nan, 0)
    middle = float(np.median(known))
    if known.size < 2:
        return Median(middle, math.nan, math.nan, 1)
    interval = bootstrap(
        (known,),
        np.median,
        confidence_level=CONFIDENCE,
        n_resamples=RESAMPLES,
        method="percentile",
        random_state=np.random.default_rng(0),
    ).confidence_interval
    return Median(middle, float(interval.low), float(interval.high), known.size)


def markdown(summary: Mapping[str, Mapping[str, Median]], columns: Sequence[str]) -> str:
    """A table: a method a row, `median [low, high]` a cell."""
    lines = [["method", *columns], ["---"] * (1 + len(columns))]
    lines += [[method, *(_cell(medians[column]) for column in columns)] for method, medians in summary.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Median) -> str:
    if not value.measured:
        return "-"
    interval = "" if math.isnan(value.low) else f" [{value.low:.3g}, {value.high:.3g}]"
    return f"{value.median:.3g}{interval}"
