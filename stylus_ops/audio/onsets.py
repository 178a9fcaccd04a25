"""Onsets: when notes and strokes begin, and whether they keep a beat.

Something begins where a mel spectrum in dB has risen above its neighbouring bands, so that vibrato is no onset (SuperFlux, Böck & Widmer,
DAFx 2013). Each onset is found from what is within a quarter of a second of it, so a section has the recording's own.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from .detail import ramp
from .geometry import SpectrogramParams
from .lazy import Waveform
from .mel import mel_amplitudes

STEP_MS, FRAME_MS = 10.0, 80.0
HIGHEST, BANDS = 8_000.0, 256  # Hz, and mel bands up to there
SILENT, DEEPEST = -100.0, 45.0  # dB, and below the loudest band of a step, where nothing is heard
LAG, WIDTH = 2, 3  # steps that a rise is over, bands that it is above
RISE = 0.15  # dB, a weighted mean over the bands, above the mean around
ALONE, AROUND = 5, 10  # steps on either side without a stronger rise, and of that mean
MARGIN, AT_ONCE = 25, 6000  # steps
LAGS = (10, 200)  # steps after which a beat repeats
FASTEST = 20  # of them; what repeats faster is a trill or a buzz
REPEATED = (0.4, 0.6)  # autocorrelation of the rises: a texture's is less, a drum loop's more


def onsets(waveform: Waveform, sample_rate: int) -> Tensor:
    """Samples at which something begins in `[C, T]`, the middle of its rise: `[onsets]`, ascending; none in the last ALONE steps,
    where the end itself looks like one."""
    hop, found = geometry(sample_rate).hop_length, []
    steps = max(-(-waveform.shape[-1] // hop) - ALONE, 1)
    for first in range(0, steps, AT_ONCE):
        start, end = max(first - MARGIN, 0), min(first + AT_ONCE, steps)
        rise = rises(waveform[:, start * hop : (end + MARGIN) * hop], sample_rate)
        strongest = F.max_pool1d(rise[None], 2 * ALONE + 1, 1, ALONE)[0]
        mean = F.avg_pool1d(rise[None], 2 * AROUND + 1, 1, AROUND, count_include_pad=False)[0]
        peaks = ((rise >= strongest) & (rise > mean + RISE)).nonzero()[:, 0] + start
        found.append(peaks[(peaks >= first) & (peaks < end)])
    return hop * (torch.cat(found) + 1)  # windows of FRAME_MS see it a step before


def beat(waveform: Tensor, sample_rate: int) -> float:
    """How regular the onsets of `[C, T]` are: 0 for rain, 1 for a drum loop."""
    rise = rises(waveform, sample_rate)[AROUND:]  # the first of all would count for all others
    steps, shortest, longest = len(rise), LAGS[0], min(LAGS[1], round(0.6 * len(rise)))
    if longest <= shortest or not rise.any():
        return 0.0
    power = torch.fft.rfft(rise - rise.mean(), 2 * steps).abs().square()
    repeated = torch.fft.irfft(power)[:longest] / torch.arange(steps, steps - longest, -1)
    lag = shortest + int(repeated[shortest:].argmax())
    return float(ramp(repeated[lag] / repeated[0], REPEATED)) if lag > FASTEST else 0.0


def rises(waveform: Tensor, sample_rate: int) -> Tensor:
    """How far each step rises above an earlier one, in dB, low bands more than high ones: `[C, T]` -> `[steps]`"""
    level = (20 * mel_amplitudes(waveform[None], geometry(sample_rate))[0].log10()).clamp(min=SILENT)
    before = F.max_pool1d(level.T, WIDTH, 1, WIDTH // 2).T
    before = F.pad(before, (LAG, 0), value=SILENT)[:, : level.shape[1]]
    rise = (level - before.maximum(level.amax(0) - DEEPEST)).relu()
    return torch.linspace(2, 0, len(rise)) @ rise / len(rise)


@lru_cache
def geometry(sample_rate: int) -> SpectrogramParams:
    highest = min(HIGHEST, sample_rate / 2)
    return SpectrogramParams(sample_rate, FRAME_MS, STEP_MS, padding=2, n_mels=BANDS, f_max=highest)
