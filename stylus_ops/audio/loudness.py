"""Loudness (ITU-R BS.1770), true peak, and levels that no sound has."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .backend import resample
from .lazy import Scaled, Waveform, blocks
from .meter import LoudnessMeter

MINUS_1_DBFS = 10 ** (-1 / 20)
LOUDNESS_BLOCK = 0.4  # seconds; BS.1770 measures nothing shorter
LOUDNESS_CHANNELS = 5  # BS.1770 has weights for no more
PEAK_BLOCK = 1 << 18
PEAK_MARGIN = 1024  # samples; longer than the resampler's kernel
NOT_AUDIO = float(np.float32(1e18))  # where full scale is 1; the powers of such samples leave float32


def check_level(waveform: Tensor, name: str) -> None:
    """Raises ValueError, which begins with `name`, unless all samples are finite and below NOT_AUDIO."""
    low, high = (float(bound) for bound in torch.aminmax(waveform))
    peak = max(-low, high)
    if not peak < float("inf"):
        raise ValueError(f"{name} contains NaN or infinite samples: repair the recording, or export it again")
    if peak >= NOT_AUDIO:
        raise ValueError(f"{name} is not audio: its samples reach {peak:.0e} and full scale is 1: export it again")


def loudness_gain(waveform: Waveform, target: Waveform, sample_rate: int) -> float:
    """The factor that gives `waveform` the `loudness` of `target`; 1 where either is silent.

    Shape: both `[C, T]`.
    """
    decibels = loudness(target, sample_rate) - loudness(waveform, sample_rate)
    return 10 ** (decibels / 20) if np.isfinite(decibels) else 1.0


def loudness(waveform: Waveform, sample_rate: int) -> float:
    """LUFS of `[C, T]` at `sample_rate` Hz, or the root mean square in dB where BS.1770 measures nothing.

    That is less than 0.4 s, or more than 5 channels. Minus infinity for silence.
    """
    if waveform.shape[-1] >= LOUDNESS_BLOCK * sample_rate and waveform.shape[0] <= LOUDNESS_CHANNELS:
        return integrated_loudness(waveform, sample_rate)
    power = sum(float(piece.double().square().sum()) for piece in blocks(waveform)) / max(math.prod(waveform.shape), 1)
    return 10 * math.log10(power) if power > 0 else -math.inf


def integrated_loudness(waveform: Waveform, sample_rate: int) -> float:
    """LUFS of `[C, T]`, at least 0.4 s; minus infinity below the absolute gate of -70 LUFS."""
    meter = LoudnessMeter(waveform.shape[0], sample_rate)
    for piece in blocks(waveform):
        meter.feed(piece)
    return meter.loudness()


def true_peak(waveform: Waveform, sample_rate: int) -> float:
    """The largest magnitude between the samples too, oversampled to at least 176.4 kHz (BS.1770-4, annex 2).

    Shape: `[C, T]`.
    """
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
        oversampled = resample(piece, sample_rate, sample_rate * factor)
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
    """Factors, none above 1, that give all clips the loudness of the quietest; 1 for a silent one.

    Args:
        clips: waveforms `[C, T]` with their sample rates.
    """
    levels = [loudness(waveform, sample_rate) for waveform, sample_rate in clips]
    heard = [level for level in levels if np.isfinite(level)]
    return [10 ** ((min(heard) - level) / 20) if np.isfinite(level) else 1.0 for level in levels]
