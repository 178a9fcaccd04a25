"""Every dial's one home: its name, default, range, unit, and what it does to the sound.

Core functions take their defaults and their checks from here; `pipeline.settings` and the command line, the nodes' widgets
and the tables of the help pages are made of it. The paper's own run (Stylus, arXiv 2411.15913)
is `pipeline.settings.PAPER`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any


@dataclass(frozen=True)
class Dial:
    """One thing to turn.

    Args:
        name: the same in a node, on the command line (with hyphens), in a table of transfers and in every message.
        default: what it stands at.
        text: what it does to the sound, for tooltips, help and tables.
        advanced: folded away in a node until asked for.
    """

    name: str
    default: Any
    text: str
    advanced: bool = False

    @property
    def allowed(self) -> str:
        """Its values in words, such as "0 to 2" or "pad, loop"."""
        raise NotImplementedError

    def check(self, value: Any) -> None:
        """Raises ValueError, naming the dial and what to choose, unless `value` is one of its values."""
        raise NotImplementedError

    def parse(self, text: str) -> Any:
        """The value that a text stands for; ValueError as `check` raises it."""
        raise NotImplementedError


@dataclass(frozen=True)
class Number(Dial):
    """A finite number from `low` to `high`; `step` is that of its slider."""

    default: float
    low: float = 0.0
    high: float = 1.0
    step: float = 0.01
    unit: str = ""

    kind = "number"

    @property
    def allowed(self) -> str:
        return f"{self.low:g} to {self.high:g} {self.unit}".rstrip()

    def accepts(self, value: Any) -> bool:
        """Whether `value` is of this dial's kind, whatever its size."""
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)

    def check(self, value: Any) -> None:
        if not (self.accepts(value) and self.low <= value <= self.high):
            raise self._refusal(str(value) if isinstance(value, Real) else repr(value))

    def parse(self, text: str) -> Any:
        try:
            value = type(self.default)(text)
        except ValueError:
            raise self._refusal(repr(text)) from None
        self.check(value)
        return value

    def _refusal(self, given: str) -> ValueError:
        return ValueError(f"{self.name} is {given}: choose a {self.kind} from {self.allowed}")


@dataclass(frozen=True)
class Whole(Number):
    """A whole number from `low` to `high`."""

    default: int
    low: int = 0
    high: int = 1
    step: int = 1

    kind = "whole number"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, Integral) and not isinstance(value, bool)


@dataclass(frozen=True)
class Choice(Dial):
    """One of a few names. They are stored in people's workflows: add, never rename."""

    default: str
    choices: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        return ", ".join(self.choices)

    def check(self, value: Any) -> None:
        if value not in self.choices:
            raise ValueError(f"{self.name} is {value!r}: choose one of {self.allowed}")

    def parse(self, text: str) -> str:
        self.check(text)
        return text


@dataclass(frozen=True)
class Words(Dial):
    """A text whose sense depends on the model, so that only its being a text is checked here."""

    default: str
    example: str = ""

    @property
    def allowed(self) -> str:
        return self.example

    def check(self, value: Any) -> None:
        if not isinstance(value, str):
            raise ValueError(f"{self.name} is {value!r}: write {self.example}")

    def parse(self, text: str) -> str:
        return text


ALPHA = Number(
    "alpha",
    0.9,
    "How much style. 0 keeps the content, 1 swaps keys and values, above 1 exaggerates.",
    high=2.0,
)
GAMMA = Number(
    "gamma",
    0.75,
    "How firmly melody and rhythm are held: the share of the attention queries that is the content's own.",
)
TEMPERATURE = Number(
    "temperature",
    1.0,
    "Above 1 each place of the content copies fewer, better matching places of the style; below 1 it averages more.",
    advanced=True,
    low=0.1,
    high=10.0,
    step=0.05,
)
ADAIN = Number(
    "adain",
    1.0,
    "How far the start noise takes the style's overall brightness and density. 0 starts from the content's own noise.",
    advanced=True,
)
ADAIN_MODE = Choice(
    "adain_mode",
    "adain",
    "What the start noise takes of the style: mean and deviation (adain), the whole distribution (efdm), or nothing (none).",
    advanced=True,
    choices=("adain", "efdm", "none"),
)
START_PERCENT = Number(
    "start_percent",
    0.0,
    "Part of the sampling run, 0 to 1, after which the style is injected. 0 is the first step.",
    advanced=True,
)
END_PERCENT = Number(
    "end_percent",
    1.0,
    "Part of the sampling run, 0 to 1, after which the style is no longer injected. 1 is the last step.",
    advanced=True,
)

STEPS = Whole(
    "steps",
    10,
    "Noise levels of inversion and sampling. With Stylus Tiny more than 10 change little; the paper has 50, for Stable Diffusion.",
    low=2,
    high=999,
)
SITES = Words(
    "sites",
    "auto",
    "Decoder blocks in which the style is injected: fewer blocks, less style. auto is 6-11 for Stable Diffusion 1.x and 2.x.",
    advanced=True,
    example="auto, or blocks such as 6-11 or 9, 10, 11",
)
INVERSION = Choice(
    "inversion",
    "fixed_point",
    "How the content's noise is found. fixed_point solves the exact inverse of the sampling step and costs what ddim, the "
    "paper's, costs at 1 correction.",
    advanced=True,
    choices=("fixed_point", "ddim"),
)
CORRECTIONS = Whole(
    "corrections",
    1,
    "Evaluations per step of fixed_point. More come closer to the exact inverse; each is one more evaluation a step.",
    advanced=True,
    low=1,
    high=100,
)
FEATURES = Choice(
    "features",
    "auto",
    "cache keeps features in host memory, so that another alpha costs one sampling run. recompute keeps almost nothing and "
    "evaluates them again; the sound is the same. auto decides by free memory. cache_fp16 halves the memory and rounds.",
    advanced=True,
    choices=("auto", "cache", "cache_fp16", "recompute"),
)
WINDOWS_PER_PASS = Whole(
    "windows_per_pass",
    0,
    "Windows evaluated at once. 0 takes as many as fit in memory. The sound is the same.",
    advanced=True,
    high=4096,
)

PRESET = Choice(
    "preset",
    "auto",
    "Geometry of the images: sd-512 for Stable Diffusion, tiny-256 for Stylus Tiny. auto is that of the model; in a graph, of "
    "the MODEL that is wired to the node, or sd-512 without one.",
    choices=("auto", "sd-512", "tiny-256"),
)
OVERLAP = Whole(
    "overlap",
    64,
    "Frames over which neighbouring windows cross-fade, at most half a window; one is 10 ms in sd-512 and 20 ms in "
    "tiny-256. More is smoother and costs more windows.",
    advanced=True,
    high=256,
    unit="frames",
)
SHORT_CLIP = Choice(
    "short_clip",
    "pad",
    "A clip shorter than one window is completed with silence (pad: for a content) or with itself (loop: for a style, which "
    "silence would spoil).",
    advanced=True,
    choices=("pad", "loop"),
)
START = Number("start", 0.0, "Seconds to skip at the beginning.", high=86400.0, step=0.01, unit="s")
DURATION = Number("duration", 0.0, "Seconds to read. 0 reads to the end.", high=86400.0, step=0.01, unit="s")
CONTENT_START = replace(START, name="content_start", text="Seconds to skip at the beginning of the content.")
CONTENT_DURATION = replace(DURATION, name="content_duration", text="Seconds of the content to use. 0 is to its end.")
STYLE_START = replace(START, name="style_start", text="Seconds to skip at the beginning of each style.")
STYLE_DURATION = replace(DURATION, name="style_duration", text="Seconds of each style to use. 0 is to its end.")
STYLE_WINDOWS = Whole(
    "style_windows",
    4,
    "Windows of a long style that are used, from its start. Each adds to the cost of attention.",
    advanced=True,
    low=1,
    high=64,
)

TONE = Number(
    "tone",
    0.0,
    "How far the content first takes the style's long-term spectrum, as an equaliser would match it. 0 leaves it as it is.",
)
TONE_RESOLUTION = Number(
    "tone_resolution",
    0.25,
    "Finest detail of that equaliser's curve, in octaves at 1 kHz. Coarser matches brightness alone; finer copies single notes "
    "of the style.",
    advanced=True,
    low=0.1,
    high=2.0,
    step=0.05,
    unit="octaves",
)
TONE_DB = Number(
    "tone_db",
    18.0,
    "The most that this equaliser amplifies or attenuates a frequency.",
    advanced=True,
    high=60.0,
    step=1.0,
    unit="dB",
)

DECODE = Choice(
    "decode",
    "phase",
    "phase: the images' magnitudes with the content's phase, and its detail where the images have none. gain: filters the "
    "content by what changed; cleanest, but cannot add sound where the content is silent. griffin_lim: guesses the phase; a "
    "baseline to compare with. phase_pinv: phase as in the paper.",
    choices=("phase", "gain", "griffin_lim", "phase_pinv"),
)
LOUDNESS = Choice(
    "loudness",
    "match_content",
    "match_content: as loud as the content (ITU-R BS.1770). none: as loud as it comes out.",
    choices=("match_content", "none"),
)
PHASE_ITERS = Whole(
    "phase_iters",
    0,
    "Griffin-Lim iterations, for all but gain. More bring the sound closer to the images and further from the content's "
    "phase. 0 means 32 for griffin_lim and none for the others.",
    advanced=True,
    high=256,
)
GAIN_DB = Number(
    "gain_db",
    24.0,
    "For gain: the most that a frequency is amplified or attenuated.",
    advanced=True,
    high=120.0,
    step=1.0,
    unit="dB",
)
ABOVE_BAND_DB = Number(
    "above_band_db",
    0.0,
    "Level of what the content has above 10 kHz, which the images do not show. 0 keeps it, -120 removes it.",
    advanced=True,
    low=-120.0,
    high=0.0,
    step=1.0,
    unit="dB",
)
DYNAMICS = Number(
    "dynamics",
    0.5,
    "How closely loudness over time follows the content's: within a factor of two at 0.5, fully at 1; single peaks are limited. "
    "0 leaves it alone, as the paper does, and a single peak then holds the whole clip down.",
)
NOISE = Number(
    "noise",
    0.0,
    "Where the images ask for sound that the content lacks: the share of it that is made of noise. For styles such as water or "
    "wind. Not for gain.",
    advanced=True,
)
MIX = Number("mix", 1.0, "Dry to wet. 0 is the content itself, 1 the whole effect.")

WHAT = Choice(
    "what",
    "percussive",
    "Where the mask is white. onsets: attacks, at all frequencies. percussive: clicks and drums. harmonic: tones. loud: moments "
    "close to the loudest. band: everywhere between low_hz and high_hz.",
    choices=("onsets", "percussive", "harmonic", "loud", "band"),
)
LOW_HZ = Number(
    "low_hz",
    0.0,
    "Black below this frequency, in Hz, for every choice of what.",
    high=20000.0,
    step=10.0,
    unit="Hz",
)
HIGH_HZ = Number(
    "high_hz",
    20000.0,
    "Black above this frequency, in Hz, for every choice of what. The spectrogram ends at 10000.",
    high=20000.0,
    step=10.0,
    unit="Hz",
)
SMOOTH = Number(
    "smooth",
    0.05,
    "Seconds over which the mask is averaged in time.",
    advanced=True,
    high=10.0,
    unit="s",
)

FIRST = Whole(
    "first",
    1,
    "Number of the first recording, by name.",
    advanced=True,
    low=1,
    high=100000,
)
MOST = Whole(
    "most",
    0,
    "How many recordings to read. 0 reads all. What they become stays in memory until the run ends.",
    advanced=True,
    high=100000,
)

SOUND_MASK = (WHAT, LOW_HZ, HIGH_HZ, SMOOTH)
"""What shapes a mask that is made from a sound, in a graph."""

GROUPS: dict[str, tuple[Dial, ...]] = {
    "style": (ALPHA, GAMMA, TEMPERATURE, ADAIN, ADAIN_MODE, START_PERCENT, END_PERCENT),
    "schedule": (STEPS, SITES, INVERSION, CORRECTIONS),
    "memory": (FEATURES, WINDOWS_PER_PASS),
    "clips": (CONTENT_START, CONTENT_DURATION, STYLE_START, STYLE_DURATION, STYLE_WINDOWS),
    "windows": (PRESET, OVERLAP),
    "tone": (TONE, TONE_RESOLUTION, TONE_DB),
    "decode": (DECODE, LOUDNESS, DYNAMICS, MIX, PHASE_ITERS, GAIN_DB, ABOVE_BAND_DB, NOISE),
}
"""What shapes a transfer from files to files, as the command line and the README show it."""

DIALS = {dial.name: dial for group in GROUPS.values() for dial in group}
"""The same by name."""


def check_span(start_percent: float, end_percent: float) -> None:
    """Raises ValueError unless both are parts of a run, in this order."""
    START_PERCENT.check(start_percent)
    END_PERCENT.check(end_percent)
    if start_percent > end_percent:
        raise ValueError(
            f"start_percent is {start_percent} and end_percent is {end_percent}: choose an end at or after the start"
        )


def check_band(low_hz: float, high_hz: float) -> None:
    """Raises ValueError unless both are frequencies, the first below the second."""
    LOW_HZ.check(low_hz)
    HIGH_HZ.check(high_hz)
    if low_hz >= high_hz:
        raise ValueError(f"low_hz is {low_hz:g} and high_hz is {high_hz:g}: choose a low_hz below the high_hz")
