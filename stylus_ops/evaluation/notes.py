"""Onsets and pitch of a clip, and how well another clip keeps them.

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

RATE, HOP = 22050, 512
ONSET_TOLERANCE = 0.05  # seconds
LOWEST, HIGHEST = (float(librosa.note_to_hz(name)) for name in ("C2", "G6"))
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
        grid: dict = {"sr": RATE, "hop_length": HOP, "resolution": PITCH_RESOLUTION}
        hertz, voiced, _ = librosa.pyin(self.samples, fmin=LOWEST, fmax=HIGHEST, fill_na=None, **grid)
        return np.where(voiced, hertz, -hertz)


def onset_f1(content: Notes, output: Notes) -> float:
    """F measure of the output's onsets within 50 ms of the content's; NaN where neither has any."""
    if not (content.onsets.size or output.onsets.size):
        return float("nan")
    return float(mir_eval.onset.f_measure(content.onsets, output.onsets, window=ONSET_TOLERANCE)[0])


def raw_pitch_accuracy(content: Notes, output: Notes) -> float:
    """Share of one voice's voiced frames in which the output's pitch is at most 50 cents away; NaN without such frames."""
    if not (content.pitch > 0).any():
        return float("nan")
    times = [librosa.times_like(notes.pitch, sr=RATE, hop_length=HOP) for notes in (content, output)]
    compared = mir_eval.melody.to_cent_voicing(times[0], content.pitch, times[1], output.pitch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an output without any pitch is worth 0, not a warning
        return float(mir_eval.melody.raw_pitch_accuracy(*compared))
