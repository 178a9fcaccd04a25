"""Levels of what was decoded: loudness over time, loudness as a whole, peaks, and how much of it is heard."""

from __future__ import annotations

from ..dials import Decoding
from .dynamics import follow_dynamics
from .lazy import Mixed, Waveform
from .limiter import match_loudness
from .loudness import allowed_peak, limit_true_peak


def finish(decoded: Waveform, content: Waveform, sample_rate: int, decoding: Decoding) -> Waveform:
    """The decoded sound at levels that the content sets; nothing is computed before it is read.

    Args:
        decoded, content: `[C, T]` at `sample_rate` Hz.
        decoding: its loudness, dynamics and mix are used.

    Returns:
        `[C, T]` with a true peak of at most the larger of -1 dBFS and the content's own; the content itself at mix 0.

    An output that stays more than 1 LU quieter than the content is logged as a warning of "stylus".
    """
    if decoding.mix == 0:
        return content
    output = follow_dynamics(decoded, content, sample_rate, decoding.dynamics)
    ceiling = allowed_peak(content, sample_rate)
    if decoding.loudness == "match_content":
        output = match_loudness(output, content, sample_rate, ceiling, limiter=decoding.dynamics > 0)
    else:
        output = limit_true_peak(output, sample_rate, ceiling)
    if decoding.mix == 1:
        return output
    return limit_true_peak(Mixed(content, output, decoding.mix), sample_rate, ceiling)
