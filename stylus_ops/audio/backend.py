"""Resampling, torchaudio's or soxr's where torchaudio cannot load.

A CPU-only or ROCm torch, or a torchaudio built for another torch, raises on import. Both backends are tested equal.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

try:
    from torchaudio.functional import resample as resample_with_torchaudio
except (ImportError, OSError, RuntimeError):
    resample_with_torchaudio = None

# A Kaiser-windowed sinc over 64 zero crossings (resampy's "kaiser_best"): flat to 0.9 of the lower Nyquist rate.
KAISER_BEST: dict[str, Any] = {
    "lowpass_filter_width": 64,
    "rolloff": 0.9475937167399596,
    "resampling_method": "sinc_interp_kaiser",
    "beta": 14.769656459379492,
}
# torchaudio's kernel has one row per output phase: between rates without a common factor it would fill the memory.
LARGEST_RATIO = 4096


def resample(waveform: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """Resample to `ceil(T * to_rate / from_rate)` samples; rates in Hz.

    Shape: waveform `[..., T]` float32 -> `[..., T']`. Equal rates return the waveform itself.
    """
    if from_rate == to_rate:
        return waveform
    ratio = max(from_rate, to_rate) // math.gcd(from_rate, to_rate)
    if resample_with_torchaudio is None or ratio > LARGEST_RATIO:
        return resample_with_soxr(waveform, from_rate, to_rate)
    return resample_with_torchaudio(waveform, from_rate, to_rate, **KAISER_BEST)


def resample_with_soxr(waveform: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """`resample` by soxr, for any two rates."""
    import soxr

    length = -(-waveform.shape[-1] * to_rate // from_rate)
    channels_last = np.ascontiguousarray(waveform.reshape(-1, waveform.shape[-1]).numpy().T)
    resampled = torch.from_numpy(soxr.resample(channels_last, from_rate, to_rate, quality="VHQ")).t()[:, :length]
    return torch.nn.functional.pad(resampled, (0, length - resampled.shape[-1])).reshape(*waveform.shape[:-1], length)
