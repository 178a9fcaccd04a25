"""Recordings drawn to be compared: mel spectrograms one below the other, and what equaliser lies between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..disk import write_atomically
from .backend import resample
from .geometry import PRESETS, SpectrogramParams
from .mel import hz_to_mel, mel_amplitudes

FIGURE_SUFFIXES = (".png", ".jpg", ".webp")
RANGE_DB = 80.0
EQ_RANGE_DB = 36.0
# A node shows the figure at about a third of its size, where these letters are as tall as its widgets'.
LETTERS, LINE = 30, 40
PLOT_WIDTH, PLOT_HEIGHT = 640, 190
LEFT, TOP, BOTTOM, GAP = 114, 16, 44, 40  # around a plot
EQ_WIDTH, BAR_WIDTH, BAR_LABELS = 150, 16, 60
WIDTH = LEFT + PLOT_WIDTH + GAP + EQ_WIDTH + GAP + BAR_WIDTH + BAR_LABELS
HERTZ = (100, 500, 1000, 2000, 5000, 10000)
CURVE_WIDTH, CURVE_LOWEST = 640, 40  # pixels, Hz
CURVE_HERTZ = (100, 500, 2000, 10000)  # that have a label
SPACINGS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 7200, 36000)  # seconds between labels, seven at most
GREY, CURVE = (170, 170, 170), (181, 54, 122)
MAGMA = np.array(
    [(0, 0, 4), (28, 16, 68), (79, 18, 123), (129, 37, 129), (181, 54, 122), (229, 89, 100), (251, 135, 97),
     (254, 194, 135), (252, 253, 191)]
)  # fmt: skip
"""Anchors of matplotlib's perceptually even colour map, dark to bright."""


class Panel(NamedTuple):
    title: str
    mel: Tensor
    """Amplitudes [n_mels, frames]."""
    params: SpectrogramParams

    @property
    def seconds(self) -> float:
        return self.mel.shape[1] * self.params.hop_length / self.params.sample_rate


class Figure(NamedTuple):
    image: Image.Image
    plots: tuple[tuple[int, int, int, int], ...]
    """Where each panel's spectrogram is: left, top, right and bottom in pixels."""


def recording_panel(title: str, waveform: Tensor, sample_rate: int) -> Panel:
    """A recording's mel spectrogram, of about as many frames as the plot has columns, and of bands as it has rows.

    Shape: waveform [C, T] -> mel [256, frames]
    """
    params = replace(PRESETS["sd-512"], n_mels=256, padding=2)
    waveform = resample(waveform.float().cpu(), sample_rate, params.sample_rate)
    column_ms = 1000 * waveform.shape[-1] / params.sample_rate / PLOT_WIDTH
    params = replace(params, hop_ms=min(max(column_ms, params.hop_ms), params.window_ms))
    return Panel(title, mel_amplitudes(waveform[None], params)[0], params)


def write_figure(path: Path, panels: Sequence[Panel], overwrite: bool = True) -> None:
    """Draw the panels into a file; see `draw` and, for `overwrite`, `write_atomically`."""
    write_atomically(path, draw(panels).image.save, overwrite)


def draw(panels: Sequence[Panel], title: str = "") -> Figure:
    """The panels over seconds and hertz, loud is bright, 80 dB below the loudest place of each.

    The first panel, the content, gives the time axis of all, so that attacks stand below each other: what is longer is cut
    there. Beside every other panel is how its average spectrum differs from the first one's at equal energy, in dB: the
    equaliser that would make the one of the other.
    """
    seconds = panels[0].seconds
    heading = _lines(title, WIDTH - 2 * GAP)
    height, captions, plots = len(heading) * LINE, [], []
    for panel in panels:
        cut = f" (the first {_clock(seconds)} of {_clock(panel.seconds)})" if panel.seconds > 1.01 * seconds else ""
        captions.append(caption := _lines(panel.title + cut, PLOT_WIDTH))
        top = height + len(caption) * LINE + TOP
        plots.append((LEFT, top, LEFT + PLOT_WIDTH, top + PLOT_HEIGHT))
        height = top + PLOT_HEIGHT + BOTTOM
    image = Image.new("RGB", (WIDTH, height), "white")
    pen = ImageDraw.Draw(image)
    _write(pen, heading, GAP, len(heading) * LINE)
    spectra = [_average_spectrum(panel) for panel in panels]
    for panel, caption, spectrum, (left, top, right, bottom) in zip(panels, captions, spectra, plots, strict=True):
        _write(pen, caption, left, top - TOP)
        _draw_spectrogram(image, panel, seconds, (left, top))
        _draw_axes(pen, panel, seconds, top)
        if panel is not panels[0]:
            _draw_equaliser(pen, spectrum - spectra[0], right + GAP, top, bottom)
        _draw_bar(image, pen, right + GAP + EQ_WIDTH + GAP, top)
    return Figure(image, tuple(plots))


def draw_curve(frequencies: Tensor, decibels: Tensor) -> Image.Image:
    """A gain in dB over frequencies in Hz, on a logarithmic axis from 40 Hz to the highest of them."""
    image = Image.new("RGB", (LEFT + CURVE_WIDTH + LEFT // 2, LINE + PLOT_HEIGHT + BOTTOM), "white")
    pen = ImageDraw.Draw(image)
    shown = frequencies >= CURVE_LOWEST
    hertz, gain = frequencies[shown].numpy(), decibels[shown].numpy()
    most = max(6.0, 6 * np.ceil(np.abs(gain).max() / 6))
    octaves = np.log2(hertz[-1] / CURVE_LOWEST)

    def x(frequency: np.ndarray | float) -> np.ndarray:
        return LEFT + CURVE_WIDTH * np.log2(frequency / CURVE_LOWEST) / octaves

    def y(level: np.ndarray | float) -> np.ndarray:
        return np.asarray(LINE + PLOT_HEIGHT * (0.5 - level / most / 2))

    for level in np.linspace(-most, most, 5):
        pen.line((LEFT, float(y(level)), LEFT + CURVE_WIDTH, float(y(level))), GREY)
        pen.text((LEFT - 8, float(y(level))), f"{level:+g} dB" if level else "0 dB", "black", _font(), anchor="rm")
    for frequency in (CURVE_LOWEST, *HERTZ, 20000):
        if frequency <= 1.01 * hertz[-1]:
            at = float(x(frequency))
            pen.line((at, LINE, at, LINE + PLOT_HEIGHT), GREY)
            if frequency in CURVE_HERTZ:
                pen.text((at, LINE + PLOT_HEIGHT + 7), _pitch(frequency), "black", _font(), anchor="mt")
    pen.line(list(zip(x(hertz).tolist(), y(gain).tolist(), strict=True)), CURVE, width=4)
    return image


def _draw_spectrogram(image: Image.Image, panel: Panel, seconds: float, corner: tuple[int, int]) -> None:
    shown = max(1, round(panel.mel.shape[1] * min(1.0, seconds / panel.seconds)))
    width = max(1, round(PLOT_WIDTH * min(1.0, panel.seconds / seconds)))
    level = panel.mel.numpy() / max(float(panel.mel.max()), 1e-12)
    colours = _colours(20 * np.log10(level[:, :shown].clip(10 ** (-RANGE_DB / 20))))
    image.paste(colours.resize((width, PLOT_HEIGHT), Image.Resampling.BOX), corner)


def _tick(pen: ImageDraw.ImageDraw, x: float, y: float, label: str, side: str) -> None:
    """A short line from a place of a plot's edge to the "left", "right" or "bottom", and a label behind it."""
    (right, down), anchor = {"left": ((-1, 0), "rm"), "right": ((1, 0), "lm"), "bottom": ((0, 1), "mt")}[side]
    pen.line((x, y, x + 5 * right, y + 5 * down), "black")
    pen.text((x + 8 * right, y + 8 * down), label, "black", _font(), anchor)


def _draw_axes(pen: ImageDraw.ImageDraw, panel: Panel, seconds: float, top: int) -> None:
    bottom = top + PLOT_HEIGHT
    for hertz in HERTZ:
        if hertz <= panel.params.f_max:
            y = bottom - PLOT_HEIGHT * hz_to_mel(hertz) / hz_to_mel(panel.params.f_max)
            _tick(pen, LEFT - 1, y, _pitch(hertz), "left")
    for second in np.arange(0, seconds, next(spacing for spacing in SPACINGS if seconds / spacing <= 6)):
        _tick(pen, LEFT + PLOT_WIDTH * second / seconds, bottom, _clock(second), "bottom")


def _draw_equaliser(pen: ImageDraw.ImageDraw, gain: np.ndarray, left: int, top: int, bottom: int) -> None:
    """`gain` in dB for every row of the plot, from the top down."""
    centre = left + EQ_WIDTH / 2
    pen.rectangle((left, top, left + EQ_WIDTH, bottom), outline=GREY)
    pen.line((centre, top, centre, bottom), GREY)
    for level in (-24, 0, 24):
        _tick(pen, centre + level / EQ_RANGE_DB * EQ_WIDTH / 2, bottom, f"{level:+d}" if level else "0", "bottom")
    offset = np.clip(gain / EQ_RANGE_DB, -1, 1) * EQ_WIDTH / 2
    pen.line([(centre + x, top + row) for row, x in enumerate(offset)], CURVE, 3, "curve")
    _write(pen, ["EQ, dB"], left, top - TOP)


def _draw_bar(image: Image.Image, pen: ImageDraw.ImageDraw, left: int, top: int) -> None:
    ramp = np.linspace(-RANGE_DB, 0, PLOT_HEIGHT)[:, None].repeat(BAR_WIDTH, 1)
    image.paste(_colours(ramp), (left, top))
    for level in range(0, -round(RANGE_DB) - 1, -20):
        _tick(pen, left + BAR_WIDTH, top - level / RANGE_DB * (PLOT_HEIGHT - 1), f"{level}", "right")
    _write(pen, ["dB"], left, top - TOP)


def _average_spectrum(panel: Panel) -> np.ndarray:
    """Average power in dB, of a sum over the rows of 0 dB, for every row of the plot from the top down, [PLOT_HEIGHT].

    Smoothed over a twelfth of the mel axis. What is 80 dB below the loudest row counts as that.
    """
    power = panel.mel.double().square().mean(1).numpy()
    window = np.hanning(len(power) // 12 * 2 + 3)
    smooth = np.convolve(np.pad(power, len(window) // 2, "edge"), window / window.sum(), "valid")
    smooth = np.maximum(smooth, max(smooth.max() * 10 ** (-RANGE_DB / 10), 1e-30))
    rows = np.interp(np.linspace(len(smooth) - 1, 0, PLOT_HEIGHT), np.arange(len(smooth)), smooth)
    return 10 * np.log10(rows / rows.sum())


def _colours(decibels: np.ndarray) -> Image.Image:
    """`-RANGE_DB` to 0 dB from dark to bright; the first row of `decibels` becomes the lowest of the image."""
    position = (1 + decibels[::-1] / RANGE_DB) * (len(MAGMA) - 1)
    channels = [np.interp(position, range(len(MAGMA)), channel) for channel in MAGMA.T]
    return Image.fromarray(np.stack(channels, -1).astype(np.uint8))


def _lines(text: str, width: float) -> list[str]:
    """The text broken between words where it is wider than `width` pixels."""
    lines = list[str]()
    for word in text.split():
        if lines and _font().getlength(longer := f"{lines[-1]} {word}") <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _write(pen: ImageDraw.ImageDraw, lines: Sequence[str], left: int, bottom: int) -> None:
    for number, line in enumerate(reversed(lines)):
        pen.text((left, bottom - number * LINE), line, "black", _font(), anchor="ls")


@lru_cache(1)
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(LETTERS)


def _pitch(hertz: int) -> str:
    return f"{hertz} Hz" if hertz < 1000 else f"{hertz // 1000} kHz"


def _clock(seconds: float) -> str:
    """5.1 s, or 2:05 from a minute on."""
    if seconds < 60:
        return f"{round(seconds, 1):g} s"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
