"""What is compared: the content, the style, restyling without a model, and the transfer at several settings.

A method is written NAME or NAME:setting=value,setting=value, such as `stylus:gamma=0.5,sites=9-11`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..audio.backend import resample
from ..audio.decode import decode
from ..audio.geometry import PRESETS
from ..audio.loudness import allowed_peak, limit_true_peak, loudness_gain
from ..audio.read import read_audio
from ..audio.tone import Reference, match_tone
from ..audio.windows import audio_to_windows
from ..dials import Clips, Decoding, Memory, Schedule, Tone, Windows, dials_of
from ..diffusion.features import Inversion, Style
from ..engine.engine import Engine
from ..pipeline.settings import PAPER, Settings
from ..pipeline.transfer import Clip, Transfer
from .pairs import Pair

LONGEST_DIFFERENCE = 0.01  # seconds, between content and truth

INVERSION_DIALS = [dial for group in (Schedule, Memory, Clips, Windows, Tone) for dial in dials_of(group)]


class Method(NamedTuple):
    name: str  # as it was written
    kind: str
    settings: Settings


class Recordings:
    """A pair at the content's sample rate, and what several methods can share: clips and inversions.

    Waveforms are [C, T]; `truth` has the content's length, or is None. Raises ValueError or OSError if a recording can't be
    read, or the truth is not as long as the content.
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
        assert self.engine is not None
        return Transfer(self.engine, settings, quiet=True)

    def inverted(self, settings: Settings) -> tuple[list[Clip], list[Inversion]]:
        """Content and style, both cut into windows and inverted; once for all settings that do not change that."""
        key = tuple(getattr(settings, dial.name) for dial in INVERSION_DIALS)
        if key not in self._inversions:
            run = self.transfer(settings)
            clips = run.read(self.paths[0], [self.paths[1]])
            self._inversions[key] = clips, run.invert(clips)
        return self._inversions[key]


def style_itself(pair: Recordings, settings: Settings) -> Tensor:
    """The style's own recording, looped or cut to the content's length and at its loudness."""
    content, rate = pair.content, pair.sample_rate
    repeated = pair.style[:, torch.arange(content.shape[-1]) % pair.style.shape[-1]]
    repeated = repeated * loudness_gain(repeated, content, rate)
    return limit_true_peak(repeated, rate, allowed_peak(content, rate))[:, :]


def eq_matched(pair: Recordings, settings: Settings) -> Tensor:
    """The content through the equaliser of `match_tone`, bounded at 24 dB; alpha is the share of its curve in dB."""
    style = Reference(pair.style, pair.sample_rate)
    toned = match_tone(pair.content, pair.sample_rate, [style], Tone(settings.alpha, tone_db=24.0))
    return toned.waveform[:, :]


def truths_mel(pair: Recordings, settings: Settings) -> Tensor:
    """The truth's own mel with the content's phase, as one window of the bundled model's preset."""
    rate, preset = pair.sample_rate, PRESETS["tiny-256"]
    samples = resample(pair.content, rate, preset.sample_rate).shape[-1]
    params = replace(preset, width=preset.count_frames(samples))
    (_, content), (images, truth) = (
        audio_to_windows(clip[None], rate, params, overlap=0) for clip in (pair.content, pair.known_truth)
    )
    return decode(images, content._replace(peak=truth.peak), Decoding())[0]


def autoencoded(pair: Recordings, settings: Settings, waveform: Tensor) -> Tensor:
    """A waveform through the autoencoder, with the content's phase: of the truth's, the most that a transfer with this model can reach."""
    run = pair.transfer(settings)
    content = run.read(pair.paths[0], [])[0].recording.part(slice(None))
    images, cut = audio_to_windows(waveform[None], pair.sample_rate, run.params, settings.overlap)
    return decode(run.engine.decode(run.engine.encode(images)), content._replace(peak=cut.peak), Decoding())[0]


def transferred(pair: Recordings, settings: Settings) -> Tensor:
    """The transfer by attention injection, every dial from `settings`."""
    (content, style), (inversion, capture) = pair.inverted(settings)
    run = pair.transfer(settings)
    latents = run.restyle(inversion, Style((capture,), (1.0,)))
    return run.decode(latents, content, [style])[:, :]


KINDS: dict[str, Callable[[Recordings, Settings], Tensor]] = {
    "content": lambda pair, _: pair.content,
    "autoencoder": lambda pair, settings: autoencoded(pair, settings, pair.content),
    "style": style_itself,
    "eq-match": eq_matched,
    "truth-decode": truths_mel,
    "truth-autoencoder": lambda pair, settings: autoencoded(pair, settings, pair.known_truth),
    "adain": transferred,
    "stylus-paper": transferred,
    "stylus": transferred,
}
TRANSFERS = ("adain", "stylus-paper", "stylus")
NEED_MODEL = ("autoencoder", "truth-autoencoder", *TRANSFERS)
CHANGED: dict[str, dict[str, Any]] = {
    "adain": {"adain": 1.0, "adain_mode": "adain", "start_percent": 0.0, "end_percent": 0.0},
    "stylus-paper": {name: value for name, value in PAPER.items() if name != "steps"},
}
"""What a method changes of the settings."""


def parse_method(text: str, settings: Settings) -> Method:
    """The method of a name with its dials, such as `stylus:alpha=1.2`.

    `settings` are those of `stylus`; the other methods with a model take its schedule, sites and geometry.

    Raises ValueError if the method is unknown, has no such setting, or its value is out of range.
    """
    kind, _, changes = text.partition(":")
    if kind not in KINDS:
        raise ValueError(f"method {kind!r} is not known: choose from {', '.join(KINDS)}")
    known = [field.name for field in fields(Settings)] if kind in TRANSFERS else ["alpha"] if kind == "eq-match" else []
    changed = {}
    for change in filter(None, changes.split(",")):
        name, _, value = change.partition("=")
        if name not in known:
            choice = ", ".join(known) or "the method alone"
            raise ValueError(f"method {text!r}: {kind} has no setting {name!r}: choose {choice}")
        changed[name] = value
    if kind == "adain" and "alpha" in changed:
        changed["adain"] = changed.pop("alpha")
    base = replace(settings, **CHANGED.get(kind, {})) if kind in NEED_MODEL else Settings(alpha=1.0)
    try:
        return Method(text, kind, base.changed(changed))
    except ValueError as error:
        raise ValueError(f"method {text!r}: {error}") from error
