"""Whether the sound is what was asked for: the spectrum that was realised, clipping, loudness."""

from __future__ import annotations

import torch
from torch import Tensor

from ..audio.backend import resample
from ..audio.geometry import SpectrogramParams
from ..audio.loudness import integrated_loudness
from ..audio.mel import mel_amplitudes

FULL_SCALE = 0.999


def spectral_convergence(requested: Tensor, waveform: Tensor, sample_rate: int, params: SpectrogramParams) -> float:
    """`|requested - realised| / |requested|` (Sturmel & Daudet 2011) over mel amplitudes, at the gain that fits best.

    0 is a waveform with exactly the requested spectrum; 1 is no better than silence.

    Args:
        requested: mel amplitudes [n_mels, frames].
        waveform: [C, T].
    """
    realised = mel_amplitudes(resample(waveform[None], sample_rate, params.sample_rate), params)[0]
    realised = realised * (requested * realised).sum() / realised.square().sum().clamp(min=torch.finfo().tiny)
    return float((requested - realised).norm() / requested.norm().clamp(min=torch.finfo().tiny))


def clipped_share(waveform: Tensor) -> float:
    """Share of the samples of a waveform `[C, T]` at or beyond full scale."""
    return float((waveform.abs() >= FULL_SCALE).float().mean())


def loudness_difference(content: Tensor, output: Tensor, sample_rate: int) -> float:
    """How much louder the output is, in LU (ITU-R BS.1770); waveforms [C, T] of at least 0.4 s. NaN for silence."""
    difference = integrated_loudness(output, sample_rate) - integrated_loudness(content, sample_rate)
    return difference if abs(difference) < float("inf") else float("nan")
