"""Figures of an evaluation: content kept against style taken, and the spectrograms of three pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..audio.backend import resample
from ..audio.figure import Panel, write_figure
from ..audio.geometry import PRESETS
from ..audio.mel import mel_amplitudes
from ..audio.read import read_audio
from ..disk import write_atomically

PRESET = PRESETS["tiny-256"]


def write_trade_off(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Medians of `chroma_cosine` over those of `style_taken`: a line for each method with an alpha, a point for others."""
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.add_subplot()
    lines: dict[str, list[tuple[float, float, str]]] = {}
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method]
        taken, kept = (float(np.nanmedian([row[name] for row in own])) for name in ("style_taken", "chroma_cosine"))
        kind, _, alpha = method.partition(":alpha=")
        lines.setdefault(kind, []).append((taken, kept, alpha))
    for kind, points in lines.items():
        swept = [point for point in points if point[2]]
        for taken, kept, alpha in swept:
            axes.annotate(alpha, (taken, kept), textcoords="offset points", xytext=(4, 4), fontsize=7)
        x, y, _ = zip(*(swept or points), strict=True)
        axes.plot(x, y, "o-", markersize=4, label=kind)
    axes.set_xlabel("style taken (mean closed distance of mel spectrum, MFCC means and deviations)")
    axes.set_ylabel("content kept (chroma cosine)")
    pairs = len({row["pair"] for row in rows})
    axes.set_title(f"alpha from content to style, medians over {pairs} pairs")
    axes.grid(alpha=0.3)
    axes.legend()
    write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=130))


def write_extremes(folder: Path, rows: Sequence[Mapping[str, Any]], outputs: Mapping[str, Path]) -> None:
    """`best.png`, `median.png` and `worst.png`: content, style and output of three pairs, by the sum of `chroma_cosine` and
    `style_taken`.

    Args:
        rows: of one method.
        outputs: its sound by the name of the pair.
    """
    ranked = sorted(rows, key=lambda row: row["chroma_cosine"] + row["style_taken"], reverse=True)
    if not ranked:
        return
    for name, row in (("best", ranked[0]), ("median", ranked[len(ranked) // 2]), ("worst", ranked[-1])):
        figures = f"chroma cosine {row['chroma_cosine']:.2f}, style taken {row['style_taken']:.2f}"
        sounds = {
            f"content: {row['content'].name}": row["content"],
            f"style: {row['style'].name}": row["style"],
            f"{row['method']}: {figures}": outputs[row["pair"]],
        }
        write_figure(folder / f"{name}.png", [_panel(title, path) for title, path in sounds.items()])


def _panel(title: str, recording: Path) -> Panel:
    waveform, rate = read_audio(recording)
    return Panel(title, mel_amplitudes(resample(waveform, rate, PRESET.sample_rate), PRESET)[0], PRESET)
