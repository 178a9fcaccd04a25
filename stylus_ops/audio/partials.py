"""Partials: the content's notes as an instrument with the style's partials would sound them.

A mel spectrum is explained as notes and noise. A note is a row of partials at the multiples of its pitch; their strengths are the
product of a smooth envelope over frequency and of one factor for each partial's number. Envelope and factors are an
instrument's, learned from the style, while the content says which notes sound when. So, unlike with an equaliser, partials come
where the content has none, and leave where the style has none. A note that the style plays, or one near it, has its own strengths,
and where the style plays the very notes its own frames count as well.

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
from .detail import EMPTY, blur, change, envelope, ramp
from .dynamics import fall_of
from .exemplars import Exemplars, as_seen, power
from .fade import struck
from .geometry import SpectrogramParams
from .harmonics import harmonics
from .lazy import sounds
from .mel import CPU, mel_amplitudes, mel_scale
from .tails import tail_power
from .tone import Reference

PITCHES = torch.arange(30, 101, 0.25)  # MIDI notes, 46 Hz to 2.6 kHz; in quarters, since not all are tuned to 440 Hz
HERTZ = 440 * 2 ** ((PITCHES - 69) / 12)
NUMBERS = torch.arange(1, 61)  # of a note's partials
LEARNED = 30  # of them; those above have the envelope alone: learned, they would make low notes of chimes
TILT_HZ = 500.0  # above it the envelope of an average instrument falls by 3 dB an octave
WINDOW_HZ, FILTER = 7.0, 0.45  # deviations of a partial in the mel: in Hz, in bands
VIBRATO = (0.003, 0.006, 0.012)  # and of its frequency: a single player's, a section's and a choir's
JUDGED = 64  # frames of a style that tell which
SMOOTH = 5 / 256  # of the mel axis: deviation of the Gaussian over which an envelope is smooth
NOISE_BANDS = 32
ROUNDS = 40
FIRST_ROUNDS = 10  # after which a pitch is left to the loudest of its neighbours, and an instrument is learned
DAMPING = 0.25  # exponent of an instrument's updates, which envelope and factors share
SPARSE = 0.45  # penalty on activations beside the mean spectrum's sum: few notes rather than many
NEIGHBOURS = 4.0  # quarters of a semitone: deviation of the Gaussian over which a note is heard in others
UNHEARD = 0.3  # of the most that is heard of a note: much less than that leaves one as the instrument has it
NOTE_ROUNDS = 4
BREATH, BREATH_HZ = (0.45, 0.12), 3000.0  # of the style's noise that its notes bring, below and above this
TONAL = (0.25, 0.5)  # share of its notes in a style's power: none of it is an instrument up to here, all from there
HARMONIC = (0.5, 0.7)  # likeness of its notes to an average instrument's: inharmonic ones, such as chimes, are none
CHANGED = (2.0, 4.0)  # dB that images change an envelope by: up to here the autoencoder's error, from there a transfer
AROUND = 48 / 256  # of the mel axis: deviation of the Gaussian over which that is averaged
PLAYED = 0.05  # share of the notes in a frame of the content from which on they are notes
SOUNDED = 0.25  # share of the notes in a mel from which on their partials are sounded in full
LACKING = (0.0, 12.0)  # dB wanted above the content's own: up to here it plays all of a partial, from there none
VOICES = 8  # notes of a frame whose partials are played, the loudest
PLUCKED = (-30.0, -10.0)  # dB a second by which a content's notes rise: up to here what rings on is a note, not a tail
STRUCK = (0.0, 10.0)  # dB a second by which a style's notes fall faster: from the second on the content's do not swell
QUIET = 5e-6  # of a frame's mean amplitude


class Dictionary(NamedTuple):
    """What instruments of one geometry, and of partials of one width, have in common."""

    partials: Tensor
    """`[notes, numbers, n_mels]`, each of strength 1; those above the band are 0."""
    band: Tensor
    """`[notes, numbers]`, the band that each lies in."""
    noise: Tensor
    """`[n_mels, NOISE_BANDS]`"""

    def spectra(self, strengths: Tensor) -> Tensor:
        """Mel spectra `[n_mels, notes]` of notes whose first partials have these strengths, `[notes, numbers]`."""
        return torch.einsum("pk,pkb->bp", strengths, self.partials[:, : strengths.shape[1]])

    def heard(self, strengths: Tensor, ratio: Tensor, notes: Tensor) -> tuple[Tensor, Tensor]:
        """How loud the first partials are in a mel, and in its explanation, `[notes, numbers]` each, as many as the strengths.

        Args:
            ratio: `[n_mels, frames]`, the mel over its explanation.
            notes: activations `[notes, frames]`.
        """
        partials = self.partials[:, : strengths.shape[1]]
        heard = torch.einsum("pkb,bp->pk", partials, ratio @ notes.T)
        return strengths * heard, strengths * partials.sum(2) * notes.sum(1)[:, None]


@lru_cache
def dictionary(params: SpectrogramParams, device: torch.device, vibrato: float = VIBRATO[0]) -> Dictionary:
    centres = mel_scale(params).centres.float()
    hertz = HERTZ[:, None] * NUMBERS
    above = torch.searchsorted(centres, hertz).clamp(1, params.n_mels - 1)
    width = centres[above] - centres[above - 1]
    place = above - (centres[above] - hertz) / width
    deviation = (FILTER**2 + (WINDOW_HZ / width) ** 2 + (vibrato * hertz / width) ** 2).sqrt()
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
    """`[LEARNED]`"""

    def strengths(self, shared: Dictionary) -> Tensor:
        """`[notes, LEARNED]`"""
        return self.envelope[shared.band[:, :LEARNED]] * self.factors

    def learned(self, shared: Dictionary, ratio: Tensor, notes: Tensor) -> Instrument:
        """One update towards what has been heard, from the arguments of `Dictionary.heard`."""
        heard, explained = shared.heard(self.strengths(shared), ratio, notes)
        factors = self.factors * (heard.sum(0) / explained.sum(0).clamp(min=EMPTY)) ** DAMPING
        smooth = blur(len(ratio), SMOOTH * len(ratio), ratio.device)
        band = shared.band[:, :LEARNED].flatten()
        heard, explained = (
            smooth @ torch.zeros(len(ratio)).index_add(0, band, strength.flatten()) for strength in (heard, explained)
        )
        least = 1e-4 * explained.mean()
        return Instrument(self.envelope * ((heard + least) / (explained + least)) ** DAMPING, factors)


@lru_cache
def average_instrument(params: SpectrogramParams, device: torch.device) -> Instrument:
    envelope = (mel_scale(params).centres.float() / TILT_HZ).clamp(min=1) ** -0.5
    factors = NUMBERS[:LEARNED] ** -0.5
    return Instrument(*(to_device(made, device) for made in (envelope / envelope.mean(), factors)))


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
    spectra = shared.spectra(instrument.strengths(shared))
    for turn in range(ROUNDS):
        ratio = mel / (spectra @ notes + shared.noise @ noise)
        sums = spectra.sum(0)[:, None]
        notes = notes * (spectra.T @ ratio) / (sums + SPARSE * sums.mean())
        noise = noise * (shared.noise.T @ ratio) / shared.noise.sum(0)[:, None]
        if turn == FIRST_ROUNDS:
            notes = notes * (notes >= F.max_pool1d(notes.T, 3, 1, 1).T)
        if learn and turn >= FIRST_ROUNDS:
            instrument = instrument.learned(shared, ratio, notes * level)
            spectra = shared.spectra(instrument.strengths(shared))
    notes, noise = notes * level, noise * level
    return Explanation(instrument, notes, spectra @ notes, shared.noise @ noise)


def best_width(mel: Tensor, average: Instrument, params: SpectrogramParams) -> Dictionary:
    """That of the width with which an instrument learned from some frames of a mel `[n_mels, frames]` explains them best."""
    some = mel[:, :: -(-mel.shape[1] // JUDGED)]

    def divergence(shared: Dictionary) -> float:
        style = explain(some, average, shared, learn=True)
        return float(F.poisson_nll_loss(style.tones + style.noise, some, log_input=False, eps=EMPTY))

    return min((dictionary(params, CPU, vibrato) for vibrato in VIBRATO), key=divergence)


def note_by_note(mel: Tensor, style: Explanation, shared: Dictionary) -> tuple[Tensor, Tensor]:
    """What each note has of its own where it is heard in a mel, or one near it: strengths `[notes, LEARNED]`, noise `[n_mels, notes]`."""
    near = blur(len(PITCHES), NEIGHBOURS, mel.device)
    strengths = style.instrument.strengths(shared)
    loudness = shared.spectra(strengths).sum(0)
    noise = loudness[:, None] * style.noise.sum(1) / (loudness @ style.notes).sum().clamp(min=EMPTY)

    def towards(heard: Tensor, explained: Tensor) -> Tensor:
        heard, explained = near @ heard, near @ explained
        least = UNHEARD * explained.amax(0)
        return (heard + least) / (explained + least).clamp(min=EMPTY)

    for _ in range(NOTE_ROUNDS):
        ratio = mel / (shared.spectra(strengths) @ style.notes + style.noise).clamp(min=EMPTY)
        strengths = strengths * towards(*shared.heard(strengths, ratio, style.notes))
        ratio = style.noise / (noise.T @ style.notes).clamp(min=EMPTY)
        noise = noise * towards(noise * (style.notes @ ratio.T), noise * style.notes.sum(1, keepdim=True))
    return strengths, noise.T


def likeness(strengths: Tensor, notes: Tensor, average: Instrument, shared: Dictionary) -> Tensor:
    """How much notes are like an average instrument's, 0 to 1: what the shares of their partials have in common (Bhattacharyya's
    coefficient), or the share of the fundamental, whichever is more; the mean by power.

    Shape: strengths `[notes, LEARNED]`, notes: activations `[notes, frames]` -> scalar
    """
    loud = (notes * shared.spectra(strengths).sum(0)[:, None]).square().sum(1)
    own, usual = (each / each.sum(1, keepdim=True).clamp(min=EMPTY) for each in (strengths, average.strengths(shared)))
    alike = (own * usual).sqrt().sum(1).maximum(own[:, 0])
    return alike @ loud / loud.sum().clamp(min=EMPTY)


class Score(NamedTuple):
    """What the partials of the content's notes have to play."""

    notes: Tensor
    """Activations `[notes, frames]`."""
    tones: Tensor
    """Their mel in these partials, `[n_mels, frames]`."""
    share: Tensor
    """Of the power that is wanted there, `[n_mels, frames]`."""
    partials: Partials

    def sounded(self, wanted: Tensor, own: Tensor, spectrum: Tensor) -> Tensor:
        """The spectrum `[C, frames, band_bins]` of what the content's own mel falls short of.

        Args:
            wanted, own: mel amplitudes `[n_mels, frames]`.
            spectrum: of the content.
        """
        lacking = self.share * ramp(20 * (wanted.clamp(min=EMPTY) / own.clamp(min=EMPTY)).log10(), LACKING)
        each = lacking.sqrt() * wanted / self.tones.clamp(min=EMPTY)
        loudest, note = self.notes.T.topk(VOICES)
        shared = dictionary(self.partials.params, own.device)
        band = shared.band[note]
        here = each.T.gather(1, band.flatten(1)).view(band.shape)
        amplitudes = loudest[..., None] * self.partials.strengths[note] * here
        expected = loudest * average_instrument(self.partials.params, own.device).strengths(shared)[note, 0]
        return harmonics(spectrum, to_device(HERTZ, own.device)[note], expected, amplitudes, band, self.partials.params)


class Partials(NamedTuple):
    """What the styles' partials make of the content's notes."""

    strengths: Tensor
    """`[notes, numbers]`, such that each note's spectrum has the sum of an average instrument's."""
    tones: Tensor
    """`[n_mels, notes]`, that spectrum."""
    noise: Tensor
    """`[n_mels, notes]`, what comes with each."""
    exemplars: tuple[Exemplars, ...]
    share: float
    """0 to 1: how far the styles are instruments at all."""
    fall: float
    """dB a second by which the styles' notes rise, below 0 if they fall."""
    tail: float
    """Power of what rings on after their notes, beside them."""
    params: SpectrogramParams
    wet: float = 0.0
    """Power of the contents' tails beyond the styles'."""
    struck: float = 0.0
    """0 to 1: how far the contents' notes are as loud as they get where they begin."""

    @classmethod
    def of(cls, styles: Sequence[Reference], params: SpectrogramParams) -> Partials | None:
        """Learned from styles at the mel's sample rate, weighted; None where none of them has notes."""
        average, shared = average_instrument(params, CPU), dictionary(params, CPU)
        loud = shared.spectra(average.strengths(shared)).sum(0)
        strengths = torch.zeros(len(PITCHES), len(NUMBERS))
        tones, noise = torch.zeros(2, params.n_mels, len(PITCHES))
        frames, share, fall, tail = [], 0.0, 0.0, 0.0
        for waveform, rate, weight in styles:
            if weight <= 0 or not sounds(waveform):
                continue
            mel = mel_amplitudes(waveform[:, :][None], params)[0]
            shared = best_width(mel, average, params)
            style = explain(mel, average, shared, learn=True)
            weight *= float(ramp(style.tones.square().sum() / (style.tones + style.noise).square().sum(), TONAL))
            if weight == 0:
                continue
            own, breath = note_by_note(mel, style, shared)
            weight *= float(ramp(likeness(own, style.notes, average, shared), HARMONIC))
            frames.append(Exemplars.of(mel, style.notes, weight))
            over, factors = style.instrument
            own = torch.cat([own, over[shared.band[:, LEARNED:]] * factors[LEARNED // 2 :].mean()], 1)
            spectra = shared.spectra(own)
            level = weight * loud / spectra.sum(0)
            strengths, tones, noise = strengths + level[:, None] * own, tones + level * spectra, noise + level * breath
            share, fall = share + weight, fall + weight * fall_of(waveform, rate)
            tail += weight * tail_power(mel, params)
        total = sum(weight for _, _, weight in styles)
        if share == 0:
            return None
        exemplars = tuple(style._replace(weight=style.weight / share) for style in frames)
        octaves = (mel_scale(params).centres.float()[:, None] / BREATH_HZ).log2()
        noise *= BREATH[0] * (BREATH[1] / BREATH[0]) ** ramp(octaves, (-0.5, 0.5)) / share
        learned = (strengths / share, tones / share, noise)
        return cls(*learned, exemplars, share / total, fall / total, tail / total, params)

    def beside(self, contents: Sequence[Reference]) -> Partials:
        """With what the styles' tails and falls ask of those of contents at the mel's sample rate, of the one that needs it least."""
        falls = torch.tensor([fall_of(waveform, rate) for waveform, rate, _ in contents])
        mels = (mel_amplitudes(waveform[:, :][None], self.params)[0] for waveform, _, _ in contents)
        tails = torch.tensor([tail_power(mel, self.params) for mel in mels]) * ramp(falls, PLUCKED)
        wet, sudden = self.share * tails.min() - self.tail, ramp(falls.min() - self.fall, STRUCK)
        return self._replace(wet=max(float(wet), 0.0), struck=float(sudden))

    def on(self, device: torch.device) -> Partials:
        exemplars = tuple(style.on(device) for style in self.exemplars)
        strengths, tones, noise = (to_device(tensor, device) for tensor in self[:3])
        return self._replace(strengths=strengths, tones=tones, noise=noise, exemplars=exemplars)

    def played(self, wanted: Tensor, asked: Tensor, own: Tensor, dry: Tensor, share: float) -> tuple[Tensor, Score]:
        """A mel, mixed in dB with that of the content's notes in these partials, where the images are not the content's; and what
        of it the partials are.

        Args:
            wanted, asked, own: mel amplitudes of what is to be decoded, of the images and of the content, `[n_mels, frames]`.
            dry: factors under which what changed of the content loses its tails.
            share: of the notes, 0 to 1.
        """
        changed = ramp(change(envelope(asked), envelope(own), AROUND), CHANGED)
        own, wanted = (mel * (1 - changed * (1 - dry)) for mel in (own, wanted))
        content = explain(own, average_instrument(self.params, own.device), dictionary(self.params, own.device))
        played = struck(content.notes, self.struck, self.params)
        level = struck(power(wanted)[None].sqrt(), self.struck, self.params)
        tones = self.tones @ played
        notes = tones + self.noise @ played
        clear = tones / notes.clamp(min=EMPTY)
        notes = as_seen(notes, played, self.exemplars)
        notes *= level / power(notes).clamp(min=EMPTY).sqrt()
        tonal = power(content.tones) / power(content.tones + content.noise).clamp(min=EMPTY)
        changed = ramp(tonal, (0, PLAYED)) * changed
        share *= self.share
        mixed = wanted ** (1 - share * changed) * notes ** (share * changed)
        return mixed, Score(played, tones, min(share / SOUNDED, 1) * clear * changed, self)
