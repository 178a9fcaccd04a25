"""What several nodes share: dials as widgets, and any number of styles with their weights."""

from collections.abc import Callable, Collection
from functools import partial

from comfy_api.latest import io

from ..stylus_ops.dials import Choice, Dial, Group, Number, Whole, dials_of
from ..stylus_ops.style_weights import normalised, parse_weights

MOST_STYLES = 16

schema = partial(io.Schema, category="audio/stylus")
"""The schema of every node."""


def widget(dial: Dial) -> io.Input:
    """The input of a dial's name, default, range and tooltip."""
    common = {"default": dial.default, "tooltip": dial.text, "advanced": dial.advanced or None}
    if isinstance(dial, Choice):
        return io.Combo.Input(dial.name, options=list(dial.choices), **common)
    if isinstance(dial, Number):
        kind = io.Int if isinstance(dial, Whole) else io.Float
        return kind.Input(dial.name, min=dial.low, max=dial.high, step=dial.step, **common)
    return io.String.Input(dial.name, **common)


def widgets(group: type[Group]) -> list[io.Input]:
    return [widget(dial) for dial in dials_of(group)]


def answer(check: Callable[..., object], *values: object) -> bool | str:
    """As a node's `validate_inputs` answers: True, or the words in which `check` refuses the values."""
    try:
        check(*values)
    except ValueError as error:
        return str(error)
    return True


def require_wires(optional: Collection[str] = (), /, **inputs: object) -> None:
    """Raises ValueError if an input that takes a wire was given a value of JSON, which ComfyUI passes on; the `optional` may be None."""
    for name, value in inputs.items():
        foreign = isinstance(value, dict) and not {"waveform", "samples"} & value.keys()  # neither AUDIO nor LATENT
        if foreign or isinstance(value, (str, int, float)) or (value is None and name not in optional):
            raise ValueError(f"{name} is {value!r}: wire the output of a node to it")


def require_audio(audio: dict | None) -> dict:
    """An AUDIO that is there; ValueError if it is none, or None, which a video without a sound track gives."""
    require_wires(["audio"], audio=audio)
    if audio is None:
        raise ValueError("audio is missing: choose a file or video with a sound track where it comes from")
    return audio


def weighted_styles(one: io.Input, least: int, styles: str, weights: str) -> list[io.Input]:
    """Inputs for any number of styles, each wired to one like `one`, and for their weights; `styles`, `weights`: tooltips."""
    template = io.Autogrow.TemplatePrefix(one, prefix="style_", min=least, max=MOST_STYLES)
    several = io.Autogrow.Input("styles", template=template, tooltip=styles)
    return [several, io.String.Input("weights", default="", tooltip=weights)]


class WeightedStyles(io.ComfyNode):
    """A node with the inputs of `weighted_styles`."""

    @classmethod
    def validate_inputs(cls, weights: str | None, styles: dict[str, None]) -> bool | str:
        # Weights that come out of another node are not known yet (None); what else is no text ComfyUI refuses itself.
        if not isinstance(weights, str) or not styles:
            return True
        return answer(lambda: normalised(parse_weights(weights), len(styles)))
