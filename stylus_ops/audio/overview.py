"""A recording at a glance: its length, and its level over time."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from .files import read_audio

PART = 60.0  # seconds read at once
STEP = 0.01  # seconds; finer than a column of any recording that lasts


def overview(path: Path, columns: int) -> tuple[float, Tensor]:
    """The seconds that a recording lasts, and the largest magnitude in each of `columns` equal parts of it.

    Read a minute at a time: memory does not grow with the recording.

    Raises:
        FileNotFoundError, ValueError: as `read_audio`.
    """
    levels: list[Tensor] = []
    samples, rate = 0, 1
    while True:
        try:
            waveform, rate = read_audio(path, len(levels) * PART, PART)
        except ValueError:
            if not levels:
                raise
            break
        samples += waveform.shape[-1]
        magnitude = waveform[0].abs().amax(0)
        step = max(1, round(STEP * rate))
        levels.append(torch.nn.functional.pad(magnitude, (0, -len(magnitude) % step)).view(-1, step).amax(1))
        if waveform.shape[-1] < round(PART * rate):
            break
    pooled = torch.nn.functional.adaptive_max_pool1d(torch.cat(levels)[None], columns)[0]
    return samples / rate, pooled
