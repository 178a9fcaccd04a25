"""A true-peak limiter that looks ahead: single peaks are taken back smoothly, the rest stays as loud as it was."""

from __future__ import annotations

import logging
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .lazy import Scaled, Waveform
from .loudness import limit_true_peak, loudness, true_peak, true_peaks

LOOK_AHEAD = 0.005  # seconds from no reduction to a peak's full one
RELEASE = 60.0  # dB a second
STRONGEST_REDUCTION = 12.0  # dB; what needs more is turned down as a whole
CLOSE = 0.1  # LU
WORTH_A_WARNING = 1.0  # LU
ROUNDS = 4
BLOCKS_AT_ONCE = 1 << 18

logger = logging.getLogger("stylus")


def match_loudness(
    waveform: Waveform,
    content: Waveform,
    sample_rate: int,
    ceiling: float,
    limiter: bool = True,
    remedy: str = "turn the content down",
) -> Waveform:
    """The waveform as loud as the content (ITU-R BS.1770), with a true peak of at most `ceiling`.

    The limiter takes back peaks that reach beyond, by at most 12 dB. What it can't take, or all of it without one, turns the
    whole waveform down; if that makes it more than 1 LU quieter than the content, a warning with the remedy is logged. Silence
    stays silent.

    Shape: both `[C, T]` -> `[C, T]`
    """
    wanted, own = loudness(content, sample_rate), loudness(waveform, sample_rate)
    missing = wanted - own
    if not math.isfinite(missing):
        return limit_true_peak(waveform, sample_rate, ceiling)
    output: Waveform = Scaled(waveform, 10 ** (missing / 20))
    peaks, block = true_peaks(waveform, sample_rate)
    peaks *= 10 ** (missing / 20)
    peak, missing = float(peaks.max()), 0.0
    if limiter and peak > ceiling:
        output, missing = _limit_to(wanted, output, peaks, block, sample_rate, ceiling)
        peak = true_peak(output, sample_rate)
    if peak > ceiling:
        output = Scaled(output, ceiling / peak)
        missing += 20 * math.log10(peak / ceiling)
    if missing > WORTH_A_WARNING:
        logger.warning(
            "the output is %.1f LU quieter than the content, since its peaks leave no room: %s", missing, remedy
        )
    return output


def _limit_to(
    wanted: float, waveform: Waveform, peaks: Tensor, block: int, sample_rate: int, ceiling: float
) -> tuple[Waveform, float]:
    """Limit the waveform, amplified by what that takes from its loudness; the LU that are missing still."""
    highest = STRONGEST_REDUCTION - 20 * math.log10(float(peaks.max()) / ceiling)
    gain = min(0.0, highest)
    for _ in range(ROUNDS):
        factor = 10 ** (gain / 20)
        limited = limit_peaks(Scaled(waveform, factor), factor * peaks, block, sample_rate, ceiling)
        missing = wanted - loudness(limited, sample_rate)
        if missing < CLOSE or gain == highest:
            break
        gain = min(gain + missing, highest)
    return limited, missing


def limit_peaks(waveform: Waveform, peaks: Tensor, block: int, sample_rate: int, ceiling: float) -> Waveform:
    """Take back what reaches beyond `ceiling`.

    The reduction in dB that each block needs is held for the look-ahead on both sides, falls off at the release's slope, and
    is averaged over the look-ahead: no average over values that are all large enough is too small.

    Args:
        waveform: `[C, T]` at `sample_rate` Hz.
        ceiling: of the true peak, full scale being 1.
        peaks: true peak of each `block` samples of it, `[ceil(T / block)]`.
    """
    if peaks.max() <= ceiling:
        return waveform
    ahead = max(1, round(LOOK_AHEAD * sample_rate / block))
    fall = RELEASE * block / sample_rate  # dB a block
    # A block's gain depends on those that far from it and no others, so that pieces of a long recording give the same.
    reach = 2 * ahead + 1 + math.ceil(20 * math.log10(float(peaks.max()) / ceiling) / fall)
    gain = torch.empty(len(peaks), dtype=torch.float64)
    for first in range(0, len(peaks), BLOCKS_AT_ONCE):
        begin = max(first - reach, 0)
        needed = 20 * torch.log10((peaks[begin : first + BLOCKS_AT_ONCE + reach].double() / ceiling).clamp(min=1))
        own = gain[first : first + BLOCKS_AT_ONCE]
        own[:] = 10 ** (-_reduction(needed, ahead, fall)[first - begin :][: len(own)] / 20)
    return Scaled(waveform, gain, block)


def _reduction(needed: Tensor, ahead: int, fall: float) -> Tensor:
    """The smooth reduction in dB that is nowhere less than what is needed. Shape: `[blocks]` -> `[blocks]`"""
    # One block more than is averaged below, since the gain is interpolated towards the neighbours.
    held = F.max_pool1d(needed[None, None], 2 * ahead + 3, stride=1, padding=ahead + 1)[0, 0]
    fallen = fall * torch.arange(len(held), dtype=torch.float64)
    released = (held + fallen).cummax(0).values - fallen
    window = torch.hann_window(2 * ahead + 3, periodic=False, dtype=torch.float64)[1:-1]
    padded = F.pad(released[None, None], (ahead, ahead), mode="replicate")
    return F.conv1d(padded, (window / window.sum())[None, None])[0, 0]
