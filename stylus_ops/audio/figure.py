"""Recordings drawn to be compared: mel spectrograms one below the other, and what equaliser lies between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..output_files import write_atomically
from .backend import resample
from .geometry import PRESETS, SpectrogramParams
from .mel import mel_amplitudes

FIGURE_SUFFIXES = (".png", ".jpg", ".webp")
RANGE_DB = 80.0
EQ_RANGE_DB = 36.0
PLOT_WIDTH, PLOT_HEIGHT = 760, 220
HEADING = 36  # above the first panel, for the figure's title
LEFT, TOP, BOTTOM, GAP = 78, 32, 30, 20  # around a plot, for labels
EQ_WIDTH, BAR_WIDTH, BAR_LABELS = 150, 16, 66
WIDTH = LEFT + PLOT_WIDTH + GAP + EQ_WIDTH + GAP + BAR_WIDTH + BAR_LABELS
HERTZ = (100, 500, 1000, 2000, 5000, 10000)
CURVE_WIDTH, CURVE_LOWEST = 640, 40  # pixels, Hz
GREY, CURVE = (170, 170, 170), (181, 54, 122)
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
    """A spectrogram to be drawn."""

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
    """A recording's mel spectrogram, of about as many frames as the plot has columns.

    Args:
        waveform: [C, T] at `sample_rate` Hz.
    """
    params = PRESETS["sd-512"]
    waveform = resample(waveform.float().cpu(), sample_rate, params.sample_rate)
    column_ms = 1000 * waveform.shape[-1] / params.sample_rate / PLOT_WIDTH
    params = replace(params, hop_ms=min(max(column_ms, params.hop_ms), params.window_ms))
    return Panel(title, mel_amplitudes(waveform[None], params)[0], params)


def write_figure(path: Path, panels: Sequence[Panel], title: str = "") -> None:
    """Draw the panels into a file; see `draw`."""
    write_atomically(path, draw(panels, title).image.save)


def draw(panels: Sequence[Panel], title: str = "") -> Figure:
    """The panels over seconds and hertz, loud is bright, 80 dB below the loudest place of each.

    The first panel, the content, gives the time axis of all, so that attacks stand below each other: what is longer is cut
    there. Beside every other panel is how its average spectrum differs from the first one's at equal energy, in dB: the
    equaliser that would make the one of the other.
    """
    height = TOP + PLOT_HEIGHT + BOTTOM
    first = HEADING if title else 0
    image = Image.new("RGB", (WIDTH, first + height * len(panels)), "white")
    pen = ImageDraw.Draw(image)
    if title:
        pen.text((LEFT, HEADING - 4), title, "black", ImageFont.load_default(19), anchor="ls")
    plots = tuple(
        (LEFT, top := first + i * height + TOP, LEFT + PLOT_WIDTH, top + PLOT_HEIGHT) for i in range(len(panels))
    )
    seconds = panels[0].seconds
    spectra = [_average_spectrum(panel) for panel in panels]
    for panel, spectrum, (left, top, right, bottom) in zip(panels, spectra, plots, strict=True):
        _draw_spectrogram(image, panel, seconds, (left, top))
        _draw_axes(pen, panel, seconds, top)
        if panel is not panels[0]:
            _draw_equaliser(pen, spectrum - spectra[0], right + GAP, top, bottom)
        _draw_bar(image, right + GAP + EQ_WIDTH + GAP, top)
    return Figure(image, plots)


def draw_curve(frequencies: Tensor, decibels: Tensor) -> Image.Image:
    """A gain in dB over frequencies in Hz, on a logarithmic axis from 40 Hz to the highest of them."""
    image = Image.new("RGB", (LEFT + CURVE_WIDTH + GAP, TOP + PLOT_HEIGHT + BOTTOM), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(14)
    shown = frequencies >= CURVE_LOWEST
    hertz, gain = frequencies[shown].numpy(), decibels[shown].numpy()
    most = max(6.0, 6 * np.ceil(np.abs(gain).max() / 6))
    octaves = np.log2(hertz[-1] / CURVE_LOWEST)

    def x(frequency: np.ndarray | float) -> np.ndarray:
        return LEFT + CURVE_WIDTH * np.log2(frequency / CURVE_LOWEST) / octaves

    def y(level: np.ndarray | float) -> np.ndarray:
        return np.asarray(TOP + PLOT_HEIGHT * (0.5 - level / most / 2))

    for level in np.linspace(-most, most, 5):
        pen.line((LEFT, float(y(level)), LEFT + CURVE_WIDTH, float(y(level))), GREY)
        pen.text((LEFT - 8, float(y(level))), f"{level:+g} dB" if level else "0 dB", "black", font, anchor="rm")
    for frequency in (CURVE_LOWEST, *HERTZ, 20000):
        if frequency <= 1.01 * hertz[-1]:
            at, label = float(x(frequency)), f"{frequency} Hz" if frequency < 1000 else f"{frequency // 1000} kHz"
            pen.line((at, TOP, at, TOP + PLOT_HEIGHT), GREY)
            pen.text((at, TOP + PLOT_HEIGHT + 7), label, "black", font, anchor="mt")
    pen.line(list(zip(x(hertz).tolist(), y(gain).tolist(), strict=True)), CURVE, width=2)
    return image


def _draw_spectrogram(image: Image.Image, panel: Panel, seconds: float, corner: tuple[int, int]) -> None:
    shown = round(panel.mel.shape[1] * min(1.0, seconds / panel.seconds))
    width = round(PLOT_WIDTH * min(1.0, panel.seconds / seconds))
    colours = _colours(_decibels(panel.mel))
    if shown < panel.mel.shape[1]:
        colours = colours.crop((0, 0, max(1, shown), colours.height))
    image.paste(colours.resize((max(1, width), PLOT_HEIGHT), Image.Resampling.BOX), corner)


def _draw_axes(pen: ImageDraw.ImageDraw, panel: Panel, seconds: float, top: int) -> None:
    font, bottom = ImageFont.load_default(17), top + PLOT_HEIGHT
    cut = f" (the first {_clock(seconds)} of {_clock(panel.seconds)})" if panel.seconds > seconds * 1.01 else ""
    pen.text((LEFT, top - 6), panel.title + cut, "black", font, anchor="ls")
    for hertz in HERTZ:
        if hertz <= panel.params.f_max:
            y = bottom - PLOT_HEIGHT * _mel(hertz) / _mel(panel.params.f_max)
            pen.line((LEFT - 6, y, LEFT - 1, y), "black")
            label = f"{hertz} Hz" if hertz < 1000 else f"{hertz // 1000} kHz"
            pen.text((LEFT - 8, y), label, "black", font, anchor="rm")
    for second in np.arange(0, seconds, _spacing(seconds)):
        x = LEFT + PLOT_WIDTH * second / seconds
        pen.line((x, bottom, x, bottom + 5), "black")
        pen.text((x, bottom + 7), _clock(second), "black", font, anchor="mt")


def _draw_equaliser(pen: ImageDraw.ImageDraw, gain: np.ndarray, left: int, top: int, bottom: int) -> None:
    """`gain` in dB for every row of the plot, from the top down."""
    font, centre = ImageFont.load_default(14), left + EQ_WIDTH / 2
    pen.rectangle((left, top, left + EQ_WIDTH, bottom), outline=GREY)
    pen.line((centre, top, centre, bottom), GREY)
    for level in (-24, 0, 24):
        x = centre + level / EQ_RANGE_DB * EQ_WIDTH / 2
        pen.line((x, bottom, x, bottom + 5), "black")
        pen.text((x, bottom + 7), f"{level:+d} dB" if level else "0", "black", font, anchor="mt")
    offset = np.clip(gain / EQ_RANGE_DB, -1, 1) * EQ_WIDTH / 2
    pen.line([(centre + x, top + row) for row, x in enumerate(offset)], CURVE, 2, "curve")
    pen.text((left, top - 6), "EQ from the first", "black", font, anchor="ls")


def _draw_bar(image: Image.Image, left: int, top: int) -> None:
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(14)
    ramp = np.linspace(-RANGE_DB, 0, PLOT_HEIGHT)[:, None].repeat(BAR_WIDTH, 1)
    image.paste(_colours(ramp), (left, top))
    for level in range(0, -round(RANGE_DB) - 1, -20):
        y = top - level / RANGE_DB * (PLOT_HEIGHT - 1)
        pen.line((left + BAR_WIDTH, y, left + BAR_WIDTH + 4, y), "black")
        pen.text((left + BAR_WIDTH + 8, y), f"{level} dB", "black", font, anchor="lm")


def _average_spectrum(panel: Panel) -> np.ndarray:
    """Average power in dB, of a sum over the rows of 0 dB, for every row of the plot from the top down, [PLOT_HEIGHT].

    Smoothed over a twelfth of the mel axis. What is 80 dB below the loudest row counts as that.
    """
    power = panel.mel.double().square().mean(1).numpy()
    window = np.hanning(len(power) // 12 * 2 + 3)
    padded = np.pad(power, len(window) // 2, "edge")
    smooth = np.convolve(padded, window / window.sum(), "valid")
    smooth = np.maximum(smooth, max(smooth.max() * 10 ** (-RANGE_DB / 10), 1e-30))
    rows = np.interp(np.linspace(len(smooth) - 1, 0, PLOT_HEIGHT), np.arange(len(smooth)), smooth)
    return 10 * np.log10(rows / rows.sum())


def _decibels(mel: Tensor) -> np.ndarray:
    """Amplitudes in dB below the largest, low frequencies first, at least `-RANGE_DB`."""
    amplitude = mel.numpy()
    floor = 10 ** (-RANGE_DB / 20)
    return 20 * np.log10(np.maximum(amplitude / max(amplitude.max(), 1e-12), floor))


def _colours(decibels: np.ndarray) -> Image.Image:
    """The first row of `decibels` becomes the lowest of the image."""
    position = (1 + decibels[::-1] / RANGE_DB) * (len(MAGMA) - 1)
    channels = [np.interp(position, range(len(MAGMA)), channel) for channel in MAGMA.T]
    return Image.fromarray(np.stack(channels, -1).astype(np.uint8))


def _mel(hertz: float) -> float:
    """HTK's mel scale."""
    return 2595 * np.log10(1 + hertz / 700)


def _spacing(duration: float) -> float:
    """Seconds between labels, at most twelve of them."""
    return next(s for s in (0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 36000) if duration / s <= 12)


def _clock(seconds: float) -> str:
    """5.1 s, or 2:05 from a minute on."""
    if seconds < 60:
        return f"{round(seconds, 1):g} s"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
