"""Strokes: what beats in a style is played where the content's notes begin.

Rain falls at any time. A style that keeps a beat has a rhythm, but that of a transfer is the content's: each of its onsets takes the stroke
that lies nearest in the style, looped over the content, so that their order stays.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEAD, FADE, LONGEST = (
    0.03,
    0.005,
    2.0,
)  # seconds: how late an onset is told, in which a stroke rises and ends, of a stroke


def strokes_at(onsets: Tensor, loop: Tensor, strokes: Tensor, samples: slice, sample_rate: int) -> Tensor:
    """Strokes of a loop `[C, n]` at onsets, each until the next one of either: `[C, samples]`.

    Args:
        onsets: samples of the content, ascending.
        strokes: samples of the loop in which they begin, ascending.
        samples: of the content.
    """
    result = torch.zeros(len(loop), samples.stop - samples.start)
    if len(strokes) == 0:
        return result
    length, lead, fade = loop.shape[-1], round(LEAD * sample_rate), round(FADE * sample_rate)
    lasting = strokes.diff(append=strokes[:1] + length).clamp(max=round(LONGEST * sample_rate))
    free = onsets.diff(append=onsets[-1:] + length)
    rise = torch.sin(torch.pi / 2 * (torch.arange(fade) + 0.5) / fade)
    for onset, until in zip(onsets.tolist(), free.tolist(), strict=True):
        apart = (strokes - onset % length).abs()
        nearest = int(torch.minimum(apart, length - apart).argmin())
        count = min(int(lasting[nearest]), until)
        at = torch.arange(count) - lead
        stroke = loop[:, (strokes[nearest] + at) % length]
        edge = rise[: count // 2]
        stroke[:, : len(edge)] *= edge
        stroke[:, count - len(edge) :] *= edge.flip(0)
        inside = (onset + at >= samples.start) & (onset + at < samples.stop)
        result[:, onset + at[inside] - samples.start] += stroke[:, inside]
    return result
