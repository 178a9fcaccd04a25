"""What a MODEL, a LATENT and a CONDITIONING must be for Stylus: checked, in words."""

from __future__ import annotations

import torch
from comfy.ldm.modules.attention import SpatialTransformer
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel, Upsample
from comfy.model_patcher import ModelPatcher
from comfy.model_sampling import EPS
from torch import Tensor

from ...stylus_ops.diffusion.schedule import TRAIN_STEPS
from ...stylus_ops.diffusion.sites import Decoder, DecoderBlock


def decoder_of(model: ModelPatcher) -> Decoder:
    """The decoder of a MODEL's U-Net."""
    blocks = unet_of(model).output_blocks
    doubles = [any(isinstance(layer, Upsample) for layer in block) for block in blocks]
    return {
        number: DecoderBlock(
            len(layer.transformer_blocks), layer.transformer_blocks[0].norm1.normalized_shape[0], sum(doubles[number:])
        )
        for number, block in enumerate(blocks)
        for layer in block
        if isinstance(layer, SpatialTransformer)
    }


def feature_dtype(model: ModelPatcher) -> torch.dtype:
    """What the U-Net computes in, whatever its weights are stored in."""
    return model.model.manual_cast_dtype or model.model_dtype()


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
