"""A picture of mel spectrograms, one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..output_files import write_atomically
from .geometry import SpectrogramParams

FIGURE_SUFFIXES = (".png", ".jpg", ".webp")
RANGE_DB = 80.0
PLOT_WIDTH, PLOT_HEIGHT = 960, 240
LEFT, TOP, BOTTOM = 64, 30, 26  # around a plot, for labels
KILOHERTZ = (0.1, 0.5, 1, 2, 5, 10)
MAGMA = np.array(
    [
        (0, 0, 4),
        (28, 16, 68),
        (79, 18, 123),
        (129, 37, 129),
        (181, 54, 122),
        (229, 89, 100),
        (251, 135, 97),
        (254, 194, 135),
        (252, 253, 191),
    ]
)
"""Anchors of matplotlib's perceptually even colour map, dark to bright."""


class Panel(NamedTuple):
    title: str
    mel: Tensor
    """Amplitudes [n_mels, frames]."""
    params: SpectrogramParams


def write_figure(path: Path, panels: Sequence[Panel]) -> None:
    """Draw the panels over seconds and kilohertz, loud is bright, 80 dB from top to bottom of the colours."""
    write_atomically(path, draw(panels).save)


def draw(panels: Sequence[Panel]) -> Image.Image:
    height = TOP + PLOT_HEIGHT + BOTTOM
    figure = Image.new("RGB", (LEFT + PLOT_WIDTH + LEFT // 2, height * len(panels)), "white")
    pen = ImageDraw.Draw(figure)
    font = ImageFont.load_default(14)
    for index, panel in enumerate(panels):
        top = index * height + TOP
        bottom = top + PLOT_HEIGHT
        figure.paste(_colours(panel.mel).resize((PLOT_WIDTH, PLOT_HEIGHT), Image.Resampling.BILINEAR), (LEFT, top))
        pen.text((LEFT, top - 6), panel.title, "black", font, anchor="ls")
        for kilohertz in KILOHERTZ:
            y = bottom - PLOT_HEIGHT * _mel(1000 * kilohertz) / _mel(panel.params.f_max)
            pen.line((LEFT - 5, y, LEFT, y), "black")
            pen.text((LEFT - 8, y), f"{kilohertz:g} kHz", "black", font, anchor="rm")
        duration = panel.mel.shape[1] * panel.params.hop_length / panel.params.sample_rate
        for second in np.arange(0, duration, _spacing(duration)):
            x = LEFT + PLOT_WIDTH * second / duration
            pen.line((x, bottom, x, bottom + 5), "black")
            pen.text((x, bottom + 7), f"{second:g} s", "black", font, anchor="mt")
    return figure


def _colours(mel: Tensor) -> Image.Image:
    amplitude = mel.numpy()
    floor = 10 ** (-RANGE_DB / 20)
    decibels = 20 * np.log10(np.maximum(amplitude / max(amplitude.max(), 1e-12), floor))
    position = (1 + decibels[::-1] / RANGE_DB) * (len(MAGMA) - 1)
    channels = [np.interp(position, range(len(MAGMA)), channel) for channel in MAGMA.T]
    return Image.fromarray(np.stack(channels, -1).astype(np.uint8))


def _mel(hertz: float) -> float:
    """HTK's mel scale."""
    return 2595 * np.log10(1 + hertz / 700)


def _spacing(duration: float) -> float:
    """Seconds between labels, at most twelve of them."""
    return next(s for s in (0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 36000) if duration / s <= 12)
