"""Everything that shapes the sound of a transfer on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..audio.geometry import PRESETS, check_overlap
from ..dials import DIALS, Clips, Decoding, Memory, Schedule, Steering, Tone, Windows


@dataclass(frozen=True)
class Settings(Decoding, Tone, Windows, Clips, Memory, Schedule, Steering):
    """The dials of all groups, so that every function that takes one group takes these settings.
    Raises ValueError if a dial is out of range, or the overlap is more than half of the preset's window."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.preset in PRESETS:
            check_overlap(self.overlap, PRESETS[self.preset])

    def preset_for(self, own: str) -> str:
        """The preset of a run on a model whose own one is given.
        Raises ValueError if another one is asked for, or the overlap is more than half of its window."""
        if self.preset not in ("auto", own):
            raise ValueError(f"preset is {self.preset} and the model takes {own} images: choose {own} or auto")
        check_overlap(self.overlap, PRESETS[own])
        return own

    def changed(self, texts: Mapping[str, str]) -> Settings:
        """These settings with some read from texts, by name; ValueError where a text is no value of its dial."""
        return replace(self, **{name: DIALS[name].parse(text) for name, text in texts.items()})


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
    "grain": 0.0,
    "detail": 1.0,
    "partials": 0.0,
    "mix": 1.0,
}
"""The headline run of arXiv 2411.15913."""
