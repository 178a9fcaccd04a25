"""What a MODEL, a LATENT and a CONDITIONING must be for Stylus: checked, in words."""

from __future__ import annotations

import torch
from comfy.ldm.modules.attention import SpatialTransformer
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.model_patcher import ModelPatcher
from comfy.model_sampling import EPS
from torch import Tensor

from ...stylus_ops.diffusion.schedule import TRAIN_STEPS
from ...stylus_ops.diffusion.sites import Site


def decoder_attention(model: ModelPatcher) -> dict[int, SpatialTransformer]:
    """The attention of a MODEL's U-Net by decoder block number."""
    return {
        number: layer
        for number, block in enumerate(unet_of(model).output_blocks)
        for layer in block
        if isinstance(layer, SpatialTransformer)
    }


def unet_of(model: ModelPatcher) -> UNetModel:
    unet = model.get_model_object("diffusion_model")
    if not isinstance(unet, UNetModel):
        raise ValueError(
            f"model is {type(model.model).__name__} ({type(unet).__name__}), which has no U-Net decoder to inject into: "
            "load a Stable Diffusion 1.x, 2.x or XL checkpoint, or Load Stylus Tiny"
        )
    return unet


def sigma_table(model: ModelPatcher) -> Tensor:
    unet_of(model)
    sampling = model.get_model_object("model_sampling")
    table = getattr(sampling, "sigmas", None)
    if not isinstance(sampling, EPS) or table is None or len(table) != TRAIN_STEPS:
        raise ValueError(
            f"model samples with {type(sampling).__name__}, not with the {TRAIN_STEPS}-step eps- or v-prediction noise "
            "schedule of Stable Diffusion: DDIM inversion needs that"
        )
    return table.detach().cpu()


def plain_latent(latent: dict) -> Tensor:
    if "noise_mask" in latent:
        raise ValueError("latent has a noise mask, which an inversion can't honour: wire a plain VAE Encode")
    samples = latent["samples"]
    if samples.ndim != 4:
        raise ValueError(
            f"latent has {samples.ndim} dimensions: an image latent has 4; wire VAE Encode of the mel images"
        )
    if not torch.isfinite(samples).all():
        raise ValueError("latent has NaN or infinite values: check the audio, or run the VAE in fp32")
    return samples


def check_conditioning(conditioning: list) -> None:
    if len(conditioning) != 1:
        raise ValueError(
            f"conditioning combines {len(conditioning)} prompts: inversion takes one; an empty prompt is best"
        )
    if regional := {"area", "mask"} & conditioning[0][1].keys():
        raise ValueError(f"conditioning is limited to a region ({', '.join(regional)}): use one without area or mask")


def feature_values(attention: dict[int, SpatialTransformer], sites: tuple[Site, ...], samples: Tensor) -> int:
    """How many numbers the features of one window at one node are."""
    widths = {block: layer.transformer_blocks[0].norm1.normalized_shape[0] for block, layer in attention.items()}
    return sum(_tokens(samples, block) * widths[block] for block, _ in sites)


def _tokens(samples: Tensor, block: int) -> int:
    """Tokens of a decoder block: full resolution in the last three of twelve, halved every three before."""
    halvings = max(0, 3 - block // 3)
    return -(-samples.shape[-2] // 2**halvings) * -(-samples.shape[-1] // 2**halvings)
