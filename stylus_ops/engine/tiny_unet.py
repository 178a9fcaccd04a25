"""The bundled prior's UNet as diffusers' UNet2DConditionModel."""

from __future__ import annotations

from typing import Any

from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from ..tiny import TinyPrior


def diffusers_unet(prior: TinyPrior) -> UNet2DConditionModel:
    """The UNet for inference, with the weights' own device and dtype."""
    unet = UNet2DConditionModel(**diffusers_config(prior.unet_config))
    unet.load_state_dict(convert_ldm_unet_checkpoint(dict(prior.unet_weights), dict(unet.config)))
    weight = next(iter(prior.unet_weights.values()))
    return unet.to(weight.device, weight.dtype).eval().requires_grad_(False)


def diffusers_config(ldm: dict[str, Any]) -> dict[str, Any]:
    """Latent diffusion's UNet configuration in diffusers' words, for networks without attention at the lowest level."""
    widths = [ldm["model_channels"] * multiple for multiple in ldm["channel_mult"]]
    with_attention = len(widths) - 1
    return {
        "sample_size": ldm["image_size"],
        "in_channels": ldm["in_channels"],
        "out_channels": ldm["out_channels"],
        "block_out_channels": widths,
        "layers_per_block": ldm["num_res_blocks"][0],
        "down_block_types": ["CrossAttnDownBlock2D"] * with_attention + ["DownBlock2D"],
        "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * with_attention,
        # What diffusers calls a head's dimension is the number of heads.
        "attention_head_dim": [width // ldm["num_head_channels"] for width in widths],
        "cross_attention_dim": ldm["context_dim"],
    }
