"""Both resamplers against each other, and against what they resample."""

import math

import pytest
import torch

from stylus_ops.audio import backend
from stylus_ops.audio.backend import resample, resample_with_soxr
from tests.unit.signals import below, noise, sine, snr

RATES = [(8000, 44100), (24000, 44100), (44100, 48000), (48000, 44100), (192000, 44100), (44100, 192000)]


@pytest.mark.skipif(backend.resample_with_torchaudio is None, reason="torchaudio cannot load here")
@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
def test_torchaudio_and_soxr_resample_alike(from_rate, to_rate):
    wave = below(noise(1.0, from_rate), from_rate, 0.88 * min(from_rate, to_rate) / 2).float()
    wave *= torch.hann_window(wave.shape[-1])
    first, second = resample(wave, from_rate, to_rate), resample_with_soxr(wave, from_rate, to_rate)
    assert first.shape == second.shape
    assert snr(first, second) > 75


@pytest.mark.parametrize("resampler", [resample, resample_with_soxr])
@pytest.mark.parametrize(("from_rate", "to_rate"), [*RATES, (44099, 44100)])
def test_a_sine_is_the_same_sine_at_another_rate(resampler, from_rate, to_rate):
    clip, wanted = (sine(1000, 0.5, rate, 0.5) for rate in (from_rate, to_rate))
    got = resampler(clip, from_rate, to_rate)
    assert got.shape[-1] == math.ceil(clip.shape[-1] * to_rate / from_rate)
    middle = slice(to_rate // 10, to_rate // 10 * 4)
    assert snr(wanted[:, middle], got[:, middle]) > 90
