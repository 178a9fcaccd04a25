"""What is made of all rows: medians over the pairs with bootstrap intervals, tables and the trade-off curve."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import bootstrap

from ..disk import write_atomically

Row = dict[str, Any]
"""A row of the result: pair, content, style, method, and every column's number; NaN where it means nothing."""


class Median(NamedTuple):
    median: float
    low: float
    """Ends of the 95 % percentile bootstrap interval of the median (Efron 1979); NaN for fewer than two values."""
    high: float
    measured: int  # values that were measured


def summarise(rows: Sequence[Row], columns: Sequence[str]) -> dict[str, dict[str, Median]]:
    """Method -> column -> median over that method's rows, in the order of first appearance; NaN cells are left out."""
    return {
        method: {column: median([row[column] for row in rows if row["method"] == method]) for column in columns}
        for method in dict.fromkeys(row["method"] for row in rows)
    }


def median(values: Sequence[float]) -> Median:
    known = np.array([value for value in values if not math.isnan(value)])
    if not known.size:
        return Median(math.nan, math.nan, math.nan, 0)
    middle = float(np.median(known))
    if known.size < 2:
        return Median(middle, math.nan, math.nan, 1)
    rng = np.random.default_rng(0)
    found = bootstrap((known,), np.median, n_resamples=2000, method="percentile", random_state=rng)
    low, high = found.confidence_interval  # 95 % unless asked for
    return Median(middle, float(low), float(high), known.size)


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


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """NaN is an empty cell."""

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
            table.writeheader()
            table.writerows({name: "" if value != value else value for name, value in row.items()} for row in rows)

    write_atomically(path, write)


def write_trade_off(path: Path, rows: Sequence[Row]) -> None:
    """Medians of `chroma_cosine` over those of `style_taken`: a line for each method with an alpha, a point for others."""
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.add_subplot()
    lines: dict[str, dict[str, tuple[float, float]]] = {}
    for method, medians in summarise(rows, ("style_taken", "chroma_cosine")).items():
        kind, _, alpha = method.partition(":alpha=")
        lines.setdefault(kind, {})[alpha] = medians["style_taken"].median, medians["chroma_cosine"].median
    for kind, points in lines.items():
        swept = {alpha: point for alpha, point in points.items() if alpha}
        for alpha, point in swept.items():
            axes.annotate(alpha, point, textcoords="offset points", xytext=(4, 4), fontsize=7)
        axes.plot(*zip(*(swept or points).values(), strict=True), "o-", markersize=4, label=kind)
    axes.set_xlabel("style taken (mean closed distance of mel spectrum, MFCC means and deviations)")
    axes.set_ylabel("content kept (chroma cosine)")
    pairs = len({row["pair"] for row in rows})
    axes.set_title(f"alpha from content to style, medians over {pairs} pairs")
    axes.grid(alpha=0.3)
    axes.legend()
    write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=130))
