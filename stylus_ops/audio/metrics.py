"""Numbers for a transfer: how much of the content's harmony is kept, and how far the sound moved towards the style."""

from __future__ import annotations

import librosa
import numpy as np
from torch import Tensor

BAND, HIGHEST = 10000.0, 16000.0  # Hz: what the images show, and what many people hear
LEAST = 1e-8  # of all power; what is fainter than this above the band is nothing
MFCC_COUNT = 20
SILENCE = 1e-3  # of the loudest frame, -60 dB: frames below it have no pitch to compare
FLOOR_DB = 80.0  # below the loudest mel band


def chroma_cosine(a: Tensor, b: Tensor, sample_rate: int) -> float:
    """Cosine of the two clips' chroma vectors, frame by frame, averaged over the frames in which `a` sounds.

    1 is the same harmony throughout; unrelated music reaches about 0.6.

    Args:
        a, b: waveforms [T] or [C, T] of equal length, at `sample_rate` Hz; channels are averaged.

    Raises ValueError: the lengths differ, or `a` is silent.
    """
    first, second = _mono(a), _mono(b)
    if len(first) != len(second):
        raise ValueError(f"the clips have {len(first)} and {len(second)} samples: compare clips of equal length")
    # One tuning for both, or the same note may fall into two different bins.
    tuning = librosa.estimate_tuning(y=first, sr=sample_rate)
    chroma = [
        librosa.feature.chroma_stft(y=y, sr=sample_rate, tuning=tuning, n_fft=8192, norm=2) for y in (first, second)
    ]
    level = librosa.feature.rms(y=first, frame_length=8192)[0]
    sounding = level > SILENCE * level.max()
    if not sounding.any():
        raise ValueError("the first clip is silent: there is no harmony to compare")
    return float((chroma[0] * chroma[1]).sum(0)[sounding].mean())


Timbre = dict[str, np.ndarray]
"""How a clip sounds apart from its notes and its loudness: "mel spectrum" (long-term, dB), "mfcc means", "mfcc deviations"."""


def timbre(waveform: Tensor, sample_rate: int) -> Timbre:
    """Describe a waveform [T] or [C, T]; channels are averaged."""
    mel = mel_power(waveform, sample_rate)
    mfcc = librosa.feature.mfcc(S=librosa.power_to_db(mel, ref=np.max, top_db=FLOOR_DB), n_mfcc=MFCC_COUNT)[1:]
    long_term = librosa.power_to_db(mel.mean(1), ref=np.max, top_db=FLOOR_DB)
    return {"mel spectrum": long_term - long_term.mean(), "mfcc means": mfcc.mean(1), "mfcc deviations": mfcc.std(1)}


def mel_power(waveform: Tensor, sample_rate: int) -> np.ndarray:
    """Power of a waveform [T] or [C, T] over mel bands up to 10 kHz, [128, frames]; channels are averaged."""
    top = min(BAND, sample_rate / 2)
    return librosa.feature.melspectrogram(y=_mono(waveform), sr=sample_rate, n_mels=128, fmax=top)


def highs(waveform: Tensor, sample_rate: int) -> float:
    """Level of a waveform [T] or [C, T] from 10 to 16 kHz beside all of it, in dB, -80 at least; channels are averaged."""
    samples = _mono(waveform)
    power, hertz = np.square(np.abs(np.fft.rfft(samples))), np.fft.rfftfreq(len(samples), 1 / sample_rate)
    above = power[(hertz > BAND) & (hertz < HIGHEST)].sum()
    return 10 * float(np.log10(max(above / max(power.sum(), LEAST), LEAST)))


def closed_shares(content: Timbre, style: Timbre, output: Timbre) -> dict[str, float]:
    """`closed_share` of the Euclidean distance to the style, for each description of `Timbre`."""
    return {
        name: closed_share(*(float(np.linalg.norm(clip[name] - target)) for clip in (content, output)))
        for name, target in style.items()
    }


def closed_share(before: float, after: float) -> float:
    """Share of the content's distance `before` that is closed where the output's is `after`: 1 is no distance, 0 no nearer than
    the content was, negative further away; NaN where the content has none."""
    return 1 - after / before if before > 1e-6 else float("nan")


def _mono(waveform: Tensor) -> np.ndarray:
    """[T] or [C, T] to [T]."""
    samples = waveform.detach().cpu().float().numpy()
    return samples.mean(0) if samples.ndim > 1 else samples
