"""The picture of spectrograms."""

import numpy as np
import torch
from PIL import Image

from stylus_ops.audio.figure import LEFT, MAGMA, PLOT_HEIGHT, PLOT_WIDTH, TOP, Panel, draw, write_figure
from stylus_ops.audio.geometry import PRESETS

PARAMS = PRESETS["tiny-256"]


def test_loud_is_bright_and_low_is_at_the_bottom(tmp_path):
    mel = torch.full((PARAMS.n_mels, 100), 1e-6)
    mel[:32, 50:] = 1.0
    write_figure(tmp_path / "out.png", [Panel("clip", mel, PARAMS), Panel("again", mel, PARAMS)])
    with Image.open(tmp_path / "out.png") as picture:
        plot = np.asarray(picture)[TOP : TOP + PLOT_HEIGHT, LEFT : LEFT + PLOT_WIDTH]
    dark, bright = MAGMA[0], MAGMA[-1]
    assert (plot[10, 10] == dark).all()
    assert (plot[10, -10] == dark).all()
    assert (plot[-10, 10] == dark).all()
    assert (plot[-10, -10] == bright).all()


def test_silence_and_single_frames_are_drawn():
    silence = draw([Panel("silence", torch.zeros(PARAMS.n_mels, 1), PARAMS)])
    assert silence.height == TOP + PLOT_HEIGHT + 26
