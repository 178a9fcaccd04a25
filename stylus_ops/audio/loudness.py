"""Loudness (ITU-R BS.1770), true peak, and levels that no sound has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from .backend import resample_with_soxr
from .lazy import FILTERED_AT_ONCE, Scaled, Waveform, blocks

MINUS_1_DBFS = 10 ** (-1 / 20)
GATING_BLOCK, STEP = 0.4, 0.25  # seconds, and share of a block from one to the next; BS.1770 measures nothing shorter
CHANNEL_WEIGHTS = (1.0, 1.0, 1.0, 1.41, 1.41)  # BS.1770 has them for no more channels
ABSOLUTE_GATE, RELATIVE_GATE = -70.0, -10.0  # LUFS, LU
DECAY = 0.15  # seconds after which the filters' impulse response is below -280 dB
OFFSET = -0.691  # dB: a sine of 997 Hz at full scale has -3.01 LUFS
PEAK_BLOCK = 1 << 18
PEAK_MARGIN = 1024  # samples; longer than the resampler's kernel
NOT_AUDIO = float(np.float32(1e18))  # where full scale is 1; the powers of such samples leave float32


def check_level(waveform: Tensor, name: str) -> None:
    """Raises ValueError, which begins with `name`, unless all samples are finite and below NOT_AUDIO."""
    peak = max(abs(float(bound)) for bound in torch.aminmax(waveform))
    if not peak < float("inf"):
        raise ValueError(f"{name} contains NaN or infinite samples: repair the recording, or export it again")
    if peak >= NOT_AUDIO:
        raise ValueError(f"{name} is not audio: its samples reach {peak:.0e} and full scale is 1: export it again")


def loudness_gain(waveform: Waveform, target: Waveform, sample_rate: int) -> float:
    """The factor that gives `waveform` the `loudness` of `target`, both `[C, T]`; 1 where either is silent."""
    decibels = loudness(target, sample_rate) - loudness(waveform, sample_rate)
    return 10 ** (decibels / 20) if np.isfinite(decibels) else 1.0


def loudness(waveform: Waveform, sample_rate: int) -> float:
    """LUFS of `[C, T]` at `sample_rate` Hz, or the root mean square in dB where BS.1770 measures nothing.

    That is less than 0.4 s, or more than 5 channels. Minus infinity for silence.
    """
    if waveform.shape[-1] >= GATING_BLOCK * sample_rate and waveform.shape[0] <= len(CHANNEL_WEIGHTS):
        return integrated_loudness(waveform, sample_rate)
    power = sum(float(piece.double().square().sum()) for piece in blocks(waveform)) / max(math.prod(waveform.shape), 1)
    return 10 * math.log10(power) if power > 0 else -math.inf


def integrated_loudness(waveform: Waveform, sample_rate: int, at_once: int = FILTERED_AT_ONCE) -> float:
    """LUFS of `[C, T]`, 1 to 5 channels of at least 0.4 s; minus infinity below the absolute gate of -70 LUFS.

    These are pyloudnorm's readings (`tests/unit/audio/test_loudness.py`). It filters the whole clip at once instead of `at_once`
    samples, in float64: 2.5 GB for an hour of stereo; and it imports scipy.signal, which takes a second.
    """
    channels, samples = waveform.shape
    numbers = np.arange(round((samples / sample_rate - GATING_BLOCK) / (GATING_BLOCK * STEP)) + 1)
    begins, ends = (
        (GATING_BLOCK * (numbers * STEP + end) * sample_rate).astype(np.int64).clip(max=samples) for end in (0, 1)
    )
    edges = np.unique([begins, ends])
    energies = np.empty((len(edges), channels))  # of all samples before each edge
    energy = np.zeros((channels, 1))
    before = torch.zeros(channels, math.ceil(DECAY * sample_rate), dtype=torch.float64)
    first = 0
    for piece in blocks(waveform, at_once):
        around = torch.cat([before, piece.double()], 1)
        size = 1 << (around.shape[1] - 1).bit_length()
        # What wraps around the transform ends within the samples before, which are left out.
        weighted = torch.fft.irfft(torch.fft.rfft(around, size) * k_weighting(sample_rate, size), size)
        weighted = weighted[:, before.shape[1] : around.shape[1]].numpy()
        so_far = energy + np.concatenate([np.zeros((channels, 1)), np.square(weighted).cumsum(1)], 1)
        within = slice(np.searchsorted(edges, first), np.searchsorted(edges, first + piece.shape[1], "right"))
        energies[within] = so_far[:, edges[within] - first].T
        before, energy = around[:, piece.shape[1] :].clone(), so_far[:, -1:].copy()
        first += piece.shape[1]
    power = energies[np.searchsorted(edges, ends)] - energies[np.searchsorted(edges, begins)]
    weighted = power / (GATING_BLOCK * sample_rate) @ np.array(CHANNEL_WEIGHTS[:channels])
    audible = _lufs(weighted) >= ABSOLUTE_GATE
    if not audible.any():
        return -math.inf
    gate = max(ABSOLUTE_GATE, float(_lufs(weighted[audible].mean())) + RELATIVE_GATE)
    counted = weighted[audible & (_lufs(weighted) > gate)]
    return float(_lufs(counted.mean())) if len(counted) else -math.inf


@lru_cache(maxsize=4)
def k_weighting(sample_rate: int, size: int) -> Tensor:
    """BS.1770's K-weighting as the factors of a real Fourier transform of `size` samples: complex `[size // 2 + 1]`.

    A high shelf of 4 dB at 1500 Hz, then a high-pass at 38 Hz, by the audio EQ cookbook (Bristow-Johnson), as in pyloudnorm.
    """
    shelf = 10 ** (4.0 / 40)
    cosine, alpha = _angle(1500.0, 1 / math.sqrt(2), sample_rate)
    root = 2 * math.sqrt(shelf) * alpha
    up, down = shelf + 1 + (shelf - 1) * cosine, shelf + 1 - (shelf - 1) * cosine
    high_shelf = (
        (shelf * (up + root), -2 * shelf * (shelf - 1 + (shelf + 1) * cosine), shelf * (up - root)),
        (down + root, 2 * (shelf - 1 - (shelf + 1) * cosine), down - root),
    )
    cosine, alpha = _angle(38.0, 0.5, sample_rate)
    half = (1 + cosine) / 2
    high_pass = (half, -2 * half, half), (1 + alpha, -2 * cosine, 1 - alpha)
    response = torch.ones(size // 2 + 1, dtype=torch.complex128)
    for stage in (high_shelf, high_pass):
        numerator, denominator = (torch.fft.rfft(torch.tensor(c, dtype=torch.float64), size) for c in stage)
        response *= numerator / denominator
    return response


def _angle(frequency: float, q: float, sample_rate: int) -> tuple[float, float]:
    angle = 2 * math.pi * frequency / sample_rate
    return math.cos(angle), math.sin(angle) / (2 * q)


def _lufs(power: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        return OFFSET + 10 * np.log10(power)


def true_peak(waveform: Waveform, sample_rate: int) -> float:
    """The largest magnitude of `[C, T]`, between the samples too: oversampled to at least 176.4 kHz (BS.1770-4, annex 2)."""
    return float(true_peaks(waveform, sample_rate)[0].max())


def true_peaks(waveform: Waveform, sample_rate: int) -> tuple[Tensor, int]:
    """The true peak of each block of about a millisecond, over all channels, and the samples of a block.

    Shape: `[C, T]` -> `[ceil(T / block)]`.
    """
    factor = max(1, -(-176400 // sample_rate))
    block = 2 ** round(math.log2(sample_rate / 1000))
    peaks = torch.empty(-(-waveform.shape[-1] // block))
    for first in range(0, waveform.shape[-1], PEAK_BLOCK):
        before = min(first, PEAK_MARGIN)
        piece = waveform[:, first - before : first + PEAK_BLOCK + PEAK_MARGIN]
        oversampled = resample_with_soxr(piece, sample_rate, sample_rate * factor)
        sampled, between = (
            F.max_pool1d(
                samples[:, : PEAK_BLOCK * per_block // block].abs().amax(0)[None, None], per_block, ceil_mode=True
            )[0, 0]
            for samples, per_block in ((piece[:, before:], block), (oversampled[:, before * factor :], block * factor))
        )
        peaks[first // block : first // block + len(sampled)] = torch.maximum(sampled, between)
    return peaks, block


def allowed_peak(content: Waveform, sample_rate: int) -> float:
    """The true peak that an output may have: -1 dBFS, or the content's own if that is larger. Shape: `[C, T]`."""
    return max(MINUS_1_DBFS, true_peak(content, sample_rate))


def limit_true_peak(waveform: Waveform, sample_rate: int, ceiling: float) -> Waveform:
    """Scale the whole clip `[C, T]`, never clip it, so that its true peak stays at or below `ceiling`, full scale being 1."""
    peak = true_peak(waveform, sample_rate)
    return Scaled(waveform, ceiling / peak) if peak > ceiling else waveform


def equal_loudness_gains(clips: Sequence[tuple[Tensor, int]]) -> list[float]:
    """Factors, none above 1, that give all clips `[C, T]`, with their rates, the loudness of the quietest; 1 for a silent one."""
    levels = [loudness(waveform, sample_rate) for waveform, sample_rate in clips]
    heard = [level for level in levels if np.isfinite(level)]
    return [10 ** ((min(heard) - level) / 20) if np.isfinite(level) else 1.0 for level in levels]
