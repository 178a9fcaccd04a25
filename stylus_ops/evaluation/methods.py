"""What is compared: the content, the style, restyling without a model, and the transfer at several settings.

A method is written NAME or NAME:setting=value,setting=value, such as `stylus:gamma=0.5,sites=9-11`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import pad

from ..audio.backend import resample
from ..audio.decode import decode
from ..audio.read import read_audio
from ..audio.windows import Spectrogram, audio_to_windows, windows_to_mel
from ..dials import Clips, Decoding, Memory, Schedule, Tone, Windows, dials_of
from ..diffusion.features import Inversion, Style
from ..engine.engine import Engine
from ..pipeline.settings import PAPER, Settings
from ..pipeline.transfer import Clip, Transfer
from .baselines import Restyled, cross_synthesis, eq_match, style_itself, truths_mel
from .pairs import Pair

LONGEST_DIFFERENCE = 0.01  # seconds, between content and truth

INVERSION_DIALS = [dial for group in (Schedule, Memory, Clips, Windows, Tone) for dial in dials_of(group)]


class Method(NamedTuple):
    """A way to restyle, at certain settings."""

    name: str
    """As it was written."""
    kind: str
    settings: Settings


class Recordings:
    """A pair at the content's sample rate, and what several methods can share: clips and inversions.

    Attributes:
        content, style: waveforms [C, T].
        truth: [C, T] of the content's length, or None.

    Raises:
        ValueError, OSError: a recording can't be read, or the truth is not as long as the content.
    """

    def __init__(self, pair: Pair, engine: Engine | None):
        self.paths, self.engine = (pair.content, pair.style), engine
        (waveform, self.sample_rate), (style_waveform, style_rate) = map(read_audio, self.paths)
        self.content: Tensor = waveform[0]
        self.style: Tensor = resample(style_waveform[0], style_rate, self.sample_rate)
        self.truth = None if pair.truth is None else self._aligned(pair.truth)
        self._inversions: dict[tuple, tuple[list[Clip], list[Inversion]]] = {}

    def _aligned(self, truth: Path) -> Tensor:
        waveform, rate = read_audio(truth)
        samples, wanted = resample(waveform[0], rate, self.sample_rate), self.content.shape[-1]
        if abs(samples.shape[-1] - wanted) > LONGEST_DIFFERENCE * self.sample_rate:
            raise ValueError(
                f"truth {truth.name} lasts {samples.shape[-1] / self.sample_rate:.3f} s and the content "
                f"{wanted / self.sample_rate:.3f} s: cut both at the same places"
            )
        return pad(samples, (0, wanted - samples.shape[-1]))

    @property
    def known_truth(self) -> Tensor:
        if self.truth is None:
            raise ValueError("this method needs the pair's truth: name it in the column truth")
        return self.truth

    def transfer(self, settings: Settings) -> Transfer:
        if self.engine is None:
            raise ValueError("no model is loaded and this method needs one: choose it with --model")
        return Transfer(self.engine, settings, quiet=True)

    def inverted(self, settings: Settings) -> tuple[list[Clip], list[Inversion]]:
        """Content and style, both cut into windows and inverted; once for all settings that do not change that."""
        key = tuple(getattr(settings, dial.name) for dial in INVERSION_DIALS)
        if key not in self._inversions:
            run = self.transfer(settings)
            clips = run.read(self.paths[0], [self.paths[1]])
            self._inversions[key] = clips, run.invert(clips)
        return self._inversions[key]


def eq_matched(pair: Recordings, settings: Settings) -> Restyled:
    """`eq_match`, alpha being its amount."""
    return eq_match(pair.content, pair.style, pair.sample_rate, settings.alpha)


def cross_synthesised(pair: Recordings, settings: Settings) -> Restyled:
    """`cross_synthesis`, alpha being its amount."""
    return cross_synthesis(pair.content, pair.style, pair.sample_rate, settings.alpha)


def autoencoded(pair: Recordings, settings: Settings) -> Restyled:
    """The content through the autoencoder and the decoder alone."""
    run = pair.transfer(settings)
    content = run.read(pair.paths[0], [pair.paths[1]])[0].recording
    return _round_trip(run, content.images(slice(None)), content.part(slice(None)))


def truth_autoencoded(pair: Recordings, settings: Settings) -> Restyled:
    """The truth's images through the autoencoder, decoded: the most that a transfer with this model can reach."""
    run = pair.transfer(settings)
    content = run.read(pair.paths[0], [])[0].recording.part(slice(None))
    images, truth = audio_to_windows(pair.known_truth[None], pair.sample_rate, run.params, settings.overlap)
    return _round_trip(run, images, content._replace(peak=truth.peak))


def _round_trip(run: Transfer, images: Tensor, spectrogram: Spectrogram) -> Restyled:
    images = run.engine.decode(run.engine.encode(images))
    return Restyled(decode(images, spectrogram, Decoding())[0], windows_to_mel(images, spectrogram)[0], spectrogram)


def transferred(pair: Recordings, settings: Settings) -> Restyled:
    """The transfer by attention injection, every dial from `settings`."""
    (content, style), (inversion, capture) = pair.inverted(settings)
    run = pair.transfer(settings)
    latents = run.restyle(inversion, Style((capture,), (1.0,)))
    waveform, spectrogram = run.decode(latents, content, [style])[:, :], content.recording.part(slice(None))
    return Restyled(waveform, windows_to_mel(run.engine.decode(latents), spectrogram)[0], spectrogram)


KINDS: dict[str, Callable[[Recordings, Settings], Restyled]] = {
    "content": lambda pair, _: Restyled(pair.content),
    "autoencoder": autoencoded,
    "style": lambda pair, _: style_itself(pair.content, pair.style, pair.sample_rate),
    "eq-match": eq_matched,
    "cross-synthesis": cross_synthesised,
    "truth-decode": lambda pair, _: truths_mel(pair.content, pair.known_truth, pair.sample_rate),
    "truth-autoencoder": truth_autoencoded,
    "adain": transferred,
    "stylus-paper": transferred,
    "stylus": transferred,
}
NEED_MODEL = ("autoencoder", "truth-autoencoder", "adain", "stylus-paper", "stylus")
ADJUSTABLE = ("eq-match", "cross-synthesis", "adain", "stylus-paper", "stylus")
"""Those whose `alpha` is a share of the way from content to style."""


def parse_method(text: str, settings: Settings) -> Method:
    """The method of a name with its dials, such as `stylus:alpha=1.2`.

    Args:
        settings: of `stylus`; the other methods with a model take its schedule, sites and geometry.

    Raises:
        ValueError: the method is unknown, has no such setting, or its value is out of range.
    """
    kind, _, changes = text.partition(":")
    if kind not in KINDS:
        raise ValueError(f"method {kind!r} is not known: choose from {', '.join(KINDS)}")
    known = [field.name for field in fields(Settings)] if kind in NEED_MODEL else ["alpha"]
    known = known if kind in ADJUSTABLE else []
    changed = {}
    for change in filter(None, changes.split(",")):
        name, _, value = change.partition("=")
        if name not in known:
            choice = ", ".join(known) or "the method alone"
            raise ValueError(f"method {text!r}: {kind} has no setting {name!r}: choose {choice}")
        changed[name] = value
    if kind == "adain" and "alpha" in changed:
        changed["adain"] = changed.pop("alpha")
    try:
        return Method(text, kind, _base(kind, settings).changed(changed))
    except ValueError as error:
        raise ValueError(f"method {text!r}: {error}") from error


def _base(kind: str, settings: Settings) -> Settings:
    if kind == "stylus":
        return settings
    if kind == "stylus-paper":
        return replace(settings, **PAPER | {"steps": settings.steps})
    if kind == "adain":
        return replace(settings, adain=1.0, adain_mode="adain", start_percent=0.0, end_percent=0.0)
    # EQ-match and cross-synthesis go all the way; what they do depends on nothing else.
    return replace(settings if kind in NEED_MODEL else Settings(), alpha=1.0)
