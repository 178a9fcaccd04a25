"""The mel scale of images: filters, their inverse, amplitudes of a waveform, images of amplitudes.

Bright is quiet, low frequencies are at the bottom.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from .backend import mel_filterbank
from .geometry import SpectrogramParams
from .stft import frame_blocks, stft

ROUNDING = 1e-4  # a filter's edge on a bin is 0; in float32 it can come out as this much


@lru_cache
def band_filters(params: SpectrogramParams) -> Tensor:
    """The mel filterbank over the bins up to `f_max`: `[band_bins, n_mels]`."""
    filters = mel_filterbank(params.n_fft // 2 + 1, params.f_min, params.f_max, params.n_mels, params.sample_rate)
    filters = filters[: params.band_bins]
    return torch.where(filters > ROUNDING, filters, 0).contiguous()


def mel_amplitudes(waveform: Tensor, params: SpectrogramParams) -> Tensor:
    """Mel filters over the root mean square of the channels' STFT magnitudes.

    A mid channel would lose what is out of phase between left and right; the root mean square keeps it.

    Shape: waveform `[B, C, T]` at `params.sample_rate` -> `[B, n_mels, frames]`
    """
    batch, channels, samples = waveform.shape
    frames = params.count_frames(samples)
    mel = torch.empty(batch, params.n_mels, frames)
    for index, clip in enumerate(waveform):
        for block in frame_blocks(frames, channels):
            magnitude = channel_rms(stft(clip, block, params))
            mel[index, :, block] = (magnitude @ band_filters(params)).t()
    return mel


def channel_rms(spectrum: Tensor) -> Tensor:
    """Root mean square of the magnitudes over the channels: complex `[C, ...]` -> `[...]`."""
    return (spectrum.real.square() + spectrum.imag.square()).mean(0).sqrt()


def mel_to_image(mel: Tensor, peak: Tensor, params: SpectrogramParams) -> Tensor:
    """`1 - (mel / peak) ** power`, the highest mel in row 0.

    Shape: mel `[B, n_mels, frames]`, peak `[B]` -> `[B, n_mels, frames]` in 0..1
    """
    loudest = peak.clamp(min=torch.finfo(torch.float32).tiny)[:, None, None]
    return 1 - (mel / loudest).clamp(0, 1).pow(params.power).flip(-2)


def image_to_mel(image: Tensor, peak: Tensor, params: SpectrogramParams) -> Tensor:
    """The inverse of `mel_to_image`; values outside 0..1 are clamped.

    Shape: image `[B, n_mels, frames]`, peak `[B]` -> `[B, n_mels, frames]`
    """
    return (1 - image.float().clamp(0, 1)).flip(-2).pow(1 / params.power) * peak[:, None, None]


def nearest_magnitudes(magnitude: Tensor, mel: Tensor, params: SpectrogramParams) -> Tensor:
    """The magnitudes nearest to `magnitude`, in least squares, that have the mel; those below 0 are set to 0.

    Shape: magnitude `[frames, band_bins]`, mel `[n_mels, frames]` -> `[frames, band_bins]`
    """
    missing = mel.t() - magnitude @ band_filters(params)
    return (magnitude + missing @ inverse_filters(params)).relu()


@lru_cache
def covered_bins(params: SpectrogramParams) -> Tensor:
    """Which bins some mel filter sees: bool `[band_bins]`. The others (0 Hz among them) are left alone."""
    return band_filters(params).sum(1) > 0


@lru_cache
def interpolation(params: SpectrogramParams) -> Tensor:
    """Weights that spread mel values over the bins, summing to 1 on every covered bin: `[n_mels, band_bins]`.

    Between two mel centres the triangular filters are linear interpolation already.
    """
    filters = band_filters(params)
    total = filters.sum(1, keepdim=True)
    return torch.where(total > 0, filters / total, 0).t().contiguous()


@lru_cache
def inverse_filters(params: SpectrogramParams) -> Tensor:
    """The pseudo-inverse of the mel filterbank: `[n_mels, band_bins]`."""
    return torch.linalg.pinv(band_filters(params).double()).float()
