"""Levels of what was decoded: edges, channels, loudness over time and as a whole, peaks, and how much of it is heard."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..dials import Decoding
from .dynamics import decibels, follow_dynamics
from .lazy import Mixed, Scaled, Waveform, WithEnds, blocks
from .limiter import match_loudness
from .loudness import allowed_peak, limit_true_peak

EDGE = 0.005  # seconds
BESIDE = 10  # times as long: where the level of an edge is taken from
LOUDEST_EDGE = 16.0  # of the content
BALANCE = 1.0  # dB
SILENT_CHANNEL = 1e-6  # of the loudest channel's power, -60 dB


def finish(
    decoded: Waveform, content: Waveform, sample_rate: int, decoding: Decoding, ceiling: float | None = None
) -> Waveform:
    """The decoded sound at levels that the content sets; nothing is computed before it is read.

    Args:
        decoded, content: `[C, T]` at `sample_rate` Hz.
        decoding: its loudness, dynamics and mix are used.
        ceiling: of the true peak, full scale being 1; None for the larger of -1 dBFS and the content's own.

    Returns:
        `[C, T]`; the content itself at mix 0, turned down where it is above the ceiling.

    An output that stays more than 1 LU quieter than the content is logged as a warning of "stylus".
    """
    if ceiling is None:
        ceiling = allowed_peak(content, sample_rate)
    if decoding.mix == 0:
        return limit_true_peak(content, sample_rate, ceiling)
    output = balanced(keep_edges(decoded, content, sample_rate), content)
    output = follow_dynamics(output, content, sample_rate, decoding.dynamics)
    if decoding.loudness == "match_content":
        output = match_loudness(output, content, sample_rate, ceiling, limiter=decoding.dynamics > 0)
    else:
        output = limit_true_peak(output, sample_rate, ceiling)
    if decoding.mix == 1:
        return output
    return limit_true_peak(Mixed(content, output, decoding.mix), sample_rate, ceiling)


def keep_edges(waveform: Waveform, content: Waveform, sample_rate: int) -> Waveform:
    """The waveform with its first and last milliseconds faded into the content, which is as loud there as the waveform beside.

    A clip that ends within a sound has a step there, which a filter with the sound's phase turns into an impulse.

    Shape: both `[C, T]` -> `[C, T]`
    """
    samples = waveform.shape[-1]
    fade = min(round(EDGE * sample_rate), samples // 2)
    share = 0.5 - 0.5 * torch.cos(torch.pi * (torch.arange(fade) + 0.5) / fade)

    def end(part: slice, beside: slice, share: Tensor) -> Tensor:
        power, wanted = (float(sound[:, beside].square().sum()) for sound in (content, waveform))
        level = min(math.sqrt(wanted / power), LOUDEST_EDGE) if power > 0 else 1.0
        return torch.lerp(level * content[:, part], waveform[:, part], share)

    head = end(slice(0, fade), slice(fade, BESIDE * fade), share)
    tail = end(slice(samples - fade, samples), slice(max(samples - BESIDE * fade, 0), samples - fade), share.flip(0))
    return WithEnds(waveform, head, tail)


def balanced(waveform: Waveform, content: Waveform) -> Waveform:
    """The waveform with no channel more than 1 dB off the level beside the others that it has in the content.

    Shape: both `[C, T]` -> `[C, T]`
    """
    own, wanted = channel_power(waveform), channel_power(content)
    wanted = wanted.clamp(min=SILENT_CHANNEL * float(wanted.max()))
    stray = decibels(own) - decibels(wanted)
    stray -= (stray * own).sum() / own.sum().clamp(min=torch.finfo(own.dtype).tiny)
    gain = stray.clamp(-BALANCE / 2, BALANCE / 2) - stray
    return Scaled(waveform, 10 ** (gain / 20)[:, None].float()) if gain.any() else waveform


def channel_power(waveform: Waveform) -> Tensor:
    """Sum of squares of each channel: `[C, T]` -> `[C]` float64."""
    return sum((piece.double().square().sum(1) for piece in blocks(waveform)), torch.zeros(waveform.shape[0]).double())
