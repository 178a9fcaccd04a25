"""Inject Attention Sampler and Apply Style to Model: the same patch, with and without a sampler of its own."""

from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ..stylus_ops.dials import DIALS, Memory, Steering
from ..stylus_ops.diffusion.features import Inversion, Style
from ..stylus_ops.diffusion.stylizer import Stylizer
from . import sockets
from .host import runs
from .host.messages import warn
from .inputs import answer, require_wires, schema, widget, widgets
from .queued import beside


def style_inputs() -> list[io.Input]:
    """The inputs that both nodes share."""
    return [
        sockets.Inversion.Input("inversion", tooltip="The content, from DDIM Invert: melody, rhythm and structure."),
        sockets.Style.Input("style", tooltip="From Capture Style KV or Blend Styles: timbre and texture."),
        *widgets(Steering),
        widget(DIALS["windows_per_pass"]),
        io.Mask.Input(
            "mask",
            optional=True,
            tooltip="Of the spectrogram's size: where it is white the style is applied. Time runs to the right, low frequencies are at the bottom. "
            "One image for all windows, or one for each.",
        ),
    ]


def apply_style(
    model: ModelPatcher,
    inversion: Inversion,
    style: Style,
    windows_per_pass: int,
    mask: Tensor | None = None,
    **dials: Any,
) -> tuple[ModelPatcher, dict]:
    """As `runs.apply_style`, with the inputs of `style_inputs`."""
    require_wires(["mask"], model=model, inversion=inversion, style=style, mask=mask)
    stylizer = Stylizer(inversion, style, Steering(**dials), mask)
    for capture in style.captures:
        content = inversion.noise[: len(capture.noise)]
        if content.shape == capture.noise.shape and torch.allclose(content, capture.noise, atol=0.1):
            warn("style is the content itself: wire the style's VAE Encode into Capture Style KV")
    return runs.apply_style(model, stylizer, Memory(windows_per_pass=windows_per_pass))


class StyleNode(io.ComfyNode):
    """A node with the inputs of `style_inputs`."""

    @classmethod
    def validate_inputs(cls, start_percent: float | None) -> bool | str:
        end = beside("end_percent", Steering.end_percent)
        end = end if 0 <= end <= 1 else Steering.end_percent  # ComfyUI says what is wrong with it alone
        return answer(lambda: Steering(start_percent=start_percent or Steering.start_percent, end_percent=end))


class InjectAttentionSampler(StyleNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="StylusInjectSampler",
            display_name="Inject Attention Sampler",
            essentials_category="Audio",
            description="Samples the content again while its self-attention reads the style's keys and values.",
            search_aliases=[
                *("style transfer", "audio style transfer", "timbre", "timbre transfer", "music style", "texture"),
                *("riffusion", "instrument swap", "cover", "keep melody change timbre", "style injection", "stylus"),
            ],
            inputs=[
                io.Model.Input("model", tooltip="The MODEL that DDIM Invert and Capture Style KV used."),
                io.Conditioning.Input(
                    "conditioning", tooltip="The CONDITIONING that DDIM Invert and Capture Style KV used."
                ),
                *style_inputs(),
            ],
            outputs=[io.Latent.Output("latent", tooltip="For VAE Decode, then Phase-Preserving Decode.")],
        )

    @classmethod
    def execute(cls, conditioning: list, inversion: Inversion, **shared: Any) -> io.NodeOutput:
        require_wires(conditioning=conditioning)
        styled, start = apply_style(inversion=inversion, **shared)
        return io.NodeOutput(runs.sample_latent(styled, conditioning, start, inversion))


class ApplyStyleToModel(StyleNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="StylusApplyStyle",
            display_name="Apply Style to Model",
            description="Patches a MODEL for stock samplers: SamplerCustom with euler, add_noise off, cfg 1 and DDIM Invert's "
            "SIGMAS equals Inject Attention Sampler. Other samplers read the nearest recorded noise level, an approximation.",
            search_aliases=["style patch", "model patch", "patch for audio style transfer", "stylus"],
            inputs=[
                io.Model.Input("model", tooltip="The MODEL that DDIM Invert and Capture Style KV used."),
                *style_inputs(),
            ],
            outputs=[
                io.Model.Output(
                    "model", tooltip="Injects the style at every step. The MODEL that was given stays as it is."
                ),
                io.Latent.Output("start", tooltip="Where sampling starts. Give it to the sampler with add_noise off."),
            ],
        )

    @classmethod
    def execute(cls, **shared: Any) -> io.NodeOutput:
        return io.NodeOutput(*apply_style(**shared))
