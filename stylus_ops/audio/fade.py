"""Fade: how fast notes die away, and the content's notes with the fall of the style's.

A plucked string and a bowed one differ less in their spectra than in what becomes of a note. Where the style's notes fall faster
than the content's, these fall with them, from each beginning to the next, and are as loud as they get where they begin to swell.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from .detail import EMPTY
from .geometry import SpectrogramParams

BLOCK = 0.005  # seconds
AROUND = 6  # blocks before and after a beginning: the note before is over, and the note gets to its loudest
QUIETEST = 0.01  # of the loudest block's power; below it no note begins
SILENT = 1e-6  # of that
SHORTEST, LONGEST = 12, 200  # blocks of a note from which a fall can be told
FADES = 80  # blocks in which a note fades; then it keeps its level, since not every soft beginning is found
SWELL, RISE = 80.0, 2.8  # ms that a note is ahead of its swell, and the most it is amplified by
STEEPEST, DEEPEST = 120.0, 24.0  # dB a second, and dB in all


def falls(power: Tensor, onsets: Tensor) -> tuple[Tensor, float]:
    """Of a sound's `power` in blocks of 5 ms, and the blocks in which something begins: those in which notes do, and the dB a second by
    which they rise (below 0: fall) in between, the median over all the time that can be told, 0 where none can.

    Shape: `[blocks]`, `[onsets]` -> `[notes]`
    """
    after = F.max_pool1d(F.pad(power, (0, 2 * AROUND))[None], 2 * AROUND + 1, 1)[0]
    begins = onsets[after[onsets] > QUIETEST * power.max()]
    level, slopes = 10 * power.clamp(min=SILENT * float(power.max())).log10(), []
    for first, last in pairwise([*begins.tolist(), len(power)]):
        loudest = first + int(level[first : first + 2 * AROUND].argmax())
        note = level[loudest : min(last - AROUND, first + LONGEST)]
        if len(note) >= SHORTEST:
            time = BLOCK * (torch.arange(len(note)) - (len(note) - 1) / 2)
            slopes += [float(time @ note / time.square().sum())] * len(note)
    fall = float(torch.tensor(slopes).median()) if slopes else 0.0
    return begins, max(-STEEPEST, min(fall, STEEPEST))


def fading(power: Tensor, onsets: Tensor, fall: float) -> Tensor:
    """Gain in dB for each block under which a sound's notes, told as in `falls`, change by `fall` dB a second where they fall more slowly."""
    begins, own = falls(power, onsets)
    since = torch.zeros(len(power))
    for first, last in pairwise([*begins.tolist(), len(power)]):
        since[first:last] = BLOCK * torch.arange(last - first).clamp(max=FADES)
    return (min(fall - own, 0.0) * since).clamp(min=-DEEPEST)


def struck(amplitudes: Tensor, share: float, params: SpectrogramParams) -> Tensor:
    """Amplitudes `[rows, frames]` that are as large as they get within SWELL, as far as RISE and the share, 0 to 1, allow."""
    ahead = frames_ahead(params)
    most = F.max_pool1d(F.pad(amplitudes, (0, ahead)), ahead + 1, 1)
    return amplitudes * (most / amplitudes.clamp(min=EMPTY)).clamp(max=RISE) ** share


def frames_ahead(params: SpectrogramParams) -> int:
    """How many frames of what follows `struck` reads."""
    return round(SWELL / params.hop_ms)
