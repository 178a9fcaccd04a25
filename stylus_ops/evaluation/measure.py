"""All the numbers of one output, as columns of a table."""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor

from ..audio.backend import resample
from ..audio.geometry import SpectrogramParams
from ..audio.loudness import integrated_loudness
from ..audio.mel import mel_amplitudes
from ..audio.metrics import chroma_cosine, closed_share, closed_shares, mfcc_frechet_distance, timbre
from .clarity import Clarity, clarity
from .methods import Recordings, Restyled
from .notes import Notes, onset_f1, raw_pitch_accuracy, tempo_difference
from .texture import Texture, closed_textures, texture
from .truth import distances_to_truth

CLOSED_COLUMNS = ("closed_mel_spectrum", "closed_mfcc_means", "closed_mfcc_deviations")
COLUMNS = (
    *("chroma_cosine", "onset_f1", "raw_pitch_accuracy", "tempo_difference_bpm"),
    *("style_taken", *CLOSED_COLUMNS, "closed_centroid", "closed_flatness", "mfcc_fd"),
    *(f"closed_texture_{field}" for field in Texture._fields),
    *("onset_sharpness_db", "spectral_convergence", "clipped_share", "loudness_difference_lu"),
)
TRUTH_COLUMNS = (
    *("closed_truth", "truth_lsd_db", "truth_mcd", "truth_mfcc_means", "truth_chroma_cosine", "truth_onset_f1"),
    *(f"truth_{name}_db" for name in Clarity._fields),
)
FULL_SCALE = 0.999


class Sound:
    """A waveform [C, T] at `rate` Hz and what can be measured of it alone, each when first used."""

    def __init__(self, waveform: Tensor, rate: int):
        self.waveform, self.rate = waveform, rate

    notes = cached_property(lambda self: Notes(self.waveform, self.rate))
    timbre = cached_property(lambda self: timbre(self.waveform, self.rate))
    clarity = cached_property(lambda self: clarity(self.waveform, self.rate))
    texture = cached_property(lambda self: texture(self.waveform, self.rate))


class Measure:
    """Measures outputs against one pair, whose own measurements are taken once.

    The columns of the truth need the pair's truth, raw pitch accuracy a `monophonic` content.
    """

    def __init__(self, pair: Recordings, monophonic: bool):
        self.rate, self.monophonic = pair.sample_rate, monophonic
        self.content, self.style = (Sound(clip, self.rate) for clip in (pair.content, pair.style))
        self.truth = None if pair.truth is None else Sound(pair.truth, self.rate)

    def __call__(self, output: Restyled) -> dict[str, float]:
        """Every column by name; NaN where it means nothing for this output.
        `style_taken` is the mean of the closed distances of the mel spectrum and of the MFCCs' means and deviations."""
        content, style, sound = self.content, self.style, Sound(output.waveform, self.rate)
        closed = closed_shares(content.timbre, style.timbre, sound.timbre)
        columns = {f"closed_{name.replace(' ', '_')}": value for name, value in closed.items()}
        columns |= {
            "chroma_cosine": chroma_cosine(content.waveform, sound.waveform, self.rate),
            "onset_f1": onset_f1(content.notes, sound.notes),
            "raw_pitch_accuracy": raw_pitch_accuracy(content.notes, sound.notes) if self.monophonic else math.nan,
            "tempo_difference_bpm": tempo_difference(content.notes, sound.notes),
            "style_taken": sum(columns[name] for name in CLOSED_COLUMNS) / len(CLOSED_COLUMNS),
            "mfcc_fd": mfcc_frechet_distance(sound.timbre, style.timbre),
            "onset_sharpness_db": sound.clarity.onset_sharpness,
            "spectral_convergence": math.nan,
            "clipped_share": clipped_share(sound.waveform),
            "loudness_difference_lu": loudness_difference(content.waveform, sound.waveform, self.rate),
        }
        if output.requested is not None and output.spectrogram is not None:
            params = output.spectrogram.params
            columns["spectral_convergence"] = spectral_convergence(output.requested, sound.waveform, self.rate, params)
        textured = closed_textures(content.texture, style.texture, sound.texture)
        columns |= {f"closed_texture_{field}": value for field, value in textured.items()}
        if self.truth is not None:
            columns |= self._to_truth(sound, self.truth)
        return columns

    def _to_truth(self, sound: Sound, truth: Sound) -> dict[str, float]:
        before, after = (distances_to_truth(truth.waveform, clip.waveform, self.rate) for clip in (self.content, sound))
        clearer = zip(Clarity._fields, sound.clarity, truth.clarity, strict=True)
        return {
            "closed_truth": closed_share(before.lsd_db, after.lsd_db),
            **{f"truth_{name}": value for name, value in after._asdict().items()},
            "truth_chroma_cosine": chroma_cosine(truth.waveform, sound.waveform, self.rate),
            "truth_onset_f1": onset_f1(truth.notes, sound.notes),
            **{f"truth_{name}_db": value - wanted for name, value, wanted in clearer},
        }


def spectral_convergence(requested: Tensor, waveform: Tensor, sample_rate: int, params: SpectrogramParams) -> float:
    """`|requested - realised| / |requested|` (Sturmel & Daudet 2011) over mel amplitudes, at the gain that fits best.
    0 is a waveform [C, T] with exactly the requested spectrum [n_mels, frames]; 1 is no better than silence."""
    realised = mel_amplitudes(resample(waveform[None], sample_rate, params.sample_rate), params)[0]
    realised = realised * (requested * realised).sum() / realised.square().sum().clamp(min=torch.finfo().tiny)
    return float((requested - realised).norm() / requested.norm().clamp(min=torch.finfo().tiny))


def clipped_share(waveform: Tensor) -> float:
    """Share of the samples of a waveform `[C, T]` at or beyond full scale."""
    return float((waveform.abs() >= FULL_SCALE).float().mean())


def loudness_difference(content: Tensor, output: Tensor, sample_rate: int) -> float:
    """How much louder the output is, in LU (ITU-R BS.1770); waveforms [C, T] of at least 0.4 s. NaN for silence."""
    difference = integrated_loudness(output, sample_rate) - integrated_loudness(content, sample_rate)
    return difference if math.isfinite(difference) else math.nan
