"""Everything that shapes the sound of a transfer on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from .. import dials
from ..audio.geometry import PRESETS
from ..audio.windows import check_overlap
from ..diffusion.attention import Steering


@dataclass(frozen=True)
class Settings:
    """A value of every dial in `dials.GROUPS`, by its name."""

    alpha: float = dials.ALPHA.default
    gamma: float = dials.GAMMA.default
    temperature: float = dials.TEMPERATURE.default
    adain: float = dials.ADAIN.default
    adain_mode: str = dials.ADAIN_MODE.default
    start_percent: float = dials.START_PERCENT.default
    end_percent: float = dials.END_PERCENT.default
    steps: int = dials.STEPS.default
    sites: str = dials.SITES.default
    inversion: str = dials.INVERSION.default
    corrections: int = dials.CORRECTIONS.default
    features: str = dials.FEATURES.default
    windows_per_pass: int = dials.WINDOWS_PER_PASS.default
    content_start: float = dials.CONTENT_START.default
    content_duration: float = dials.CONTENT_DURATION.default
    style_start: float = dials.STYLE_START.default
    style_duration: float = dials.STYLE_DURATION.default
    style_windows: int = dials.STYLE_WINDOWS.default
    preset: str = dials.PRESET.default
    overlap: int = dials.OVERLAP.default
    tone: float = dials.TONE.default
    tone_resolution: float = dials.TONE_RESOLUTION.default
    tone_db: float = dials.TONE_DB.default
    decode: str = dials.DECODE.default
    loudness: str = dials.LOUDNESS.default
    dynamics: float = dials.DYNAMICS.default
    mix: float = dials.MIX.default
    phase_iters: int = dials.PHASE_ITERS.default
    gain_db: float = dials.GAIN_DB.default
    above_band_db: float = dials.ABOVE_BAND_DB.default
    noise: float = dials.NOISE.default

    @property
    def steering(self) -> Steering:
        return Steering(self.alpha, self.gamma, self.temperature)

    def check(self) -> None:
        """Raises ValueError naming the dial that is out of range, before anything is loaded."""
        for field in fields(self):
            dials.DIALS[field.name].check(getattr(self, field.name))
        dials.check_span(self.start_percent, self.end_percent)
        if self.preset in PRESETS:
            check_overlap(self.overlap, PRESETS[self.preset])

    def preset_for(self, own: str) -> str:
        """The preset of a run on a model whose own one is given.

        Raises:
            ValueError: another one is asked for, or the overlap is more than half of its window.
        """
        if self.preset not in ("auto", own):
            raise ValueError(f"preset is {self.preset} and the model takes {own} images: choose {own} or auto")
        check_overlap(self.overlap, PRESETS[own])
        return own

    def changed(self, texts: Mapping[str, str]) -> Settings:
        """These settings with some read from texts, by name, and all checked; ValueError as `check` raises it."""
        settings = replace(self, **{name: dials.DIALS[name].parse(text) for name, text in texts.items()})
        settings.check()
        return settings


PAPER: dict[str, Any] = {
    "alpha": 0.9,
    "gamma": 0.75,
    "temperature": 1.0,
    "adain": 1.0,
    "adain_mode": "adain",
    "start_percent": 0.0,
    "end_percent": 1.0,
    "steps": 50,
    "inversion": "ddim",
    "decode": "phase_pinv",
    "phase_iters": 0,
    "tone": 0.0,
    "dynamics": 0.0,
    "noise": 0.0,
    "mix": 1.0,
}
"""The headline run of arXiv 2411.15913."""


def known_preset(model: str) -> str | None:
    """The preset of a model, as far as its name tells before it is loaded; None where it doesn't."""
    return "tiny-256" if model == "tiny" else "sd-512" if model.endswith(".safetensors") else None
