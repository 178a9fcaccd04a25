"""Resampling, torchaudio's or soxr's where torchaudio cannot load, and the mel filterbank.

A CPU-only or ROCm torch, or a torchaudio built for another torch, raises on import. Both backends are tested equal.
"""

from __future__ import annotations

import math
import sys
from typing import Any

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


def hide_broken_torchaudio() -> None:
    """A torchaudio that can't load counts as not installed from here on, for every import in this process.

    transformers imports whatever torchaudio it finds; a broken one would take diffusers down with it.
    """
    sys.modules.setdefault("torchaudio", None)  # type: ignore[arg-type]


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
    channels_last = waveform.reshape(-1, waveform.shape[-1]).t().contiguous().numpy()
    resampled = torch.from_numpy(soxr.resample(channels_last, from_rate, to_rate, quality="VHQ")).t()[:, :length]
    padded = torch.nn.functional.pad(resampled, (0, length - resampled.shape[-1]))
    return padded.reshape(*waveform.shape[:-1], length)


def hz_to_mel(hertz: float) -> float:
    """HTK's mel scale."""
    return 2595 * math.log10(1 + hertz / 700)


def mel_filterbank(n_freqs: int, f_min: float, f_max: float, n_mels: int, sample_rate: int) -> Tensor:
    """Triangular filters on the HTK mel scale from `f_min` to `f_max` Hz, each of peak 1 (no area normalisation).

    Written out because torchaudio may be missing and librosa's takes a second to import; both are tested equal.

    Shape: `[n_freqs, n_mels]` over the frequencies `linspace(0, sample_rate / 2, n_freqs)`.
    """
    edges = 700 * (
        10 ** (torch.linspace(hz_to_mel(f_min), hz_to_mel(f_max), n_mels + 2, dtype=torch.float64) / 2595) - 1
    )
    frequencies = torch.linspace(0, sample_rate / 2, n_freqs, dtype=torch.float64)[:, None]
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (frequencies - left) / (centre - left), (right - frequencies) / (right - centre)
    return torch.minimum(rising, falling).clamp(min=0).float()
