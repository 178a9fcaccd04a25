"""Loudness (ITU-R BS.1770-4) of sound that arrives block by block, with pyloudnorm's filters.

pyloudnorm itself filters the whole clip at once, in float64: 2.5 GB for an hour of stereo.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pyloudnorm import IIRfilter
from scipy.signal import lfilter
from torch import Tensor

GATING_BLOCK, STEP = 0.4, 0.25  # seconds, and share of a block from one to the next
CHANNEL_WEIGHTS = (1.0, 1.0, 1.0, 1.41, 1.41)
ABSOLUTE_GATE, RELATIVE_GATE = -70.0, -10.0  # LUFS, LU
OFFSET = -0.691  # dB: a sine of 997 Hz at full scale has -3.01 LUFS


class LoudnessMeter:
    """Fed from front to back.

    Args:
        channels: 1 to 5; more have no weights.
        sample_rate: in Hz.
    """

    def __init__(self, channels: int, sample_rate: int):
        self.channels, self.sample_rate, self.samples = channels, sample_rate, 0
        self._states = [np.zeros((channels, len(a) - 1)) for _, a in k_weighting(sample_rate)]
        self._energy = np.zeros(channels)  # of all samples so far
        self._energies: dict[int, list[float]] = {}
        """By the number of a sample, the energy of all before it, wherever a gating block begins or ends.

        As numbers of Python's: small arrays among the large ones of `feed` would keep the memory of those from being given back.
        """

    def feed(self, waveform: Tensor) -> None:
        """Samples `[C, n]` that follow those fed before."""
        weighted = waveform.numpy().astype(np.float64)
        for stage, (b, a) in enumerate(k_weighting(self.sample_rate)):
            weighted, self._states[stage] = lfilter(b, a, weighted, zi=self._states[stage])
        energy = np.concatenate([np.zeros((self.channels, 1)), np.square(weighted).cumsum(1)], 1)
        energy += self._energy[:, None]
        end = self.samples + waveform.shape[-1]
        per_step = GATING_BLOCK * STEP * self.sample_rate
        numbers = np.arange(max(int(self.samples / per_step) - 5, 0), int(end / per_step) + 2)
        for edge in {*self._begins(numbers), *self._ends(numbers)}:
            if self.samples <= edge <= end:
                self._energies[edge] = energy[:, edge - self.samples].tolist()
        self._energy, self.samples = energy[:, -1].copy(), end

    def loudness(self) -> float:
        """Integrated loudness in LUFS of all so far, at least 0.4 s; minus infinity below the absolute gate."""
        seconds = self.samples / self.sample_rate
        numbers = np.arange(round((seconds - GATING_BLOCK) / (GATING_BLOCK * STEP)) + 1)
        edges = [
            (int(b), min(int(e), self.samples)) for b, e in zip(self._begins(numbers), self._ends(numbers), strict=True)
        ]
        at = {**self._energies, self.samples: self._energy.tolist()}
        power = np.array([at[end] for _, end in edges]) - np.array([at[begin] for begin, _ in edges])
        power /= GATING_BLOCK * self.sample_rate
        weighted = power @ np.array(CHANNEL_WEIGHTS[: self.channels])
        audible = _decibels(weighted) >= ABSOLUTE_GATE
        if not audible.any():
            return -math.inf
        gate = max(ABSOLUTE_GATE, float(_decibels(weighted[audible].mean())) + RELATIVE_GATE)
        counted = weighted[audible & (_decibels(weighted) > gate)]
        return float(_decibels(counted.mean())) if len(counted) else -math.inf

    def _begins(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        return (GATING_BLOCK * (numbers * STEP) * self.sample_rate).astype(np.int64)

    def _ends(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        return (GATING_BLOCK * (numbers * STEP + 1) * self.sample_rate).astype(np.int64)


@lru_cache
def k_weighting(sample_rate: int) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...]:
    """Coefficients b and a of the two stages of BS.1770's K-weighting."""
    shelf = IIRfilter(4.0, 1 / math.sqrt(2), 1500.0, sample_rate, "high_shelf")
    high_pass = IIRfilter(0.0, 0.5, 38.0, sample_rate, "high_pass")
    return tuple((stage.b, stage.a) for stage in (shelf, high_pass))


def _decibels(power: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        return OFFSET + 10 * np.log10(power)
