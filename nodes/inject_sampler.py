"""Inject Attention Sampler and Apply Style to Model: the same patch, with and without a sampler of its own."""

from __future__ import annotations

from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ..stylus_ops.diffusion.adain import MODES
from ..stylus_ops.diffusion.attention import Dials
from ..stylus_ops.diffusion.features import Inversion, Style
from ..stylus_ops.diffusion.stylizer import Stylizer
from . import sockets
from .host import runs
from .host.identity import check_same_conditioning


def style_inputs() -> list[io.Input]:
    """The inputs that both nodes share."""
    return [
        sockets.Inversion.Input("inversion", tooltip="The content, from DDIM Invert: melody, rhythm and structure."),
        sockets.Style.Input("style", tooltip="From Capture Style KV or Blend Styles: timbre and texture."),
        io.Float.Input(
            "alpha",
            default=0.9,
            min=0.0,
            max=2.0,
            step=0.01,
            tooltip="How much style. 0 keeps the content, 1 swaps keys and values, above 1 exaggerates.",
        ),
        io.Float.Input(
            "gamma",
            default=0.75,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="How firmly the content's structure is held: the share of its own queries.",
        ),
        io.Float.Input(
            "temperature",
            default=1.0,
            min=0.1,
            max=10.0,
            step=0.05,
            advanced=True,
            tooltip="Above 1 each place of the content copies fewer, better matching places of the style; below 1 it averages more.",
        ),
        io.Combo.Input(
            "adain",
            options=list(MODES),
            default="adain",
            advanced=True,
            tooltip="Gives the start noise the style's statistics: mean and deviation (adain), the whole distribution (efdm), or none.",
        ),
        io.Float.Input(
            "adain_strength",
            default=1.0,
            min=0.0,
            max=1.0,
            step=0.01,
            advanced=True,
            tooltip="0 starts from the content's own noise.",
        ),
        io.Float.Input(
            "start_percent",
            default=0.0,
            min=0.0,
            max=1.0,
            step=0.01,
            advanced=True,
            tooltip="Part of the run after which the style is injected. 0 is the first step.",
        ),
        io.Float.Input(
            "end_percent",
            default=1.0,
            min=0.0,
            max=1.0,
            step=0.01,
            advanced=True,
            tooltip="Part of the run after which the style is no longer injected.",
        ),
        io.Int.Input(
            "windows_per_pass",
            default=0,
            min=0,
            max=4096,
            advanced=True,
            tooltip="Windows evaluated at once. 0 takes as many as fit in memory.",
        ),
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
    alpha: float,
    gamma: float,
    temperature: float,
    adain: str,
    adain_strength: float,
    start_percent: float,
    end_percent: float,
    windows_per_pass: int,
    mask: Tensor | None = None,
) -> tuple[ModelPatcher, dict]:
    """Apply the inputs of `style_inputs`: the styled MODEL and the LATENT to start from; see `runs.apply_style`."""
    stylizer = Stylizer(inversion, style, Dials(alpha, gamma, temperature, mask), start_percent, end_percent)
    return runs.apply_style(model, stylizer, adain, adain_strength, windows_per_pass)


class InjectAttentionSampler(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StylusInjectSampler",
            display_name="Inject Attention Sampler",
            category="audio/stylus",
            description="Samples the content again while its self-attention reads the style's keys and values.",
            search_aliases=["style transfer", "style injection", "stylus"],
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
    def execute(cls, conditioning: list, inversion: Inversion, style: Style, **shared: Any) -> io.NodeOutput:
        check_same_conditioning(inversion, conditioning)
        styled, start = apply_style(inversion=inversion, style=style, **shared)
        return io.NodeOutput(runs.sample_latent(styled, conditioning, start, inversion, style.captures))


class ApplyStyleToModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StylusApplyStyle",
            display_name="Apply Style to Model",
            category="audio/stylus",
            description="Patches a MODEL for stock samplers: SamplerCustom with euler, add_noise off, cfg 1 and DDIM Invert's "
            "SIGMAS equals Inject Attention Sampler. Other samplers read the nearest recorded noise level, an approximation.",
            search_aliases=["style patch", "model patch", "stylus"],
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
