"""Capture Style KV and Blend Styles."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..stylus_ops.audio.windows import Spectrogram
from ..stylus_ops.diffusion.features import Style, blend
from . import sockets
from .ddim_invert import inversion_inputs, invert
from .host.messages import warn

SHORTEST_STYLE = 2.0  # seconds; less has too little texture to take


class CaptureStyle(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StylusCaptureStyle",
            display_name="Capture Style KV",
            category="audio/stylus",
            description="Inverts the style clip and keeps what its self-attention keys and values are made of.",
            search_aliases=["style reference", "attention features", "stylus"],
            inputs=[
                *inversion_inputs(),
                io.Int.Input(
                    "max_windows",
                    default=4,
                    min=1,
                    max=64,
                    advanced=True,
                    tooltip="Windows of a long style clip that are used, from its start. Each adds to the cost of attention.",
                ),
            ],
            outputs=[
                sockets.Style.Output(
                    "style", tooltip="For Blend Styles, Inject Attention Sampler or Apply Style to Model."
                )
            ],
        )

    @classmethod
    def execute(
        cls, latent: dict, max_windows: int, spectrogram: Spectrogram | None = None, **shared: Any
    ) -> io.NodeOutput:
        used = {**latent, "samples": latent["samples"][:max_windows]}
        if spectrogram is not None:
            _check_worth(spectrogram)
            spectrogram = spectrogram._replace(starts=spectrogram.starts[:max_windows])
        capture = invert(latent=used, spectrogram=spectrogram, **shared)
        return io.NodeOutput(Style((capture,), (1.0,)))


def _check_worth(spectrogram: Spectrogram) -> None:
    """Warn of a style with little or nothing to take."""
    seconds = spectrogram.waveform.shape[-1] / spectrogram.sample_rate
    if not spectrogram.peak.any():
        warn("the style is silent: choose a recording, or a part of it, with sound")
    elif seconds < SHORTEST_STYLE:
        warn(f"the style lasts {seconds:.1f} s: choose {SHORTEST_STYLE:g} s or more, or little of its texture is heard")


class BlendStyles(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StylusBlendStyles",
            display_name="Blend Styles",
            category="audio/stylus",
            description="Mixes two styles by attending to both. Chain it for more than two.",
            search_aliases=["style mix", "interpolate styles", "stylus"],
            inputs=[
                sockets.Style.Input("style_a", tooltip="Heard alone at beta 0."),
                sockets.Style.Input("style_b", tooltip="Heard alone at beta 1."),
                io.Float.Input("beta", default=0.5, min=0.0, max=1.0, step=0.01, tooltip="Share of style_b."),
            ],
            outputs=[sockets.Style.Output("style", tooltip="Both styles with their weights.")],
        )

    @classmethod
    def execute(cls, style_a: Style, style_b: Style, beta: float) -> io.NodeOutput:
        return io.NodeOutput(blend(style_a, style_b, beta))
