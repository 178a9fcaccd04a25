"""Fade: how fast notes die away, and the content's notes with the fall of the style's.

A plucked string and a bowed one differ less in their spectra than in what becomes of a note. Where the style's notes fall faster
than the content's, these fall with them, from each beginning to the next.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from .lazy import Waveform
from .stft import hann_window

BLOCK = 0.005  # seconds
BLOCKS = 2  # from frame to frame
HOP = BLOCKS * BLOCK
FRAME = 0.046  # seconds
HIGHEST = 10_000  # Hz
AT_ONCE = 3000  # frames
BEFORE = 3  # frames on either side of one, between which a note has begun
ALONE = 5  # frames on either side of a beginning without a stronger one
SHARE = 0.4  # of the power that is new where a note begins
QUIETEST = 0.01  # of the loudest frame's power; below it no note begins
SILENT = 1e-6  # of that
SHORTEST = 6  # frames between two beginnings, less BEFORE at both, from which a fall can be told
LONGEST = 100  # frames after a beginning in which it is
STEEPEST = 120.0  # dB a second
DEEPEST = 24.0  # dB


def falls(waveform: Waveform, sample_rate: int) -> tuple[Tensor, float]:
    """Frames in which notes begin, and the dB a second by which they rise (below 0: fall) in between: the median over all the time
    that can be told, 0 where none can. Shape: `[C, T]` -> `[notes]`"""
    power, new = _power(waveform, sample_rate)
    if not power.any():
        return torch.zeros(0, dtype=torch.long), 0.0
    after, strongest = (
        F.max_pool1d(F.pad(values, ends)[None], size, 1)[0]
        for values, ends, size in ((power, (0, 2 * BEFORE), 2 * BEFORE + 1), (new, (ALONE, ALONE), 2 * ALONE + 1))
    )
    begins = ((new >= strongest) & (new > SHARE * after) & (after > QUIETEST * power.max())).nonzero()[:, 0]
    level, slopes = 10 * power.clamp(min=SILENT * float(power.max())).log10(), []
    for first, last in pairwise([*begins.tolist(), len(power)]):
        note = level[first + BEFORE : min(last - BEFORE, first + LONGEST)]
        if len(note) >= SHORTEST:
            time = HOP * (torch.arange(len(note)) - (len(note) - 1) / 2)
            slopes += [float(time @ note / time.square().sum())] * len(note)
    fall = float(torch.tensor(slopes).median()) if slopes else 0.0
    return begins, max(-STEEPEST, min(fall, STEEPEST))


def fading(content: Waveform, sample_rate: int, fall: float) -> Tensor:
    """Gain in dB for each block of 5 ms under which the notes of `[C, T]` change by `fall` dB a second where they fall more slowly."""
    begins, own = falls(content, sample_rate)
    since = torch.zeros(-(-content.shape[-1] // round(BLOCK * sample_rate)))
    for first, last in pairwise([*(BLOCKS * begins).tolist(), len(since)]):
        since[first:last] = BLOCK * torch.arange(last - first)
    return (min(fall - own, 0.0) * since).clamp(min=-DEEPEST)


def _power(waveform: Waveform, sample_rate: int) -> tuple[Tensor, Tensor]:
    """Of each frame up to 10 kHz, and how much of that was not there `BEFORE` frames earlier and is as many later: `[frames]` both."""
    hop, size = BLOCKS * round(BLOCK * sample_rate), 1 << round(math.log2(FRAME * sample_rate))
    frames, bins = -(-waveform.shape[-1] // hop), int(HIGHEST * size / sample_rate) + 1
    power, new = torch.zeros(frames), torch.zeros(frames)
    for first in range(0, frames, AT_ONCE):
        count = min(AT_ONCE, frames - first)
        start = (first - BEFORE) * hop - size // 2
        last = start + (count + 2 * BEFORE - 1) * hop + size
        piece = waveform[:, max(start, 0) : min(last, waveform.shape[-1])]
        piece = F.pad(piece, (max(-start, 0), max(last - waveform.shape[-1], 0)))
        windowed = piece.unfold(-1, size, hop) * hann_window(size, piece.device)
        spectrum = torch.fft.rfft(windowed)[..., :bins].abs().square().mean(0)
        power[first : first + count] = spectrum[BEFORE:-BEFORE].sum(1)
        new[first : first + count] = (spectrum[2 * BEFORE :] - spectrum[: -2 * BEFORE]).relu().sum(1)
    return power, new
