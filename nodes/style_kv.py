"""Capture Style KV and Blend Styles."""

from typing import Any

from comfy_api.latest import io

from ..stylus_ops.audio.input_warnings import SHORTEST_STYLE, warn_if_short
from ..stylus_ops.audio.windows import Spectrogram
from ..stylus_ops.dials import DIALS, Clips
from ..stylus_ops.diffusion.features import Style, blend
from ..stylus_ops.style_weights import parse_weights
from . import sockets
from .ddim_invert import inversion_inputs, invert
from .inputs import WeightedStyles, require_wires, schema, weighted_styles, widget
from .style_library import kept_steps
from .wiring import check_wiring


class CaptureStyle(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="StylusCaptureStyle",
            display_name="Capture Style KV",
            description="Inverts the style clip and keeps what its self-attention keys and values are made of.",
            search_aliases=["style reference", "attention features", "style timbre", "stylus"],
            inputs=[*inversion_inputs(), widget(DIALS["style_windows"])],
            outputs=[sockets.style_output()],
            hidden=[io.Hidden.prompt],
        )

    @classmethod
    def execute(cls, style_windows: int, spectrogram: Spectrogram | None = None, **shared: Any) -> io.NodeOutput:
        check_wiring(cls.hidden.prompt, kept_steps)
        require_wires(["spectrogram"], spectrogram=spectrogram)
        Clips(style_windows=style_windows)
        if spectrogram is not None:
            if not spectrogram.peak.any():
                raise ValueError("the style is silent: choose a recording, or a part of it, with sound")
            warn_if_short("the style", spectrogram.waveform.shape[-1] / spectrogram.sample_rate, SHORTEST_STYLE)
            if len(spectrogram.waveform) > 1 and spectrogram.windows > style_windows:
                raise ValueError(
                    f"style_windows is {style_windows} and would leave clips out: choose {spectrogram.windows}, or capture one "
                    "clip a node and join them with Blend Styles"
                )
        capture = invert(spectrogram=spectrogram, windows=style_windows, **shared)
        return io.NodeOutput(Style((capture,), (1.0,)))


class BlendStyles(WeightedStyles):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="StylusBlendStyles",
            display_name="Blend Styles",
            description="Mixes any number of styles: every place of the content attends to each of them.",
            search_aliases=["style mix", "interpolate styles", "morph", "stylus"],
            inputs=[
                *weighted_styles(
                    sockets.Style.Input("style", tooltip="One more style; a further input appears below."),
                    least=2,
                    styles="Styles captured with the same model and schedule.",
                    weights="One number a style from the top down, such as 2, 1: two parts of the first, one of the "
                    "second. 0 leaves a style out. Empty: equal parts.",
                )
            ],
            outputs=[sockets.Style.Output("style", tooltip="All the styles with their shares.")],
        )

    @classmethod
    def execute(cls, styles: dict[str, Style], weights: str) -> io.NodeOutput:
        require_wires(**styles)
        return io.NodeOutput(blend(list(styles.values()), parse_weights(weights)))
