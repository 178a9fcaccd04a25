"""Harmonics: partials that the content lacks, sounded in step with its fundamentals.

Where the content has no partial, its spectrum, however amplified, gives noise. But partial k of a note has k times the frequency
and k times the phase of its fundamental, and those can be read from every frame. So nothing has to be tracked from frame to frame.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from .detail import ramp
from .geometry import SpectrogramParams
from .mel import channel_rms, mel_scale

NEAR = 2 ** (1 / 48) - 1  # of its frequency: a fundamental lies within a quarter of a semitone of the note
LOBE = 2  # half the width of a Hann window's main lobe, in bins of a frame without padding
SURE = (0.3, 0.6)  # of what is expected: below it a fundamental is none, from there on it is one
HIGHEST = 3000  # Hz, of a fundamental
QUIET = 1e-20  # magnitude


def harmonics(
    spectrum: Tensor, hertz: Tensor, expected: Tensor, amplitudes: Tensor, band: Tensor, params: SpectrogramParams
) -> Tensor:
    """The spectrum `[C, frames, band_bins]` of notes whose fundamentals sound in `spectrum`; a note without one is left out.

    Args:
        spectrum: of the content, `[C, frames, band_bins]`.
        hertz, expected: of the notes that sound in each frame, and the mel amplitude of their fundamentals, `[frames, notes]`.
        amplitudes: mel amplitudes of their partials, root mean square over the channels, `[frames, notes, numbers]`.
        band: in which each lies, of that shape.
    """
    place, phasor = fundamentals(spectrum, hertz, params)
    in_mel, loudness = lobe_in_mel(params, spectrum.device), channel_rms(phasor).clamp(min=QUIET)
    sure = ramp(loudness * in_mel[band[..., 0]] / expected.clamp(min=QUIET), SURE)
    number = torch.arange(1, amplitudes.shape[-1] + 1, device=place.device)
    places = place[..., None] * number
    heights = amplitudes * sure[..., None] / in_mel[band] * ((places > 0) & (places < params.band_bins - 1))
    around = torch.arange(1 - LOBE * params.padding, LOBE * params.padding + 1, device=places.device)
    bins = places.long()[..., None] + around
    shapes = heights[..., None] * lobe((bins - places[..., None]) / params.padding)
    shapes *= (bins >= 0) & (bins < params.band_bins)
    bins = bins.clamp(0, params.band_bins - 1).flatten(1)
    result = torch.zeros_like(spectrum)
    for own, channel in zip(phasor, result, strict=True):
        turned = torch.polar((own.abs() / loudness)[..., None], own.angle()[..., None] * number)
        channel.scatter_add_(1, bins, (turned[..., None] * shapes).flatten(1))
    return result * centring(params, spectrum.device).conj()


def fundamentals(spectrum: Tensor, hertz: Tensor, params: SpectrogramParams) -> tuple[Tensor, Tensor]:
    """Where notes `[frames, notes]` have their peaks, in bins, 0 where there is none; and the spectrum there `[C, frames, notes]`,
    with the phase at the middle of the frame."""
    magnitude = channel_rms(spectrum)
    middle = hertz * (params.n_fft / params.sample_rate)
    radius = int(NEAR * HIGHEST * params.n_fft / params.sample_rate) + 1
    bins = middle.round().long()[..., None] + torch.arange(-radius, radius + 1, device=hertz.device)
    near = (bins - middle[..., None]).abs() <= (NEAR * middle).clamp(min=1)[..., None]
    around = magnitude.gather(1, bins.clamp(1, params.band_bins - 2).flatten(1)).view(bins.shape) * near
    peak = bins.gather(-1, around.argmax(-1, keepdim=True))[..., 0].clamp(1, params.band_bins - 2)
    left, top, right = (magnitude.gather(1, peak + side).clamp(min=QUIET).log() for side in (-1, 0, 1))
    beside = 0.5 * (left - right) / (left - 2 * top + right).clamp(max=-QUIET)
    phasor = torch.stack([channel.gather(1, peak) for channel in spectrum]) * centring(params, spectrum.device)[peak]
    return (peak + beside) * (top > left) * (top >= right), phasor


@lru_cache
def centring(params: SpectrogramParams, device: torch.device) -> Tensor:
    """Phasors `[band_bins]` that make the phase of a spectrum refer to the middle of its frame, not to its first sample."""
    turns = torch.pi * params.win_length / params.n_fft * torch.arange(params.band_bins, device=device)
    return torch.polar(torch.ones_like(turns), turns)


def lobe(beside: Tensor) -> Tensor:
    """A Hann window's spectrum `beside` its middle, in bins of a frame without padding; 1 in the middle."""
    around = 1 - beside.square()
    return torch.where(around.abs() > 1e-4, torch.sinc(beside) / around, 0.5)


@lru_cache
def lobe_in_mel(params: SpectrogramParams, device: torch.device) -> Tensor:
    """Mel amplitudes `[n_mels]` of a lobe of height 1 in the middle of each band."""
    scale = mel_scale(params, device)
    middle = scale.centres.float().to(device) * (params.n_fft / params.sample_rate)
    away = (torch.arange(params.band_bins, device=device) - middle[:, None]) / params.padding
    return scale.amplitudes(lobe(away).abs() * (away.abs() < LOBE)).diagonal()
