"""Loudness and true peak of signals whose values are known."""

import math

import pyloudnorm
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stylus_ops.audio.loudness import equal_loudness_gains, integrated_loudness, loudness_gain, true_peak
from tests.unit.signals import noise, sine


@given(st.sampled_from([8000, 11025, 44100, 48000]), st.integers(1, 5), st.floats(0.4, 4.0), st.integers(500, 50_000))
@settings(max_examples=20, deadline=None)
def test_loudness_is_pyloudnorms(rate, channels, duration, at_once):
    generator = torch.Generator().manual_seed(at_once)
    samples = math.ceil(duration * rate)
    envelope = torch.rand(samples // 1000 + 1, generator=generator).pow(4).repeat_interleave(1000)[:samples]
    waveform = 0.5 * envelope * torch.randn(channels, samples, generator=generator)
    expected = pyloudnorm.Meter(rate).integrated_loudness(waveform.double().t().numpy())
    assert integrated_loudness(waveform, rate, at_once) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("channels", [1, 2, 8])
@pytest.mark.parametrize("duration", [0.1, 2.0])
def test_gains_undo_a_change_of_level_and_silence_asks_for_none(channels, duration):
    clip = noise(duration, 44100, channels)[0]
    assert loudness_gain(0.3 * clip, clip, 44100) == pytest.approx(1 / 0.3, rel=1e-3)
    assert loudness_gain(0 * clip, clip, 44100) == loudness_gain(clip, 0 * clip, 44100) == 1
    gains = equal_loudness_gains([(wave, 44100) for wave in (clip, 0.3 * clip, 0 * clip)])
    assert gains == [pytest.approx(0.3, rel=1e-3), 1, 1]


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_the_true_peak_lies_between_the_samples(rate):
    wave = sine(rate / 4, 0.5, rate, phase=math.pi / 4)
    fade = torch.hann_window(wave.shape[-1]) ** 0.1
    assert float((wave * fade).abs().max()) < 0.72
    assert true_peak(wave * fade, rate) == pytest.approx(1, abs=0.01)


def test_the_true_peak_of_a_long_clip_is_that_of_its_loudest_part():
    wave = 0.1 * noise(15, 44100)[0]
    wave[0, 600000:600100] += sine(11025, 100 / 44100, 44100, phase=math.pi / 4)[0]
    assert true_peak(wave, 44100) == pytest.approx(true_peak(wave[:, 599000:601000], 44100), rel=1e-3)
