"""Audio mosaicing: the content rebuilt from frames of the style (Driedger, Praetzlich & Mueller, "Let it Bee: towards
NMF-inspired audio mosaicing", ISMIR 2015).
"""

from __future__ import annotations

from fractions import Fraction

import librosa
import numpy as np
import torch
from torch import Tensor

from ..audio.backend import resample
from ..audio.loudness import allowed_peak, limit_true_peak, loudness_gain
from .baselines import Restyled

RATE = 22050
N_FFT, HOP = 2048, 1024
SHIFTS = range(-12, 13)
"""Semitones by which copies of the style are moved, so that notes that it lacks can be had; varispeed, so that their
formants move with them."""
ITERATIONS = 20
REPETITION, POLYPHONY, CONTINUITY = 3, 10, 3
"""Frames within which none is used twice; frames at once; frames before and after that are played on (the paper's r, p, c)."""
PHASE_ITERATIONS = 32
TINY = 1e-12


def musaicing(content: Tensor, style: Tensor, sample_rate: int) -> Restyled:
    """The content [C, T] from the style's frames and their pitch-shifted copies; one channel in all of the content's.

    The band ends at 11 kHz, as in the paper.
    """
    target = resample(content.mean(0, keepdim=True), sample_rate, RATE)[0].numpy()
    source = resample(style.mean(0, keepdim=True), sample_rate, RATE)
    wanted = np.abs(librosa.stft(target, n_fft=N_FFT, hop_length=HOP))
    copies = [librosa.stft(_shifted(source, s)[0].numpy(), n_fft=N_FFT, hop_length=HOP) for s in SHIFTS]
    frames = np.concatenate(copies, axis=1)
    weights = activations(wanted, np.abs(frames), [copy.shape[1] for copy in copies])
    spectrum = frames @ weights
    # Frames that overlap were not made for each other: Griffin & Lim's iterations let their phases agree.
    rebuilt = librosa.istft(spectrum, hop_length=HOP, n_fft=N_FFT, length=len(target))
    for _ in range(PHASE_ITERATIONS):
        phase = np.exp(1j * np.angle(librosa.stft(rebuilt, n_fft=N_FFT, hop_length=HOP)))
        rebuilt = librosa.istft(np.abs(spectrum) * phase, hop_length=HOP, n_fft=N_FFT, length=len(target))
    mono = resample(torch.from_numpy(rebuilt).float()[None], RATE, sample_rate)[:, : content.shape[-1]]
    output = mono.expand(len(content), -1)
    output = output * loudness_gain(output, content, sample_rate)
    return Restyled(limit_true_peak(output, sample_rate, allowed_peak(content, sample_rate))[:, :])


def activations(wanted: np.ndarray, frames: np.ndarray, copies: list[int]) -> np.ndarray:
    """How much of which source frame sounds when, [source frames, target frames], by multiplicative updates that lessen the
    Kullback-Leibler divergence while repetition and polyphony are held down more and more.

    Args:
        wanted: magnitudes [bins, target frames].
        frames: magnitudes [bins, source frames], which stay as they are.
        copies: source frames of each recording, in their order; playing on never leads from one into the next.
    """
    generator = np.random.default_rng(0)
    weights = generator.random((frames.shape[1], wanted.shape[1]))
    total = frames.sum(0)[:, None] + TINY
    for iteration in range(ITERATIONS):
        less = 1 - (iteration + 1) / ITERATIONS
        loudest = _sliding_maximum(weights, REPETITION)
        weights = np.where(weights < loudest, less * weights, weights)
        if len(weights) > POLYPHONY:
            least = np.partition(weights, -POLYPHONY, axis=0)[-POLYPHONY]
            weights = np.where(weights < least, less * weights, weights)
        parts = np.split(weights, np.cumsum(copies)[:-1])
        weights = np.concatenate([_played_on(part) for part in parts])
        weights *= frames.T @ (wanted / (frames @ weights + TINY)) / total
    return weights


def _sliding_maximum(weights: np.ndarray, reach: int) -> np.ndarray:
    padded = np.pad(weights, ((0, 0), (reach, reach)))
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=1).max(-1)


def _played_on(weights: np.ndarray) -> np.ndarray:
    """Sums along the diagonals: a frame is favoured where its neighbours in the source sound before and after it."""
    summed = weights.copy()
    for offset in range(1, CONTINUITY + 1):
        summed[offset:, offset:] += weights[:-offset, :-offset]
        summed[:-offset, :-offset] += weights[offset:, offset:]
    return summed


def _shifted(waveform: Tensor, semitones: int) -> Tensor:
    """A waveform [1, T] played faster or slower, so that it sounds that many semitones higher."""
    ratio = Fraction(2 ** (-semitones / 12)).limit_denominator(64)
    return resample(waveform, ratio.denominator, ratio.numerator)
