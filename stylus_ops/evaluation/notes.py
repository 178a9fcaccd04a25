"""Onsets, pitch and tempo of a clip, and how well another clip keeps them.

librosa finds them and mir_eval compares them, by the definitions of the MIREX tasks.
"""

from __future__ import annotations

import warnings
from functools import cached_property

import librosa
import mir_eval
import numpy as np
from torch import Tensor

from ..audio.backend import resample
from .multipitch import multipitch

RATE = 22050
HOP = 512
ONSET_TOLERANCE = 0.05  # seconds
LOWEST, HIGHEST = librosa.note_to_hz("C2"), librosa.note_to_hz("G6")
PITCH_RESOLUTION = 0.25  # semitones; raw pitch accuracy allows half a semitone


class Notes:
    """What is played in a waveform [C, T] at `sample_rate` Hz, found when first asked for; channels are averaged."""

    def __init__(self, waveform: Tensor, sample_rate: int):
        self.samples = resample(waveform.mean(0, keepdim=True), sample_rate, RATE)[0].numpy()

    @cached_property
    def onsets(self) -> np.ndarray:
        """Seconds."""
        return librosa.onset.onset_detect(y=self.samples, sr=RATE, hop_length=HOP, units="time")

    @cached_property
    def pitch(self) -> np.ndarray:
        """Hz of every frame (pYIN); negative where it is a guess about an unvoiced frame."""
        hertz, voiced, _ = librosa.pyin(
            self.samples,
            fmin=float(LOWEST),
            fmax=float(HIGHEST),
            sr=RATE,
            hop_length=HOP,
            resolution=PITCH_RESOLUTION,
            fill_na=None,
        )
        return np.where(voiced, hertz, -hertz)

    @cached_property
    def melody(self) -> np.ndarray:
        """Bool [128, frames]: the MIDI key of the pitch, in voiced frames."""
        roll = np.zeros((128, len(self.pitch)), bool)
        voiced = np.flatnonzero(self.pitch > 0)
        roll[np.round(librosa.hz_to_midi(self.pitch[voiced])).astype(int), voiced] = True
        return roll

    @cached_property
    def chords(self) -> np.ndarray:
        """Bool [128, frames]: all MIDI keys that sound."""
        return multipitch(self.samples, RATE, HOP)

    @cached_property
    def tempo(self) -> float:
        """Beats a minute."""
        return float(librosa.feature.tempo(y=self.samples, sr=RATE, hop_length=HOP)[0])


def onset_f1(content: Notes, output: Notes) -> float:
    """F measure of the output's onsets within 50 ms of the content's; NaN where neither has any."""
    if not (content.onsets.size or output.onsets.size):
        return float("nan")
    return float(mir_eval.onset.f_measure(content.onsets, output.onsets, window=ONSET_TOLERANCE)[0])


def raw_pitch_accuracy(content: Notes, output: Notes) -> float:
    """Share of the content's voiced frames in which the output's pitch is at most 50 cents away; for one voice only.

    NaN where the content has no voiced frame.
    """
    times = np.arange(max(len(content.pitch), len(output.pitch))) * HOP / RATE
    if not (content.pitch > 0).any():
        return float("nan")
    voicing, cents, out_voicing, out_cents = mir_eval.melody.to_cent_voicing(
        times[: len(content.pitch)], content.pitch, times[: len(output.pitch)], output.pitch
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an output without any pitch is worth 0, not a warning
        return float(mir_eval.melody.raw_pitch_accuracy(voicing, cents, out_voicing, out_cents))


def pitch_jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Keys that sound in both, of those that sound in either, frame by frame (Jaccard 1901, as Cifka et al. 2021 use it);
    1 is the same pitches throughout. NaN where nothing sounds in either.

    Shape: both bool `[128, frames]`.
    """
    either = (a | b).sum()
    return float((a & b).sum() / either) if either else float("nan")


def tempo_difference(content: Notes, output: Notes) -> float:
    """Beats a minute between the tempi, 0 or more."""
    return abs(output.tempo - content.tempo)
