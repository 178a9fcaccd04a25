"""Partials: the content's notes as an instrument with the style's partials would sound them.

A mel spectrum is explained as notes and noise. A note is a row of partials at the multiples of its pitch; their strengths are the
product of a smooth envelope over frequency and of one factor for each partial's number. Envelope and factors are an
instrument's, learned from the style, while the content says which notes sound when. So, unlike with an equaliser, partials come
where the content has none, and leave where the style has none.

Harmonic matrix factorisation (Vincent, Bertin & Badeau, IEEE TASLP 2010) with a source-filter instrument (Heittola, Klapuri & Virtanen,
ISMIR 2009) and the multiplicative updates of Lee & Seung (NIPS 2000) for the Kullback-Leibler divergence.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..copies import to_device
from .detail import EMPTY, blur, envelope
from .geometry import SpectrogramParams
from .lazy import sounds
from .mel import CPU, mel_amplitudes, mel_scale
from .tone import Reference

PITCHES = torch.arange(30, 101, 0.25)  # MIDI notes, 46 Hz to 2.6 kHz; in quarters, since not all are tuned to 440 Hz
NUMBERS = torch.arange(1, 31)  # of a note's partials
TILT_HZ = 500.0  # above it the envelope of an average instrument falls by 3 dB an octave
WINDOW_HZ, FILTER, VIBRATO = 7.0, 0.45, 0.003  # deviations of a partial in the mel: in Hz, in bands, of its frequency
SMOOTH = 5 / 256  # of the mel axis: deviation of the Gaussian over which an envelope is smooth
NOISE_BANDS = 32
ROUNDS = 40
FIRST_ROUNDS = 10  # after which a pitch is left to the loudest of its neighbours, and an instrument is learned
DAMPING = 0.25  # exponent of an instrument's updates, which envelope and factors share
SPARSE = 0.45  # penalty on activations beside the mean spectrum's sum: few notes rather than many
BREATH = 0.25  # of the style's noise that comes with its notes
TONAL = (0.25, 0.5)  # share of its notes in a style's power: none of it is an instrument up to here, all from there
CHANGED = (2.0, 4.0)  # dB that images change an envelope by: up to here the autoencoder's error, from there a transfer
AROUND = 48 / 256  # of the mel axis: deviation of the Gaussian over which that is averaged
PLAYED = 0.05  # share of the notes in a frame of the content from which on they are notes
QUIET = 5e-6  # of a frame's mean amplitude


class Dictionary(NamedTuple):
    """What instruments of one geometry have in common."""

    partials: Tensor
    """`[notes, numbers, n_mels]`, each of strength 1; those above the band are 0."""
    band: Tensor
    """`[notes, numbers]`, the band that each lies in."""
    noise: Tensor
    """`[n_mels, NOISE_BANDS]`"""


@lru_cache
def dictionary(params: SpectrogramParams, device: torch.device) -> Dictionary:
    centres = torch.from_numpy(mel_scale(params).centres).float()
    hertz = 440 * 2 ** ((PITCHES[:, None] - 69) / 12) * NUMBERS
    above = torch.searchsorted(centres, hertz).clamp(1, params.n_mels - 1)
    width = centres[above] - centres[above - 1]
    place = above - (centres[above] - hertz) / width
    deviation = (FILTER**2 + (WINDOW_HZ / width) ** 2 + (VIBRATO * hertz / width) ** 2).sqrt()
    partials = gaussians(place, deviation, params.n_mels) * (hertz < params.f_max)[..., None]
    middle = torch.linspace(0, params.n_mels - 1, NOISE_BANDS)
    noise = gaussians(middle, torch.full_like(middle, params.n_mels / NOISE_BANDS), params.n_mels).T
    band = place.round().long().clamp(max=params.n_mels - 1)
    return Dictionary(*(to_device(made, device) for made in (partials, band, noise)))


def gaussians(place: Tensor, deviation: Tensor, size: int) -> Tensor:
    """Around places on an axis of this size: `[...]` -> `[..., size]`"""
    return torch.exp(-0.5 * ((torch.arange(size) - place[..., None]) / deviation[..., None]).square())


class Instrument(NamedTuple):
    envelope: Tensor
    """`[n_mels]`"""
    factors: Tensor
    """`[numbers]`"""

    def strengths(self, shared: Dictionary) -> Tensor:
        """`[notes, numbers]`"""
        return self.envelope[shared.band] * self.factors

    def notes(self, shared: Dictionary) -> Tensor:
        """Mel spectra `[n_mels, notes]`."""
        return torch.einsum("pk,pkb->bp", self.strengths(shared), shared.partials)

    def learned(self, shared: Dictionary, ratio: Tensor, notes: Tensor) -> Instrument:
        """One update towards what has been heard.

        Args:
            ratio: `[n_mels, frames]`, a mel over its explanation.
            notes: activations `[notes, frames]`.
        """
        strengths = self.strengths(shared)
        heard = torch.einsum("pkb,bp->pk", shared.partials, ratio @ notes.T) * strengths
        explained = torch.einsum("pkb,p->pk", shared.partials, notes.sum(1)) * strengths
        factors = self.factors * (heard.sum(0) / explained.sum(0).clamp(min=EMPTY)) ** DAMPING
        smooth = blur(len(ratio), SMOOTH * len(ratio), ratio.device)
        heard, explained = (
            smooth @ torch.zeros(len(ratio)).index_add(0, shared.band.flatten(), strength.flatten())
            for strength in (heard, explained)
        )
        least = 1e-4 * explained.mean()
        return Instrument(self.envelope * ((heard + least) / (explained + least)) ** DAMPING, factors)


@lru_cache
def average_instrument(params: SpectrogramParams, device: torch.device) -> Instrument:
    envelope = (torch.from_numpy(mel_scale(params).centres).float() / TILT_HZ).clamp(min=1) ** -0.5
    return Instrument(*(to_device(made, device) for made in (envelope / envelope.mean(), NUMBERS**-0.5)))


class Explanation(NamedTuple):
    instrument: Instrument
    notes: Tensor
    """Activations `[notes, frames]`."""
    tones: Tensor
    """Their mel `[n_mels, frames]`."""
    noise: Tensor
    """The mel `[n_mels, frames]` of the rest."""


def explain(mel: Tensor, instrument: Instrument, shared: Dictionary, learn: bool = False) -> Explanation:
    """Notes and noise whose sum is near a mel `[n_mels, frames]`; a frame's depend on the others only where an instrument is learned."""
    level = mel.mean(0).clamp(min=EMPTY)
    mel = (mel / level).clamp(min=QUIET)
    notes, noise = mel.new_ones(len(PITCHES), mel.shape[1]), mel.new_full((NOISE_BANDS, mel.shape[1]), 0.1)
    spectra = instrument.notes(shared)
    for turn in range(ROUNDS):
        ratio = mel / (spectra @ notes + shared.noise @ noise)
        sums = spectra.sum(0)[:, None]
        notes = notes * (spectra.T @ ratio) / (sums + SPARSE * sums.mean())
        noise = noise * (shared.noise.T @ ratio) / shared.noise.sum(0)[:, None]
        if turn == FIRST_ROUNDS:
            notes = notes * (notes >= F.max_pool1d(notes.T, 3, 1, 1).T)
        if learn and turn >= FIRST_ROUNDS:
            instrument = instrument.learned(shared, ratio, notes * level)
            spectra = instrument.notes(shared)
    notes, noise = notes * level, noise * level
    return Explanation(instrument, notes, spectra @ notes, shared.noise @ noise)


class Partials(NamedTuple):
    """What the styles' partials make of the content's notes."""

    spectra: Tensor
    """`[n_mels, notes]`, each with the sum of an average instrument's."""
    noise: Tensor
    """`[n_mels]`, amplitude beside the root of the notes' power in a frame."""
    share: float
    """0 to 1: how far the styles are instruments at all."""
    params: SpectrogramParams

    @classmethod
    def of(cls, styles: Sequence[Reference], params: SpectrogramParams) -> Partials | None:
        """Learned from styles at the mel's sample rate, weighted; None where none of them has notes."""
        shared, average, share = dictionary(params, CPU), average_instrument(params, CPU), 0.0
        spectra, noise = torch.zeros(params.n_mels, len(PITCHES)), torch.zeros(params.n_mels)
        for waveform, _, weight in styles:
            if weight <= 0 or not sounds(waveform):
                continue
            style = explain(mel_amplitudes(waveform[:, :][None], params)[0], average, shared, learn=True)
            loudness = style.tones.square().sum()
            weight *= float(ramp(loudness / (style.tones + style.noise).square().sum(), TONAL))
            notes = style.instrument.notes(shared)
            spectra = spectra + weight * notes / notes.sum(0)
            noise = noise + weight * (style.noise.square().sum(1) / loudness).sqrt()
            share += weight
        total = sum(weight for _, _, weight in styles)
        if share == 0:
            return None
        return cls(spectra / share * average.notes(shared).sum(0), noise / share, share / total, params)

    def on(self, device: torch.device) -> Partials:
        return self._replace(spectra=to_device(self.spectra, device), noise=to_device(self.noise, device))

    def played(self, wanted: Tensor, asked: Tensor, own: Tensor, share: float) -> Tensor:
        """A mel, mixed in dB with that of the content's notes in these partials, where the images are not the content's.

        Args:
            wanted, asked, own: mel amplitudes of what is to be decoded, of the images and of the content, `[n_mels, frames]`.
            share: of the notes, 0 to 1.
        """
        content = explain(own, average_instrument(self.params, own.device), dictionary(self.params, own.device))
        tones = self.spectra @ content.notes
        notes = tones + BREATH * self.noise[:, None] * power(tones).sqrt()
        notes *= (power(wanted) / power(notes).clamp(min=EMPTY)).sqrt()
        tonal = power(content.tones) / power(content.tones + content.noise).clamp(min=EMPTY)
        notes_share = share * self.share * ramp(tonal, (0, PLAYED)) * ramp(change(asked, own), CHANGED)
        return wanted ** (1 - notes_share) * notes**notes_share


def change(asked: Tensor, own: Tensor) -> Tensor:
    """How far apart the envelopes of two mels are around each place, root mean square in dB: `[n_mels, frames]`"""
    over, around = (envelope(mel).clamp(min=EMPTY) for mel in (asked, own))
    weight, near = over + around, blur(len(own), AROUND * len(own), own.device)
    return (near @ (weight * (20 * (over / around).log10()).square()) / (near @ weight)).sqrt()


def ramp(value: Tensor, between: tuple[float, float]) -> Tensor:
    """0 up to the first bound, 1 from the second on."""
    return ((value - between[0]) / (between[1] - between[0])).clamp(0, 1)


def power(mel: Tensor) -> Tensor:
    """Of each frame: `[n_mels, frames]` -> `[frames]`"""
    return mel.square().sum(0)
