"""Match tone: a fixed equaliser that gives a recording the long-term spectrum of others."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..dials import Tone
from ..style_weights import normalised
from .backend import resample
from .edges import keep_edges
from .geometry import SpectrogramParams
from .lazy import Filtered, Waveform, blocks, sounds
from .limiter import match_loudness
from .loudness import allowed_peak
from .mel import hz_to_mel, mel_amplitudes, mel_scale

SPECTRUM = SpectrogramParams(hop_ms=20.0, padding=2, n_mels=318, f_max=20000.0)
"""What the long-term spectrum is taken with: windows of 100 ms, a band every 12 mel."""
OCTAVE = 459.0  # mel from 707 to 1414 Hz
FLOOR = 1e-10  # of the strongest band's power, -100 dB
HALF_LENGTH = 0.05  # seconds of the filter's impulse response on either side
ROUNDS = 30
SECONDS_AT_ONCE = 120

logger = logging.getLogger("stylus")
Numbers = Sequence[float] | np.ndarray


class Reference(NamedTuple):
    waveform: Waveform
    """[C, T]"""
    sample_rate: int
    """Hz."""
    weight: float = 1.0
    """Only the proportions of several references' weights matter."""


class Toned(NamedTuple):
    waveform: Waveform
    """[C, T], computed where it is read."""
    frequencies: Tensor
    """Hz [n], rising."""
    decibels: Tensor
    """Gain at those frequencies [n], before the loudness is matched."""


def match_tone(content: Waveform, sample_rate: int, references: Sequence[Reference], dials: Tone) -> Toned:
    """Filter the content so that its smoothed long-term spectrum becomes that of the references, at the content's loudness.

    The curve is smoothed on the mel scale, which is linear in Hz below 700 Hz: the filter that draws it is a few milliseconds
    long, so that its phase can be linear without an echo ahead of an onset that anybody could hear. All channels go through
    the same filter.

    Args:
        content: `[C, T]` at `sample_rate` Hz.
        references: their curves are averaged in dB; silent ones are left out with a warning.
        dials: `tone` is the share of the curve in dB: 0 gives back the content to the bit, 1 all of it.

    Raises ValueError: no weight is above 0.
    """
    normalised([reference.weight for reference in references], len(references))
    bands = mel_scale(SPECTRUM).centres.numpy()
    curve = np.zeros_like(bands)
    sounding = _sounding(content, references) if dials.tone > 0 else []
    if sounding:
        own = level_curve(content, sample_rate, dials.tone_resolution)
        total = sum(reference.weight for reference in sounding)
        for waveform, rate, weight in sounding:
            curve += weight / total * (level_curve(waveform, rate, dials.tone_resolution) - own)
        curve = bounded(dials.tone * curve, own, dials.tone_db)
    toned = content
    if curve.any():
        filtered = keep_edges(Filtered(content, linear_phase(bands, curve, sample_rate)), content, sample_rate)
        toned = match_loudness(filtered, content, sample_rate, allowed_peak(content, sample_rate))
    return Toned(toned, torch.from_numpy(bands), torch.from_numpy(curve))


def _sounding(content: Waveform, references: Sequence[Reference]) -> list[Reference]:
    """The references that sound and have a weight; none where the content is silent. Warns of what is silent."""
    if not sounds(content):
        logger.warning(
            "the content is silent and has no tone to match: choose a recording, or a part of it, with sound"
        )
        return []
    sounding = [reference for reference in references if reference.weight > 0 and sounds(reference.waveform)]
    if len(sounding) < sum(reference.weight > 0 for reference in references):
        logger.warning("a style is silent and its tone is left out: choose a recording, or a part of it, with sound")
    return sounding


def level_curve(waveform: Waveform, sample_rate: int, resolution: float) -> np.ndarray:
    """Smoothed long-term level in dB `[n_mels]`; near the recording's own Nyquist rate and above it keeps its last value.

    Args:
        resolution: width of the finest detail, in octaves at 1 kHz.
    """
    from scipy.ndimage import gaussian_filter1d  # takes a second to import, and most transfers leave the tone alone

    power, frames = np.zeros(SPECTRUM.n_mels), 0
    for piece in blocks(waveform, SECONDS_AT_ONCE * sample_rate):
        mel = mel_amplitudes(resample(piece[None], sample_rate, SPECTRUM.sample_rate), SPECTRUM)[0]
        power, frames = power + mel.square().sum(1).double().numpy(), frames + mel.shape[1]
    power /= frames
    decibels = 10 * np.log10(power.clip(FLOOR * power.max()))
    inside = np.flatnonzero(mel_scale(SPECTRUM).centres.numpy() < 0.45 * sample_rate)
    decibels[inside[-1] + 1 :] = decibels[inside[-1]]
    bands_per_octave = OCTAVE * (SPECTRUM.n_mels + 1) / hz_to_mel(SPECTRUM.f_max)
    full_width_at_half_height = 2 * np.sqrt(2 * np.log(2))
    return gaussian_filter1d(decibels, resolution * bands_per_octave / full_width_at_half_height, mode="nearest")


def bounded(curve: np.ndarray, level: np.ndarray, most_db: float) -> np.ndarray:
    """The curve, shifted so that a recording of this level keeps its power, within `most_db`. All in dB `[n_mels]`.

    Around where the recording's power lies the bound leaves the most room.
    """
    power = 10 ** (level / 10)
    for _ in range(ROUNDS):
        curve = curve - 10 * np.log10((power * 10 ** (curve.clip(-most_db, most_db) / 10)).sum() / power.sum())
    return curve.clip(-most_db, most_db)


def linear_phase(
    frequencies: Sequence[float] | np.ndarray, decibels: Sequence[float] | np.ndarray, sample_rate: int
) -> np.ndarray:
    """Taps of an FIR filter, an odd number and symmetric, with this gain in dB at these frequencies in Hz."""
    half = round(HALF_LENGTH * sample_rate)
    wanted = np.interp(np.fft.rfftfreq(4 * half, 1 / sample_rate), frequencies, decibels)
    response = np.roll(np.fft.irfft(10 ** (wanted / 20)), half)
    return response[: 2 * half + 1] * np.hanning(2 * half + 1)
