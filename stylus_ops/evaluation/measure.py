"""All the numbers of one output, as columns of a table."""

from __future__ import annotations

import math
from functools import cached_property

from torch import Tensor

from ..audio.loudness import integrated_loudness
from ..audio.metrics import chroma_cosine, closed_share, closed_shares, highs, timbre
from .clarity import Clarity, clarity
from .methods import Recordings
from .notes import Notes, onset_f1, raw_pitch_accuracy
from .texture import Texture, closed_textures, texture
from .truth import distances_to_truth

COLUMNS = (
    *("chroma_cosine", "onset_f1", "raw_pitch_accuracy", "style_taken"),
    *("closed_mel_spectrum", "closed_mfcc_means", "closed_mfcc_deviations"),
    *(f"closed_texture_{field}" for field in Texture._fields),
    *("onset_sharpness_db", "loudness_difference_lu"),
)
TRUTH_COLUMNS = (
    *("closed_truth", "truth_lsd_db", "truth_mcd", "truth_mfcc_means", "truth_chroma_cosine", "truth_onset_f1"),
    *(f"truth_{name}_db" for name in ("highs", *Clarity._fields)),
)


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

    def __call__(self, output: Tensor) -> dict[str, float]:
        """Every column by name, of an output [C, T]; NaN where it means nothing for this one.
        `style_taken` is the mean of the closed distances of the mel spectrum and of the MFCCs' means and deviations."""
        content, style, sound = self.content, self.style, Sound(output, self.rate)
        closed = closed_shares(content.timbre, style.timbre, sound.timbre)
        columns = {f"closed_{name.replace(' ', '_')}": value for name, value in closed.items()}
        columns |= {
            "chroma_cosine": chroma_cosine(content.waveform, sound.waveform, self.rate),
            "onset_f1": onset_f1(content.notes, sound.notes),
            "raw_pitch_accuracy": raw_pitch_accuracy(content.notes, sound.notes) if self.monophonic else math.nan,
            "style_taken": sum(closed.values()) / len(closed),
            "onset_sharpness_db": sound.clarity.onset_sharpness,
            "loudness_difference_lu": loudness_difference(content.waveform, sound.waveform, self.rate),
        }
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
            "truth_highs_db": abs(highs(sound.waveform, self.rate) - highs(truth.waveform, self.rate)),
            **{f"truth_{name}_db": value - wanted for name, value, wanted in clearer},
        }


def loudness_difference(content: Tensor, output: Tensor, sample_rate: int) -> float:
    """How much louder the output is, in LU (ITU-R BS.1770); waveforms [C, T] of at least 0.4 s. NaN for silence."""
    difference = integrated_loudness(output, sample_rate) - integrated_loudness(content, sample_rate)
    return difference if math.isfinite(difference) else math.nan
