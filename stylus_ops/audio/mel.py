"""The mel scale of images: filters, their inverse, amplitudes of a waveform, images of amplitudes.

Bright is quiet, low frequencies are at the bottom.
"""

from __future__ import annotations

import math
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from .geometry import SpectrogramParams
from .stft import frame_blocks, stft

CPU = torch.device("cpu")
ROUNDING = 1e-4  # a filter's edge on a bin is 0; rounded it can come out as this much


def hz_to_mel(hertz: float) -> float:
    """HTK's mel scale."""
    return 2595 * math.log10(1 + hertz / 700)


class MelScale:
    """Triangular filters on the HTK mel scale from 0 Hz to `f_max`, each of peak 1 (no area normalisation).

    A bin has two of them at most: as sparse matrices they take a fifth of the time that dense ones take on a CPU. On a GPU, where
    either is soon done, they are dense. Written out because torchaudio may be missing and librosa's take a second to import; a
    test compares them.
    """

    def __init__(self, params: SpectrogramParams, device: torch.device = CPU):
        self.params, self.device = params, device
        mels = np.linspace(0, hz_to_mel(params.f_max), params.n_mels + 2)
        self._edges = 700 * (10 ** (mels / 2595) - 1)
        self.centres = torch.from_numpy(self._edges[1:-1])
        """Hz `[n_mels]`, rising, float64 on the CPU."""
        self.mels = mels[1:-1]
        """The same in mels, evenly apart."""

    @cached_property
    def _sparse(self) -> Tensor:
        """The filters `[band_bins, n_mels]`, on the CPU as all that is made of them."""
        bins, bands = self.params.band_bins, self.params.n_mels
        hertz = np.arange(bins) * self.params.sample_rate / self.params.n_fft
        # The band that rises from the edge below the bin; the one before falls.
        band = np.searchsorted(self._edges, hertz, "right") - 1
        low, high = (self._edges[(band + side).clip(0, bands + 1)] for side in (0, 1))
        rise = (hertz - low) / np.maximum(high - low, ROUNDING)
        rows, columns = np.tile(np.arange(bins), 2), np.concatenate([band, band - 1])
        weights = np.concatenate([rise, 1 - rise])
        kept = (columns >= 0) & (columns < bands) & (weights > ROUNDING)
        places, values = (torch.from_numpy(array[..., kept]) for array in (np.stack([rows, columns]), weights))
        return torch.sparse_coo_tensor(places, values.float(), (bins, bands), check_invariants=True).coalesce()

    def _placed(self, matrix: Tensor) -> Tensor:
        return matrix.coalesce() if self.device.type == "cpu" else matrix.to_dense().to(self.device)

    @cached_property
    def _filters(self) -> Tensor:
        return self._placed(self._sparse)

    @cached_property
    def _transposed(self) -> Tensor:
        return self._placed(self._sparse.t())

    @cached_property
    def _inverse_gram(self) -> Tensor:
        """`(F^T F)^-1` of the filters F, whose condition number is about 40: with it `pinv(F) = (F^T F)^-1 F^T`."""
        filters = self._sparse.to_dense().double()
        return (filters.t() @ filters).inverse().float().to(self.device)

    @cached_property
    def _total(self) -> Tensor:
        """Of the filters on every bin."""
        return self._sparse.to_dense().sum(1)

    @cached_property
    def covered(self) -> Tensor:
        """Which bins some filter sees: bool `[band_bins]`. The others (0 Hz among them) are left alone."""
        return (self._total > 0).to(self.device)

    @cached_property
    def _interpolation(self) -> Tensor:
        """The filters, to sum to 1 on every covered bin. Between two mel centres they interpolate linearly already."""
        places = self._sparse.indices()
        values = self._sparse.values() / self._total[places[0]]
        return self._placed(torch.sparse_coo_tensor(places, values, self._sparse.shape, check_invariants=True))

    def amplitudes(self, magnitude: Tensor) -> Tensor:
        """Magnitudes `[frames, band_bins]` through the filters: `[n_mels, frames]`."""
        return self._transposed @ magnitude.t()

    def spread(self, values: Tensor) -> Tensor:
        """`[n_mels, frames]` interpolated over the bins: `[frames, band_bins]`, 0 where no filter is."""
        return (self._interpolation @ values).t()

    def nearest(self, magnitude: Tensor, mel: Tensor) -> Tensor:
        """The magnitudes nearest to `magnitude`, in least squares, that have the mel; those below 0 are set to 0.

        Shape: magnitude `[frames, band_bins]`, mel `[n_mels, frames]` -> `[frames, band_bins]`
        """
        missing = self._inverse_gram @ (mel - self.amplitudes(magnitude))
        return (magnitude + (self._filters @ missing).t()).relu()


mel_scale = lru_cache(MelScale)
"""The scale of a geometry for spectra on a device, made once."""


def mel_amplitudes(waveform: Tensor, params: SpectrogramParams) -> Tensor:
    """Mel filters over the root mean square of the channels' STFT magnitudes.

    A mid channel would lose what is out of phase between left and right; the root mean square keeps it.

    Shape: waveform `[B, C, T]` at `params.sample_rate` -> `[B, n_mels, frames]`, where the waveform lies
    """
    batch, channels, samples = waveform.shape
    frames, scale = params.count_frames(samples), mel_scale(params, waveform.device)
    mel = torch.empty(batch, params.n_mels, frames, device=waveform.device)
    for index, clip in enumerate(waveform):
        for block in frame_blocks(frames, channels):
            mel[index, :, block] = scale.amplitudes(channel_rms(stft(clip, block, params)))
    return mel


def channel_rms(spectrum: Tensor) -> Tensor:
    """Root mean square of the magnitudes over the channels: complex `[C, ...]` -> `[...]`."""
    power = spectrum[0].real.square().addcmul_(spectrum[0].imag, spectrum[0].imag)
    for channel in spectrum[1:]:
        power.addcmul_(channel.real, channel.real).addcmul_(channel.imag, channel.imag)
    return power.div_(len(spectrum)).sqrt_()


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
