"""All the numbers of one output, as columns of a table."""

from __future__ import annotations

from functools import cached_property

from torch import Tensor

from ..audio.metrics import Timbre, chroma_cosine, closed_shares, mfcc_frechet_distance, timbre
from .baselines import Restyled
from .clap import Clap, clap_similarities
from .clarity import Clarity, clarity
from .fidelity import clipped_share, loudness_difference, spectral_convergence
from .notes import Notes, onset_f1, raw_pitch_accuracy, tempo_difference
from .texture import Texture, closed_textures, texture
from .truth import Distances, Truth, closed_truth

CONTENT_COLUMNS = ("chroma_cosine", "onset_f1", "raw_pitch_accuracy", "tempo_difference_bpm")
CLOSED_COLUMNS = ("closed_mel_spectrum", "closed_mfcc_means", "closed_mfcc_deviations")
STYLE_COLUMNS = ("style_taken", *CLOSED_COLUMNS, "closed_centroid", "closed_flatness", "mfcc_fd")
TEXTURE_COLUMNS = tuple(f"closed_texture_{field}" for field in Texture._fields)
FIDELITY_COLUMNS = ("onset_sharpness_db", "spectral_convergence", "clipped_share", "loudness_difference_lu")
TRUTH_COLUMNS = (
    *("closed_truth", "truth_lsd_db", "truth_mcd", "truth_mfcc_means", "truth_chroma_cosine", "truth_onset_f1"),
    *(f"truth_{name}_db" for name in Clarity._fields),
)
CLAP_COLUMNS = ("clap_content", "clap_style", "clap_direction")
COLUMNS = CONTENT_COLUMNS + STYLE_COLUMNS + TEXTURE_COLUMNS + FIDELITY_COLUMNS


class Measure:
    """Measures outputs against one content and style, whose own measurements are taken once.

    Args:
        content, style: waveforms [C, T], both at `sample_rate` Hz.
        monophonic: whether the content is one voice; raw pitch accuracy is left out otherwise.
        truth: what the output should be, [C, T], or None to leave out the columns of the truth.
        clap: a model for the CLAP columns, or None to leave them out.
    """

    def __init__(
        self,
        content: Tensor,
        style: Tensor,
        sample_rate: int,
        monophonic: bool,
        truth: Tensor | None = None,
        clap: Clap | None = None,
    ):
        self.content, self.style, self.rate, self.monophonic = content, style, sample_rate, monophonic
        self.truth, self.clap = truth, clap

    @cached_property
    def notes(self) -> Notes:
        return Notes(self.content, self.rate)

    @cached_property
    def timbres(self) -> tuple[Timbre, Timbre]:
        return timbre(self.content, self.rate), timbre(self.style, self.rate)

    @cached_property
    def textures(self) -> tuple[Texture, Texture]:
        return texture(self.content, self.rate), texture(self.style, self.rate)

    @cached_property
    def reference(self) -> tuple[Truth, Distances, Notes, Clarity]:
        """The truth, how far the content is from it, and what is played there how clearly."""
        assert self.truth is not None
        truth = Truth(self.truth, self.rate)
        return truth, truth.distances(self.content), Notes(self.truth, self.rate), clarity(self.truth, self.rate)

    @cached_property
    def embeddings(self) -> tuple[Tensor, Tensor]:
        assert self.clap is not None
        return self.clap.embed(self.content, self.rate), self.clap.embed(self.style, self.rate)

    def __call__(self, output: Restyled) -> dict[str, float]:
        """Every column by name; NaN where it means nothing for this output.

        `style_taken` is the mean of the closed distances of the mel spectrum and of the MFCCs' means and deviations.
        """
        waveform = output.waveform
        notes, sound, clear = Notes(waveform, self.rate), timbre(waveform, self.rate), clarity(waveform, self.rate)
        closed = closed_shares(*self.timbres, sound)
        columns = {f"closed_{name.replace(' ', '_')}": value for name, value in closed.items()}
        columns |= {
            "chroma_cosine": chroma_cosine(self.content, waveform, self.rate),
            "onset_f1": onset_f1(self.notes, notes),
            "raw_pitch_accuracy": raw_pitch_accuracy(self.notes, notes) if self.monophonic else float("nan"),
            "tempo_difference_bpm": tempo_difference(self.notes, notes),
            "style_taken": sum(columns[name] for name in CLOSED_COLUMNS) / len(CLOSED_COLUMNS),
            "mfcc_fd": mfcc_frechet_distance(sound, self.timbres[1]),
            "onset_sharpness_db": clear.onset_sharpness,
            "spectral_convergence": _convergence(output, self.rate),
            "clipped_share": clipped_share(waveform),
            "loudness_difference_lu": loudness_difference(self.content, waveform, self.rate),
        }
        textured = closed_textures(*self.textures, texture(waveform, self.rate))
        columns |= {f"closed_texture_{field}": value for field, value in textured.items()}
        if self.truth is not None:
            columns |= self._to_truth(waveform, notes, clear)
        if self.clap is not None:
            columns |= clap_similarities(*self.embeddings, self.clap.embed(waveform, self.rate))
        return columns

    def _to_truth(self, waveform: Tensor, notes: Notes, clear: Clarity) -> dict[str, float]:
        assert self.truth is not None
        truth, before, played, clearly = self.reference
        after = truth.distances(waveform)
        return {
            "closed_truth": closed_truth(before, after),
            **{f"truth_{name}": value for name, value in after._asdict().items()},
            "truth_chroma_cosine": chroma_cosine(self.truth, waveform, self.rate),
            "truth_onset_f1": onset_f1(played, notes),
            **{f"truth_{name}_db": getattr(clear, name) - getattr(clearly, name) for name in Clarity._fields},
        }


def _convergence(output: Restyled, sample_rate: int) -> float:
    if output.requested is None or output.spectrogram is None:
        return float("nan")
    return spectral_convergence(output.requested, output.waveform, sample_rate, output.spectrogram.params)
