"""The figure of spectrograms."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from stylus_ops.audio.figure import CURVE, EQ_RANGE_DB, EQ_WIDTH, GAP, MAGMA, PLOT_WIDTH, Panel, draw, write_figure
from stylus_ops.audio.geometry import PRESETS

PARAMS = PRESETS["tiny-256"]
DARK, BRIGHT = MAGMA[0], MAGMA[-1]


def plot(figure, number):
    return np.asarray(figure.image.crop(figure.plots[number]))


def equaliser(figure, number):
    """The EQ curve in dB, from the top row down."""
    _, top, right, bottom = figure.plots[number]
    box = np.asarray(figure.image.crop((right + GAP, top, right + GAP + EQ_WIDTH + 1, bottom)))
    coloured = (box == CURVE).all(-1)
    x = [np.flatnonzero(row).mean() for row in coloured if row.any()]
    return (np.array(x) / EQ_WIDTH * 2 - 1) * EQ_RANGE_DB


def test_loud_is_bright_and_low_is_at_the_bottom(tmp_path):
    mel = torch.full((PARAMS.n_mels, 100), 1e-6)
    mel[:32, 50:] = 1.0
    panels = [Panel("clip", mel, PARAMS), Panel("again", mel, PARAMS)]
    write_figure(tmp_path / "out.png", panels)
    figure = draw(panels)
    with Image.open(tmp_path / "out.png") as image:
        assert (np.asarray(image) == np.asarray(figure.image)).all()
    for number in (0, 1):
        corners = plot(figure, number)[[10, 10, -10, -10], [10, -10, 10, -10]]
        assert (corners == [DARK, DARK, DARK, BRIGHT]).all()


def test_seconds_stand_below_each_other_whatever_the_length():
    panels = []
    for frames in (100, 400, 60):
        mel = torch.full((PARAMS.n_mels, frames), 1e-6)
        mel[:, 50] = 1.0
        panels.append(Panel("clip", mel, PARAMS))
    figure = draw(panels)
    columns = [np.flatnonzero((plot(figure, i)[100] == BRIGHT).all(-1)) for i in range(3)]
    for found in columns:
        assert found.min() == pytest.approx(0.5 * PLOT_WIDTH, abs=2)
        assert found.max() == pytest.approx(0.51 * PLOT_WIDTH, abs=2)
    assert (plot(figure, 2)[:, int(0.61 * PLOT_WIDTH) :] == 255).all()


def test_the_equaliser_is_the_difference_of_average_spectra_at_equal_energy():
    flat = torch.full((PARAMS.n_mels, 50), 0.01)
    tilted = flat * 10 ** (torch.linspace(10, -10, PARAMS.n_mels)[:, None] / 20)
    figure = draw([Panel("flat", flat, PARAMS), Panel("loud", 5 * flat, PARAMS), Panel("bass", tilted, PARAMS)])
    assert np.abs(equaliser(figure, 1)).max() < 1
    curve = equaliser(figure, 2)
    assert curve[-10] - curve[10] == pytest.approx(20, abs=3)
    assert (np.diff(curve) > -1).all()


@pytest.mark.parametrize("seconds", [0.05, 59, 100000])
def test_silence_and_any_length_and_titles_are_drawn(seconds):
    silence = Panel("a long title " * 20, torch.zeros(PARAMS.n_mels, 10), replace(PARAMS, hop_ms=100 * seconds))
    assert (plot(draw([silence, silence], silence.title), 1) == DARK).all()
