"""Whether a Stable Diffusion checkpoint or folder holds every tensor that its model needs, finite and in its shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from ..tiny import AUTOENCODER as VAE
from ..tiny import UNET
from .ldm_keys import ldm_autoencoder_key, ldm_key, open_clip_key

TEXT = "cond_stage_model."
OPEN_CLIP_WIDTH = 1024
ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
BUILD: dict[str, Callable[[dict[str, Any]], Any]] = {
    "unet": UNet2DConditionModel.from_config,
    "vae": AutoencoderKL.from_config,
    "text_encoder": lambda config: CLIPTextModel(CLIPTextConfig(**config)),
}


def tensor(weights: Mapping[str, Tensor], key: str, dimensions: int | None = None) -> Tensor:
    """The weight of this name. Raises ValueError where it is missing or of other dimensions."""
    if key not in weights:
        raise ValueError(f"tensor {key} is missing")
    if dimensions not in (None, weights[key].ndim):
        raise ValueError(f"tensor {key} has {weights[key].ndim} dimensions, not {dimensions}")
    return weights[key]


def check_file(weights: Mapping[str, Tensor], configs: Mapping[str, Mapping[str, Any]]) -> None:
    """Check a checkpoint file: names of latent diffusion, and of CLIP (width 768) or OpenCLIP (width 1024).

    Args:
        configs: of diffusers' unet, vae and text_encoder.

    Raises:
        ValueError: naming the first tensor that is missing, misshapen, not floating point, or not finite.
    """
    shapes = {UNET + ldm_key(key): shape for key, shape in _shapes("unet", configs["unet"]).items()}
    shapes |= {VAE + ldm_autoencoder_key(key): shape for key, shape in _shapes("vae", configs["vae"]).items()}
    open_clip = configs["text_encoder"]["hidden_size"] == OPEN_CLIP_WIDTH
    for key, shape in _shapes("text_encoder", configs["text_encoder"]).items():
        key = key.removeprefix("text_model.")
        name = f"{TEXT}model.{open_clip_key(key)}" if open_clip else f"{TEXT}transformer.text_model.{key}"
        stacked = 3 if ".in_proj_" in name else 1
        shapes[name] = torch.Size((stacked * shape[0], *shape[1:]))
    _check(weights, shapes)


def check_part(weights: Mapping[str, Tensor], part: str, config: Mapping[str, Any]) -> None:
    """Check one part of a diffusers folder: "unet", "vae" or "text_encoder".

    Raises:
        ValueError: naming the first tensor that is missing, misshapen, not floating point, or not finite.
    """
    shapes = _shapes(part, config)
    _check({key if key in shapes else _renamed(key): weight for key, weight in weights.items()}, shapes)


def _check(weights: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> None:
    for key, shape in shapes.items():
        weight = tensor(weights, key)
        if _without_ones(weight.shape) != _without_ones(shape):
            raise ValueError(f"tensor {key} is {list(weight.shape)}, not {list(shape)}")
        if not weight.is_floating_point():
            raise ValueError(f"tensor {key} is {str(weight.dtype).removeprefix('torch.')}, not floating point")
    for key in shapes:
        # The sum takes a fifth of the time; only where it is not finite every value is looked at.
        if not weights[key].sum(dtype=torch.float32).isfinite() and not weights[key].isfinite().all():
            raise ValueError(f"tensor {key} contains NaN or infinity")


def _shapes(part: str, config: Mapping[str, Any]) -> dict[str, torch.Size]:
    """Of every weight that a part of this configuration has, by its name there."""
    with torch.device("meta"):
        return {key: weight.shape for key, weight in BUILD[part](dict(config)).named_parameters()}


def _renamed(key: str) -> str:
    """Today's name of a weight that an earlier diffusers or transformers wrote; both still load those."""
    key = re.sub(r"\.(query|key|value|proj_attn)\.", lambda match: f".{ATTENTION[match[1]]}.", key)
    return key.removeprefix("text_model.")


def _without_ones(shape: torch.Size) -> list[int]:
    """The shape without ones at its end: some write a 1x1 convolution as a matrix."""
    sizes = list(shape)
    while sizes and sizes[-1] == 1:
        sizes.pop()
    return sizes
