"""A recording at a glance: its length, and its level over time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .read import fold_audio

STEP = 0.01  # seconds; finer than a column of any recording that lasts


def overview(path: Path, columns: int, check: Callable[[], None] = lambda: None) -> tuple[float, Tensor]:
    """The seconds that a recording lasts, and the largest magnitude in each of `columns` equal parts of it.

    Memory grows by 100 numbers for a second of the recording. Raises as `read_audio`, and what `check` raises, which is called
    for each piece that is read.
    """

    def levels(pieces: Iterable[np.ndarray], rate: int, expected: int) -> tuple[float, Tensor]:
        step = max(1, round(STEP * rate))
        samples, peaks, rest = 0, [], np.empty((0, 1), np.float32)
        for piece in pieces:
            check()
            samples += len(piece)
            piece = np.concatenate([rest, piece]) if len(rest) else piece
            whole = len(piece) // step * step
            peaks.append(torch.from_numpy(piece[:whole].reshape(whole // step, step * piece.shape[1])).abs().amax(1))
            rest = piece[whole:]
        if len(rest):
            peaks.append(torch.from_numpy(rest).abs().amax()[None])
        return samples / rate, torch.cat(peaks)

    seconds, peaks = fold_audio(path, levels)
    return seconds, torch.nn.functional.adaptive_max_pool1d(peaks[None], columns)[0]
