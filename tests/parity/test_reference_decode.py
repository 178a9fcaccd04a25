"""The paper's preset of the decode against the plain reference."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from stylus_ops.audio.decode import decode
from stylus_ops.audio.geometry import PRESETS
from stylus_ops.audio.windows import audio_to_windows, windows_to_mel
from stylus_ops.dials import Decoding
from stylus_ops.pipeline.settings import PAPER
from tests.unit.signals import melody, mix, noise

from .reference_decode import decode_pinv

DECODING = Decoding(
    **{name: PAPER[name] for name in ("decode", "phase_iters", "dynamics", "grain", "detail", "partials", "mix")}
)


@pytest.mark.parametrize("level", [0.1, 3.0], ids=["room", "turned down"])
@pytest.mark.parametrize("signal", [melody, mix])
def test_the_papers_preset_gives_the_papers_samples(signal, level):
    params = PRESETS["tiny-256"]
    # A little noise, since what is digital silence between the notes has the phase of float32's rounding.
    clip = level * (signal(1.2, 44100) + 0.02 * noise(1.2, 44100))
    images, spectrogram = audio_to_windows(clip, 44100, params)
    images = (images + audio_to_windows(noise(1.2, 44100).flip(-1), 44100, params)[0]) / 2
    mel = windows_to_mel(images, spectrogram)[0].double().numpy()
    sizes = params.n_fft, params.win_length, params.hop_length, params.f_max
    expected = decode_pinv(clip[0].double().numpy(), mel, 44100, *sizes)
    got = decode(images, spectrogram, DECODING)[0]
    error = np.linalg.norm(got.double().numpy() - expected) / np.linalg.norm(expected)
    assert error < (1e-3 if level < 1 else 5e-3)  # two oversamplers find two true peaks
    assert not torch.equal(got, decode(images, spectrogram, replace(DECODING, dynamics=1.0))[0])
