"""Loudness (ITU-R BS.1770-4) of sound that arrives block by block.

pyloudnorm, whose readings these are (`tests/unit/audio/test_meter.py`), filters the whole clip at once, in float64: 2.5 GB for an
hour of stereo. It also imports scipy.signal, which takes a second.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

GATING_BLOCK, STEP = 0.4, 0.25  # seconds, and share of a block from one to the next
CHANNEL_WEIGHTS = (1.0, 1.0, 1.0, 1.41, 1.41)
ABSOLUTE_GATE, RELATIVE_GATE = -70.0, -10.0  # LUFS, LU
DECAY = 0.15  # seconds after which the filters' impulse response is below -280 dB
OFFSET = -0.691  # dB: a sine of 997 Hz at full scale has -3.01 LUFS


class LoudnessMeter:
    """Fed from front to back.

    Args:
        channels: 1 to 5; more have no weights.
        sample_rate: in Hz.
    """

    def __init__(self, channels: int, sample_rate: int):
        self.channels, self.sample_rate, self.samples = channels, sample_rate, 0
        self._before = torch.zeros(channels, math.ceil(DECAY * sample_rate), dtype=torch.float64)
        self._energy = np.zeros(channels)  # of all samples so far
        self._energies: dict[int, list[float]] = {}
        """By the number of a sample, the energy of all before it, wherever a gating block begins or ends.

        As numbers of Python's: small arrays among the large ones of `feed` would keep the memory of those from being given back.
        """

    def feed(self, waveform: Tensor) -> None:
        """Samples `[C, n]` that follow those fed before."""
        samples = torch.cat([self._before, waveform.double()], 1)
        self._before = samples[:, samples.shape[1] - self._before.shape[1] :].clone()
        size = 1 << samples.shape[1].bit_length()
        response = k_weighting(self.sample_rate, size)
        # What wraps around the transform ends within the samples before, which are left out.
        weighted = torch.fft.irfft(torch.fft.rfft(samples, size) * response, size)
        weighted = weighted[:, self._before.shape[1] : samples.shape[1]].numpy()
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


@lru_cache(maxsize=4)
def k_weighting(sample_rate: int, size: int) -> Tensor:
    """BS.1770's K-weighting as the factors of a real Fourier transform of `size` samples: complex `[size // 2 + 1]`.

    A high shelf of 4 dB at 1500 Hz, then a high-pass at 38 Hz, by the audio EQ cookbook (Bristow-Johnson), as in pyloudnorm.
    """
    shelf = 10 ** (4.0 / 40)
    cosine, alpha = _angle(1500.0, 1 / math.sqrt(2), sample_rate)
    root = 2 * math.sqrt(shelf) * alpha
    up, down = shelf + 1 + (shelf - 1) * cosine, shelf + 1 - (shelf - 1) * cosine
    stages = [
        (
            (shelf * (up + root), -2 * shelf * (shelf - 1 + (shelf + 1) * cosine), shelf * (up - root)),
            (down + root, 2 * (shelf - 1 - (shelf + 1) * cosine), down - root),
        )
    ]
    cosine, alpha = _angle(38.0, 0.5, sample_rate)
    half = (1 + cosine) / 2
    stages.append(((half, -2 * half, half), (1 + alpha, -2 * cosine, 1 - alpha)))
    response = torch.ones(size // 2 + 1, dtype=torch.complex128)
    for stage in stages:
        numerator, denominator = (torch.fft.rfft(torch.tensor(c, dtype=torch.float64), size) for c in stage)
        response *= numerator / denominator
    return response


def _angle(frequency: float, q: float, sample_rate: int) -> tuple[float, float]:
    angle = 2 * math.pi * frequency / sample_rate
    return math.cos(angle), math.sin(angle) / (2 * q)


def _decibels(power: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        return OFFSET + 10 * np.log10(power)
