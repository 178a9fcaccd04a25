"""Strokes: what beats in a style is played where the content's notes begin.

Rain falls at any time. A style that keeps a beat has a rhythm, but that of a transfer is the content's: each of its onsets takes the stroke
that lies nearest in the style, looped over the content, so that their order stays.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEAD, FADE, LONGEST = 0.03, 0.005, 3.0  # seconds: how late an onset is told, of a stroke's edges, and of all of it
RINGING = 4  # of so many parts of a stroke the last one is played to and fro until the next onset
FALL = 30.0  # dB a second by which that fades, because at one level it buzzes


def strokes_at(onsets: Tensor, loop: Tensor, strokes: Tensor, samples: slice, sample_rate: int) -> Tensor:
    """Strokes of a loop `[C, n]` at onsets, each until the next onset: `[C, samples]`.

    Args:
        onsets: samples of the content, ascending.
        strokes: samples of the loop in which they begin, ascending.
        samples: of the content.
    """
    result = torch.zeros(len(loop), samples.stop - samples.start)
    if len(strokes) == 0:
        return result
    lead, fade, longest = (round(seconds * sample_rate) for seconds in (LEAD, FADE, LONGEST))
    length, lasting = loop.shape[-1], strokes.diff(append=strokes[:1] + loop.shape[-1])
    counts = onsets.diff(append=onsets[-1:] + longest).clamp(max=longest)
    for onset, count in zip(onsets.tolist(), counts.tolist(), strict=True):
        apart = (strokes - onset % length).abs()
        nearest = int(torch.minimum(apart, length - apart).argmin())
        at = torch.arange(count)
        stroke = loop[:, (strokes[nearest] - lead + ringing(at, int(lasting[nearest]))) % length]
        stroke = stroke * 10 ** (-FALL / 20 * (at - lasting[nearest]).clamp(min=0) / sample_rate)
        stroke = stroke * (torch.minimum(at + 1, count - at) / fade).clamp(max=1)
        at += onset - lead
        inside = (at >= samples.start) & (at < samples.stop)
        result[:, at[inside] - samples.start] += stroke[:, inside]
    return result


def ringing(at: Tensor, lasting: int) -> Tensor:
    """Places in a stroke of `lasting` samples: in order, and then its last part to and fro."""
    tail = max(lasting // RINGING, 1)
    beyond = (at - lasting).clamp(min=0) % (2 * tail)
    return torch.where(at < lasting, at, lasting - 1 - torch.minimum(beyond, 2 * tail - 1 - beyond))
