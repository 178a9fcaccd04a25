"""All user parameters, declared once: name, default, range, unit, and what each does to the sound.

A dial is a field of a frozen dataclass, its group; what the field doesn't say stands in its metadata. A group checks its values
when it is made. Core functions take the group, and node widgets, command line, batch columns and help tables are made from it.
The values of the paper's own run (Stylus, arXiv 2411.15913) are `pipeline.settings.PAPER`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar


@dataclass(frozen=True)
class Dial:
    """A parameter. Of this class itself: a text whose sense depends on the model, so that only its being a text is checked here.

    Args:
        default: its value where the user gives none.
        text: what it does to the sound, for tooltips, help and tables.
        advanced: hidden in a node until asked for.
        name: the same in a node, on the command line (with hyphens), in a table of transfers and in every message. It is the
            field's, filled in by `dials_of`.
        example: what to write, where neither a range nor choices say it.
    """

    default: Any
    text: str
    advanced: bool = False
    name: str = ""
    example: str = ""

    @property
    def allowed(self) -> str:
        """Its values in words, such as "0 to 2" or "pad, loop"."""
        return self.example

    def check(self, value: Any) -> None:
        """Raises ValueError, naming the dial and what to choose, unless `value` is one of its values."""
        if not isinstance(value, str):
            raise ValueError(f"{self.name} is {value!r}: write {self.example}")

    def parse(self, text: str) -> Any:
        """The value that a text stands for; ValueError as `check` raises it."""
        self.check(text)
        return text


@dataclass(frozen=True)
class Number(Dial):
    """A finite number from `low` to `high`; `step` is that of its slider."""

    default: float
    low: float = 0.0
    high: float = 1.0
    step: float = 0.01
    unit: str = ""

    kind: ClassVar[Any] = Real
    noun: ClassVar[str] = "number"

    @property
    def allowed(self) -> str:
        return f"{self.low:g} to {self.high:g} {self.unit}".rstrip()

    def check(self, value: Any) -> None:
        if not isinstance(value, self.kind) or isinstance(value, bool) or not self.low <= value <= self.high:
            raise self._refusal(str(value) if isinstance(value, Real) else repr(value))

    def parse(self, text: str) -> Any:
        try:
            value = type(self.default)(text)
        except ValueError:
            if text.count(",") == 1 and text.replace(",", "").lstrip("+-").isdigit():
                raise ValueError(f"{self.name} is {text!r}: write a point for the decimal comma") from None
            raise self._refusal(repr(text)) from None
        self.check(value)
        return value

    def _refusal(self, given: str) -> ValueError:
        return ValueError(f"{self.name} is {given}: choose a {self.noun} from {self.allowed}")


@dataclass(frozen=True)
class Whole(Number):
    """A whole number from `low` to `high`."""

    default: int
    low: int = 0
    high: int = 1
    step: int = 1

    kind, noun = Integral, "whole number"


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


def _declare(kind: Callable[..., Dial], default: Any, text: str, **more: Any) -> Any:
    """The dataclass field of a dial."""
    return field(default=default, metadata={"dial": kind(default, text, **more)})


number, whole, choice, words = (partial(_declare, kind) for kind in (Number, Whole, Choice, Dial))
decibels = partial(number, step=1.0, unit="dB")
seconds = partial(number, 0.0, high=86400.0, unit="s")


@dataclass(frozen=True)
class Group:
    """Dials that belong together. Raises ValueError, naming the dial, where a value is not one of its own."""

    def __post_init__(self) -> None:
        for dial in dials_of(type(self)):
            dial.check(getattr(self, dial.name))


def dials_of(group: type[Group]) -> tuple[Dial, ...]:
    """The dials of a group in the order of its fields."""
    return tuple(replace(field.metadata["dial"], name=field.name) for field in fields(group))


@dataclass(frozen=True)
class Steering(Group):
    """How the style enters. The first three are the paper's gamma, alpha (Eq. 1 and 3) and temperature tau."""

    alpha: float = number(
        0.9, "How much style. 0 keeps the content, 1 swaps keys and values, above 1 exaggerates.", high=2.0
    )
    gamma: float = number(
        0.75, "How firmly melody and rhythm are held: the share of the attention queries that is the content's own."
    )
    temperature: float = number(
        1.0,
        "Above 1 each place of the content copies fewer, better matching places of the style; below 1 it averages more.",
        advanced=True,
        low=0.1,
        high=10.0,
        step=0.05,
    )
    adain: float = number(
        1.0,
        "How far the start noise takes the style's overall brightness and density. 0 starts from the content's own noise.",
        advanced=True,
    )
    adain_mode: str = choice(
        "adain",
        "What the start noise takes of the style: mean and deviation (adain), the whole distribution (efdm), or nothing (none).",
        advanced=True,
        choices=("adain", "efdm", "none"),
    )
    start_percent: float = number(
        0.0, "Part of the sampling run, 0 to 1, after which the style is injected. 0 is the first step.", advanced=True
    )
    end_percent: float = number(
        1.0,
        "Part of the sampling run, 0 to 1, after which the style is no longer injected. 1 is the last step.",
        advanced=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start_percent > self.end_percent:
            given = f"start_percent is {self.start_percent} and end_percent is {self.end_percent}"
            raise ValueError(f"{given}: choose an end at or after the start")


@dataclass(frozen=True)
class Schedule(Group):
    """How content and styles are inverted: the same for all clips of a transfer."""

    steps: int = whole(
        8,
        "Noise levels of inversion and sampling. With Stylus Tiny more than 8 change little; the paper has 50, for Stable Diffusion.",
        low=2,
        high=999,
    )
    sites: str = words(
        "auto",
        "Decoder blocks in which the style is injected: fewer blocks, less style. auto is 6-11 for Stable Diffusion 1.x and 2.x.",
        advanced=True,
        example="auto, or blocks such as 6-11 or 9, 10, 11",
    )
    inversion: str = choice(
        "fixed_point",
        "How the content's noise is found. fixed_point solves the exact inverse of the sampling step and costs what ddim, the "
        "paper's, costs at 1 correction.",
        advanced=True,
        choices=("fixed_point", "ddim"),
    )
    corrections: int = whole(
        1,
        "Evaluations per step of fixed_point. More come closer to the exact inverse; each is one more evaluation a step.",
        advanced=True,
        low=1,
        high=100,
    )


@dataclass(frozen=True)
class Memory(Group):
    """What is kept, and how much is evaluated at once."""

    features: str = choice(
        "auto",
        "cache keeps features in host memory, so that another alpha costs one sampling run. recompute keeps almost nothing and "
        "evaluates them again; the sound is the same. auto decides by free memory. cache_fp16 halves the memory and rounds.",
        advanced=True,
        choices=("auto", "cache", "cache_fp16", "recompute"),
    )
    windows_per_pass: int = whole(
        0,
        "Windows evaluated at once. 0 takes as many as fit in memory. The sound is the same.",
        advanced=True,
        high=4096,
    )


@dataclass(frozen=True)
class Clips(Group):
    """Which parts of the recordings are used."""

    content_start: float = seconds("Seconds to skip at the beginning of the content.")
    content_duration: float = seconds("Seconds of the content to use. 0 is to its end.")
    style_start: float = seconds("Seconds to skip at the beginning of each style.")
    style_duration: float = seconds("Seconds of each style to use. 0 is to its end.")
    style_windows: int = whole(
        4,
        "Windows of a long style that are used, from its start. Each adds to the cost of attention.",
        advanced=True,
        low=1,
        high=64,
    )


@dataclass(frozen=True)
class Windows(Group):
    """How a recording is cut into images."""

    preset: str = choice(
        "auto",
        "Geometry of the images: sd-512 for Stable Diffusion, tiny-256 for Stylus Tiny. auto is that of the model; in a graph, of "
        "the MODEL that is wired to the node, or sd-512 without one.",
        choices=("auto", "sd-512", "tiny-256"),
    )
    overlap: int = whole(
        64,
        "Frames over which neighbouring windows cross-fade, at most half a window; one is 10 ms in sd-512 and 20 ms in "
        "tiny-256. More is smoother and costs more windows.",
        advanced=True,
        high=256,
        unit="frames",
    )


@dataclass(frozen=True)
class Tone(Group):
    """The equaliser ahead of the transfer."""

    tone: float = number(
        0.0,
        "How far the content first takes the style's long-term spectrum, as an equaliser would match it. 0 leaves it as it is.",
    )
    tone_resolution: float = number(
        0.25,
        "Finest detail of that equaliser's curve, in octaves at 1 kHz. Coarser matches brightness alone; finer copies single notes "
        "of the style.",
        advanced=True,
        low=0.1,
        high=2.0,
        step=0.05,
        unit="octaves",
    )
    tone_db: float = decibels(
        18.0, "The most that this equaliser amplifies or attenuates a frequency.", advanced=True, high=60.0
    )


@dataclass(frozen=True)
class Decoding(Group):
    """From images back to sound."""

    decode: str = choice(
        "phase",
        "phase: the images' magnitudes with the content's phase, and its detail where the images have none. gain: filters the "
        "content by what changed; cleanest, but cannot add sound where the content is silent. griffin_lim: guesses the phase; a "
        "baseline to compare with. phase_pinv: phase as in the paper.",
        choices=("phase", "gain", "griffin_lim", "phase_pinv"),
    )
    loudness: str = choice(
        "match_content",
        "match_content: as loud as the content (ITU-R BS.1770). none: as loud as it comes out.",
        choices=("match_content", "none"),
    )
    dynamics: float = number(
        0.5,
        "How closely loudness over time follows the content's, whose notes fade as the style's do where those fade faster: within a factor "
        "of two at 0.5, fully at 1; single peaks are limited. "
        "0 leaves it alone, as the paper does, and a single peak then holds the whole clip down.",
    )
    mix: float = number(1.0, "Dry to wet. 0 is the content itself, 1 the whole effect.")
    phase_iters: int = whole(
        0,
        "Griffin-Lim iterations, for all but gain. More bring the sound closer to the images and further from the content's "
        "phase. 0 means 32 for griffin_lim and none for the others.",
        advanced=True,
        high=256,
    )
    gain_db: float = decibels(
        24.0, "For gain: the most that a frequency is amplified or attenuated.", advanced=True, high=120.0
    )
    above_band_db: float = decibels(
        0.0,
        "Level of what the content has above 10 kHz, where the style's own highs do not replace it. 0 keeps it, -120 removes it.",
        advanced=True,
        low=-120.0,
        high=0.0,
    )
    grain: float = number(
        1.0,
        "How much of what the content can't supply the style itself plays, without its tones: crackle, drops, breath, strokes. Rain "
        "sounds under all that changes; a beat strikes where the content's notes begin. Needs the style; not for gain.",
    )
    detail: float = number(
        0.8,
        "How much the images say about single partials and the gaps between them. Lower keeps more of the content's own and is "
        "clearer; 1 takes the images as they are, as the paper does, and is hazier. Not for gain.",
    )
    partials: float = number(
        0.8,
        "How much of a note's spectrum is that of an instrument with the style's partials, learned from its notes, rather than what "
        "the images ask for. Notes ring on as the style's do. Needs the style; one without notes changes nothing. Not for gain.",
    )


GROUPS: dict[str, type[Group]] = {
    "style": Steering,
    "inversion and sampling": Schedule,
    "speed and memory": Memory,
    "parts of the recordings": Clips,
    "spectrogram": Windows,
    "tone": Tone,
    "decoding": Decoding,
}
"""What shapes a transfer from files to files: headings and groups of the help, in its order."""


@dataclass(frozen=True)
class Images(Windows):
    """How a node cuts a recording into images. On the command line a content is padded and a style looped."""

    short_clip: str = choice(
        "pad",
        "A clip shorter than one window is completed with silence (pad: for a content) or with itself (loop: for a style, which "
        "silence would spoil).",
        advanced=True,
        choices=("pad", "loop"),
    )


@dataclass(frozen=True)
class Excerpt(Group):
    """The part of a recording that a node reads."""

    start: float = seconds("Seconds to skip at the beginning.")
    duration: float = seconds("Seconds to read. 0 reads to the end.")


@dataclass(frozen=True)
class SoundMask(Group):
    """The shape of a mask that is made from a sound."""

    what: str = choice(
        "percussive",
        "Where the mask is white. onsets: attacks, at all frequencies. percussive: clicks and drums. harmonic: tones. loud: moments "
        "close to the loudest. band: everywhere between low_hz and high_hz.",
        choices=("onsets", "percussive", "harmonic", "loud", "band"),
    )
    low_hz: float = number(
        0.0, "Black below this frequency, in Hz, for every choice of what.", high=20000.0, step=10.0, unit="Hz"
    )
    high_hz: float = number(
        20000.0,
        "Black above this frequency, in Hz, for every choice of what. The spectrogram ends at 10000.",
        high=20000.0,
        step=10.0,
        unit="Hz",
    )
    smooth: float = number(0.05, "Seconds over which the mask is averaged in time.", advanced=True, high=10.0, unit="s")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low_hz >= self.high_hz:
            given = f"low_hz is {self.low_hz:g} and high_hz is {self.high_hz:g}"
            raise ValueError(f"{given}: choose a low_hz below the high_hz")


@dataclass(frozen=True)
class Album(Group):
    """Which recordings of a folder a node reads."""

    first: int = whole(1, "Number of the first recording, by name.", advanced=True, low=1, high=100000)
    most: int = whole(
        0,
        "How many recordings to read. 0 reads all. What they become stays in memory until the run ends.",
        advanced=True,
        high=100000,
    )


ALL_GROUPS = (*GROUPS.values(), Images, Excerpt, SoundMask, Album)
DIALS: dict[str, Any] = {dial.name: dial for group in ALL_GROUPS for dial in dials_of(group)}
"""Every dial by its name."""
