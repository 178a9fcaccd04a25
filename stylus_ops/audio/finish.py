"""Levels of what was decoded: channels, loudness over time and as a whole, peaks, and how much of it is heard."""

from __future__ import annotations

import torch
from torch import Tensor

from ..dials import Decoding
from .dynamics import decibels, follow_dynamics
from .lazy import Mixed, Scaled, Waveform, blocks
from .limiter import match_loudness
from .loudness import allowed_peak, limit_true_peak

BALANCE = 1.0  # dB
SILENT_CHANNEL = 1e-6  # of the loudest channel's power, -60 dB


def finish(
    decoded: Waveform,
    content: Waveform,
    sample_rate: int,
    decoding: Decoding,
    ceiling: float | None = None,
    fall: float = 0.0,
) -> Waveform:
    """The decoded sound at levels that the content sets; nothing is computed before it is read.

    Args:
        decoded, content: `[C, T]` at `sample_rate` Hz.
        decoding: its loudness, dynamics and mix are used.
        ceiling: of the true peak, full scale being 1; None for the larger of -1 dBFS and the content's own.
        fall: dB a second by which notes fade, as in `follow_dynamics`.

    Returns:
        `[C, T]`; the content itself at mix 0, turned down where it is above the ceiling.
    """
    if decoding.mix == 0:
        return content if ceiling is None else limit_true_peak(content, sample_rate, ceiling)
    if ceiling is None:
        ceiling = allowed_peak(content, sample_rate)
    output = follow_dynamics(balanced(decoded, content), content, sample_rate, decoding.dynamics, fall)
    if decoding.loudness == "match_content":
        remedy = "raise dynamics" if decoding.dynamics < 1 else "turn the content down"
        output = match_loudness(output, content, sample_rate, ceiling, decoding.dynamics > 0, remedy)
    else:
        output = limit_true_peak(output, sample_rate, ceiling)
    if decoding.mix == 1:
        return output
    return limit_true_peak(Mixed(content, output, decoding.mix), sample_rate, ceiling)


def balanced(waveform: Waveform, content: Waveform) -> Waveform:
    """The waveform `[C, T]` with no channel more than 1 dB off the level beside the others that it has in the content."""

    def power(sound: Waveform) -> Tensor:
        total = sum((piece.double().square().sum(1) for piece in blocks(sound)), torch.zeros(sound.shape[0]).double())
        return total.clamp(min=SILENT_CHANNEL * float(total.max()))

    own, wanted = power(waveform), power(content)
    stray = decibels(own) - decibels(wanted)
    stray -= (stray * own).sum() / own.sum().clamp(min=torch.finfo(own.dtype).tiny)
    gain = stray.clamp(-BALANCE / 2, BALANCE / 2) - stray
    return Scaled(waveform, 10 ** (gain / 20)[:, None].float()) if gain.any() else waveform
