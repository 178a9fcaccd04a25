"""Edges: the first and last milliseconds of a changed recording are the content's own."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .lazy import Waveform, WithEnds

EDGE = 0.005  # seconds
BESIDE = 10  # times as long: where the level of an edge is taken from
LOUDEST = 16.0  # of the content


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
        level = min(math.sqrt(wanted / power), LOUDEST) if power > 0 else 1.0
        return torch.lerp(level * content[:, part], waveform[:, part], share)

    head = end(slice(0, fade), slice(fade, BESIDE * fade), share)
    tail = end(slice(samples - fade, samples), slice(max(samples - BESIDE * fade, 0), samples - fade), share.flip(0))
    return WithEnds(waveform, head, tail)
