"""Whether a Stable Diffusion checkpoint holds every tensor that its model needs, finite and in its shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from .ldm_keys import ldm_autoencoder_key, ldm_key

UNET, VAE, TEXT = "model.diffusion_model.", "first_stage_model.", "cond_stage_model."
CLIP = f"{TEXT}transformer.text_model."
INTEGERS = "position_ids"  # counted, not learnt


def tensor(weights: Mapping[str, Tensor], key: str, dimensions: int) -> Tensor:
    """The weight of this name. Raises ValueError where it is missing or of other dimensions."""
    if key not in weights:
        raise ValueError(f"tensor {key} is missing")
    if weights[key].ndim != dimensions:
        raise ValueError(f"tensor {key} has {weights[key].ndim} dimensions, not {dimensions}")
    return weights[key]


def check_tensors(weights: Mapping[str, Tensor], configs: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises ValueError naming the first tensor that is missing, misshapen, of integers, or not finite.

    Args:
        configs: of diffusers' unet, vae and, where its names are CLIP's own, text_encoder.
    """
    for key, shape in _expected(configs).items():
        if key not in weights:
            raise ValueError(f"tensor {key} is missing")
        if _without_ones(weights[key].shape) != _without_ones(shape):
            raise ValueError(f"tensor {key} is {list(weights[key].shape)}, not {list(shape)}")
    for key, weight in weights.items():
        if key.startswith((UNET, VAE, TEXT)) and not key.endswith(INTEGERS):
            if not weight.is_floating_point():
                raise ValueError(f"tensor {key} is of {str(weight.dtype).removeprefix('torch.')}, not of fractions")
            # The sum takes a fifth of the time; only where it is not finite every value is looked at.
            if not weight.sum(dtype=torch.float32).isfinite() and not weight.isfinite().all():
                raise ValueError(f"tensor {key} holds what is no number (NaN or infinity)")


def _expected(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, torch.Size]:
    with torch.device("meta"):
        unet: Any = UNet2DConditionModel.from_config(dict(configs["unet"]))
        vae: Any = AutoencoderKL.from_config(dict(configs["vae"]))
        clip: Any = CLIPTextModel(CLIPTextConfig(**configs["text_encoder"])) if "text_encoder" in configs else None
    shapes = {UNET + ldm_key(key): weight.shape for key, weight in unet.named_parameters()}
    shapes |= {VAE + ldm_autoencoder_key(key): weight.shape for key, weight in vae.named_parameters()}
    if clip is not None:
        shapes |= {CLIP + key.removeprefix("text_model."): weight.shape for key, weight in clip.named_parameters()}
    return shapes


def _without_ones(shape: torch.Size) -> list[int]:
    """The shape without ones at its end: some write a 1x1 convolution as a matrix."""
    sizes = list(shape)
    while sizes and sizes[-1] == 1:
        sizes.pop()
    return sizes
