"""How far an output is from the truth: the content's notes, really played on the style's instrument.

The artificial test of Cifka, Ozerov, Simsekli & Richard (ICASSP 2021). All distances are taken frame by frame on mel bands
in dB, with the output at the truth's loudness (ITU-R BS.1770), so that they are independent of level; whatever lies more
than 60 dB under the truth's loudest value counts as that, in both, so that nobody is judged by what nobody hears.
"""

from __future__ import annotations

from typing import NamedTuple

import librosa
import numpy as np
from torch import Tensor

from ..audio.loudness import loudness_gain
from ..audio.metrics import MFCC_COUNT, mel_power

FLOOR_DB = 60.0


class Distances(NamedTuple):
    """0 is the truth itself."""

    lsd_db: float  # log-spectral distance: root mean square over the mel bands of a frame, mean over the frames
    mcd: float
    """Mel-cepstral distortion: Euclidean distance of MFCCs 1 to 19 of a frame, mean over the frames. The cepstra are those
    of librosa, an orthonormal cosine transform of dB."""
    mfcc_means: float  # Euclidean distance of the MFCCs' means over time


def distances_to_truth(truth: Tensor, output: Tensor, sample_rate: int) -> Distances:
    """Distances between waveforms [C, T]; channels are averaged.
    Raises ValueError if the truth is silent, or the output has another length."""
    if output.shape[-1] != truth.shape[-1]:
        given = f"the truth has {truth.shape[-1]} samples and the output {output.shape[-1]}"
        raise ValueError(f"{given}: compare clips of equal length, cut at the same place")
    wanted = mel_power(truth, sample_rate)
    if not wanted.any():
        raise ValueError("the truth is silent: there is nothing to compare with")
    power = loudness_gain(output, truth, sample_rate) ** 2 * mel_power(output, sample_rate)
    floor = 10 ** (-FLOOR_DB / 10) * wanted.max()
    return distances(*(10 * np.log10(np.maximum(values, floor)) for values in (wanted, power)))


def distances(truth: np.ndarray, output: np.ndarray) -> Distances:
    """Distances between two mel spectra in dB, [bands, frames]."""
    a, b = (librosa.feature.mfcc(S=decibels, n_mfcc=MFCC_COUNT)[1:] for decibels in (truth, output))
    return Distances(
        float(np.sqrt(np.square(output - truth).mean(0)).mean()),
        float(np.linalg.norm(b - a, axis=0).mean()),
        float(np.linalg.norm(b.mean(1) - a.mean(1))),
    )
