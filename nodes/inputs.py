"""A dial as a widget of a node."""

from __future__ import annotations

from comfy_api.latest import io

from ..stylus_ops.dials import Choice, Dial, Number, Whole


def widget(dial: Dial) -> io.Input:
    """The input of a dial's name, default, range and tooltip."""
    common = {"default": dial.default, "tooltip": dial.text, "advanced": dial.advanced or None}
    if isinstance(dial, Choice):
        return io.Combo.Input(dial.name, options=list(dial.choices), **common)
    if isinstance(dial, Number):
        kind = io.Int if isinstance(dial, Whole) else io.Float
        return kind.Input(dial.name, min=dial.low, max=dial.high, step=dial.step, **common)
    return io.String.Input(dial.name, **common)


def widgets(*dials: Dial) -> list[io.Input]:
    return [widget(dial) for dial in dials]
