"""The meter that is fed block by block, against pyloudnorm over the whole clip."""

import math

import numpy as np
import pyloudnorm
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stylus_ops.audio.meter import LoudnessMeter


def measured(waveform: torch.Tensor, rate: int, size: int) -> float:
    meter = LoudnessMeter(len(waveform), rate)
    for block in waveform.split(size, 1):
        meter.feed(block)
    return meter.loudness()


@given(
    st.sampled_from([8000, 11025, 44100, 48000]),
    st.integers(1, 5),
    st.floats(0.4, 6.0),
    st.integers(500, 50_000),
    st.integers(0, 9999),
)
@settings(max_examples=25, deadline=None)
def test_it_reads_what_pyloudnorm_reads(rate: int, channels: int, seconds: float, size: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    samples = math.ceil(seconds * rate)
    envelope = torch.rand(samples // 1000 + 1, generator=generator).pow(4).repeat_interleave(1000)[:samples]
    waveform = 0.5 * envelope * torch.randn(channels, samples, generator=generator)
    expected = pyloudnorm.Meter(rate).integrated_loudness(waveform.double().t().numpy())
    assert measured(waveform, rate, size) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("level", [0.0, 1e-7])
def test_what_is_below_the_gate_has_no_loudness(level: float) -> None:
    time = torch.arange(44100) / 44100
    assert measured(level * torch.sin(2 * np.pi * 440 * time)[None], 44100, 10_000) == -math.inf


def test_a_sine_at_full_scale_has_minus_3_lufs() -> None:
    """Within the tolerance of EBU Tech 3341."""
    time = torch.arange(3 * 48000, dtype=torch.float64) / 48000
    assert measured(torch.sin(2 * np.pi * 997 * time)[None].float(), 48000, 4096) == pytest.approx(-3.01, abs=0.1)
