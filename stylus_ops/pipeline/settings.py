"""Everything that shapes the sound of a transfer on the command line, with the paper's headline run as defaults."""

from __future__ import annotations

from dataclasses import dataclass

from ..audio.decode import METHODS as DECODE_METHODS
from ..audio.geometry import PRESETS
from ..diffusion.adain import MODES as ADAIN_MODES
from ..diffusion.attention import Dials
from ..diffusion.features import POLICIES
from ..diffusion.inversion import METHODS as INVERSION_METHODS
from ..diffusion.schedule import timesteps


@dataclass(frozen=True)
class Settings:
    """The names are those of the command line's options."""

    alpha: float = 0.9
    gamma: float = 0.75
    temperature: float = 1.0
    adain: float = 1.0
    adain_mode: str = "adain"
    start: float = 0.0
    end: float = 1.0
    steps: int = 50
    sites: str = "auto"
    inversion: str = "fixed_point"
    corrections: int = 1
    features: str = "auto"
    windows_per_pass: int = 0
    preset: str = "auto"
    overlap: int = 64
    style_windows: int = 4
    decode: str = "phase"
    phase_iters: int = 0
    gain_db: float = 24.0

    def check(self) -> None:
        """Raises ValueError naming the setting that is out of range, before anything is loaded."""
        self.dials.check()
        timesteps(self.steps)
        for name, value, choices in (
            ("adain-mode", self.adain_mode, ADAIN_MODES),
            ("inversion", self.inversion, INVERSION_METHODS),
            ("features", self.features, POLICIES),
            ("preset", self.preset, ("auto", *PRESETS)),
            ("decode", self.decode, DECODE_METHODS),
        ):
            if value not in choices:
                raise ValueError(f"{name} is {value!r}: choose one of {', '.join(choices)}")
        for name, number, low, high in (
            ("adain", self.adain, 0, 1),
            ("start", self.start, 0, 1),
            ("end", self.end, self.start, 1),
            ("corrections", self.corrections, 1, 10),
            ("windows-per-pass", self.windows_per_pass, 0, 4096),
            ("overlap", self.overlap, 0, 256),
            ("style-windows", self.style_windows, 1, 64),
            ("phase-iters", self.phase_iters, 0, 1000),
            ("gain-db", self.gain_db, 0, 120),
        ):
            if not low <= number <= high:
                raise ValueError(f"{name} is {number}: choose a number from {low} to {high}")

    @property
    def dials(self) -> Dials:
        return Dials(self.alpha, self.gamma, self.temperature)
