"""Haze and beginnings, on sounds where they can be said beforehand."""

import math

import pytest
import torch

from stylus_ops.evaluation.clarity import BLOCK, N_FFT, RATE, clarity


def partials(level_db: float) -> torch.Tensor:
    """[1, T]: a partial in the middle of each block of bins, over white noise that lies `level_db` under it, bin by bin."""
    time = torch.arange(4 * RATE) / RATE
    bins = [56 + BLOCK // 2 + BLOCK * n for n in range(27)]
    sines = torch.stack([torch.sin(2 * torch.pi * k * RATE / N_FFT * time + k * k) for k in bins]).sum(0)
    noise = torch.randn(len(time), generator=torch.Generator().manual_seed(0))
    # In a Hann window of N samples a sine of amplitude 1 peaks at N / 4, and noise of deviation 1 has the median magnitude
    # sqrt(3 N / 8 * ln 2).
    deviation = 10 ** (-level_db / 20) * (N_FFT / 4) / math.sqrt(3 * N_FFT / 8 * math.log(2))
    return (0.01 * (sines + deviation * noise))[None]


@pytest.mark.parametrize("level_db", [20, 30])
def test_a_crest_is_what_partials_stand_above_the_noise_between_them(level_db: float):
    for gain in (1.0, 0.01):
        measured = clarity(gain * partials(level_db), RATE)
        assert measured.crest_low == pytest.approx(level_db, abs=2)
        assert measured.crest_high == pytest.approx(level_db, abs=2)


def test_a_sound_that_begins_at_once_is_sharper_than_one_that_fades_in():
    time = torch.arange(RATE // 4) / RATE
    tone = torch.sin(2 * torch.pi * 440 * time)
    struck, bowed = (
        (tone * envelope).repeat(8)[None] for envelope in (torch.exp(-20 * time), torch.sin(4 * torch.pi * time) ** 2)
    )
    assert clarity(struck, RATE).onset_sharpness > 15
    assert clarity(bowed, RATE).onset_sharpness < 12
    assert clarity(tone.repeat(8)[None], RATE).onset_sharpness < 1


def test_silence_has_neither_partials_nor_beginnings():
    assert clarity(torch.zeros(1, RATE), RATE) == (0, 0, 0)
