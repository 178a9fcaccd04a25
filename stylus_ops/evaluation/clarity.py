"""What blur takes from a sound: how far partials stand above what lies between them, and how sharply sounds begin."""

from __future__ import annotations

from typing import NamedTuple

import librosa
import numpy as np
from torch import Tensor

from ..audio.backend import resample

RATE = 44100
N_FFT, HOP = 8192, 2048
BLOCK = 60  # bins, 323 Hz
HEARD_DB = 50.0  # under the loudest block of the clip
DEEPEST = 1e-6  # of the largest magnitude, -120 dB
FRAME, STEP = 1024, 512
SHARPEST = 98.0  # percentile
SILENCE_DB = 60.0  # under the loudest frame
TINY = 1e-12


class Clarity(NamedTuple):
    """In dB; a haze lowers all of them."""

    crest_low: float
    """Peak over median of a block of bins, 0.3 to 3 kHz, mean over the blocks within 50 dB of the clip's peak; NaN without any."""
    crest_high: float  # the same, 3 to 9.5 kHz
    onset_sharpness: float
    """What the level rises by from frame to frame, 12 ms, at the sharpest beginnings: the 98th percentile of all frames."""


def clarity(waveform: Tensor, sample_rate: int) -> Clarity:
    """Of a waveform [C, T]; channels are averaged. Independent of level."""
    samples = resample(waveform.detach().cpu().float().mean(0, keepdim=True), sample_rate, RATE)[0].numpy()
    magnitude = np.abs(librosa.stft(samples, n_fft=N_FFT, hop_length=HOP))
    decibels = 20 * np.log10(np.maximum(magnitude, max(DEEPEST * magnitude.max(), TINY)))
    level = librosa.feature.rms(y=samples, frame_length=FRAME, hop_length=STEP)[0]
    rises = np.diff(20 * np.log10(np.maximum(level, 10 ** (-SILENCE_DB / 20) * max(level.max(), TINY)))).clip(min=0)
    sharpness = float(np.percentile(rises, SHARPEST)) if len(rises) else 0.0
    return Clarity(_crest(decibels, 300.0, 3000.0), _crest(decibels, 3000.0, 9500.0), sharpness)


def _crest(decibels: np.ndarray, lowest: float, highest: float) -> float:
    first, last = (round(hertz * N_FFT / RATE) for hertz in (lowest, highest))
    blocks = decibels[first : first + (last - first) // BLOCK * BLOCK].reshape(-1, BLOCK, decibels.shape[1])
    peaks = blocks.max(1)
    heard = peaks > decibels.max() - HEARD_DB
    return float((peaks - np.median(blocks, axis=1))[heard].mean()) if heard.any() else float("nan")
