"""Loudness matched below a ceiling: peaks are taken back, the rest stays."""

import math

import pytest
import torch

from stylus_ops.audio import limiter
from stylus_ops.audio.limiter import limit_peaks, match_loudness
from stylus_ops.audio.loudness import MINUS_1_DBFS, allowed_peak, integrated_loudness, true_peak, true_peaks
from tests.unit.signals import noise, seconds, sine

RATE = 44100


def peaky(peak=0.9):
    """A quiet tone with a short loud burst in its middle."""
    t = seconds(2.0, RATE)
    burst = torch.exp(-(((t - 1.0) / 0.002) ** 2))
    return ((0.1 + (peak - 0.1) * burst) * torch.sin(2 * math.pi * 300 * t))[None].float()


@pytest.mark.parametrize("rate", [8000, 44100, 96000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("excess", [1.05, 2.0, 3.9])
def test_no_peak_passes_the_ceiling(rate, channels, excess):
    clip = noise(1.0, rate, channels)[0]
    clip = clip * excess / true_peak(clip, rate)
    limited = limit_peaks(clip, *true_peaks(clip, rate), rate, 1.0)
    assert true_peak(limited, rate) < 1.01


def test_what_is_far_from_a_peak_is_left_alone():
    clip = peaky(2.0)
    limited = limit_peaks(clip, *true_peaks(clip, RATE), RATE, 1.0)
    assert true_peak(limited, RATE) == pytest.approx(1.0, abs=0.05)
    early, late = slice(0, int(0.98 * RATE)), slice(int(1.2 * RATE), None)
    assert torch.equal(limited[:, early], clip[:, early])
    torch.testing.assert_close(limited[:, late], clip[:, late])


def test_pieces_of_a_long_recording_get_the_gain_of_the_whole(monkeypatch):
    """With peaks whose look-ahead and release cross from one piece to the next."""
    clip = noise(3.0, RATE, 2)[0] * torch.rand(3 * RATE, generator=torch.Generator().manual_seed(1)) ** 8 * 8
    peaks, block = true_peaks(clip, RATE)
    ones = torch.ones_like(clip)
    whole = limit_peaks(ones, peaks, block, RATE, 0.5)[:, :]
    assert whole.min() < 0.2
    monkeypatch.setattr(limiter, "BLOCKS_AT_ONCE", 100)
    torch.testing.assert_close(limit_peaks(ones, peaks, block, RATE, 0.5)[:, :], whole, rtol=1e-6, atol=0)


def test_a_single_peak_no_longer_holds_the_clip_down(caplog):
    content = 0.3 * sine(300, 2.0, RATE)
    output = peaky()
    limited = match_loudness(output, content, RATE, allowed_peak(content, RATE))
    assert integrated_loudness(limited, RATE) == pytest.approx(integrated_loudness(content, RATE), abs=0.2)
    assert true_peak(limited, RATE) <= MINUS_1_DBFS * 1.0001
    assert not caplog.records
    turned_down = match_loudness(output, content, RATE, allowed_peak(content, RATE), limiter=False)
    missing = integrated_loudness(content, RATE) - integrated_loudness(turned_down, RATE)
    assert missing > 5
    assert f"{missing:.1f} LU quieter than the content" in caplog.text


def test_more_than_the_limiter_takes_is_turned_down_with_a_warning(caplog):
    content, output = 0.9 * sine(300, 2.0, RATE).sign(), 1e-3 * sine(300, 2.0, RATE)
    output[:, ::4410] = 0.9
    limited = match_loudness(output, content, RATE, allowed_peak(content, RATE))
    assert true_peak(limited, RATE) <= true_peak(content, RATE) * 1.0001
    assert "LU quieter than the content" in caplog.text
