"""The prior's UNet as it is trained: diffusers' own, whose injected self-attention reads other rows of the batch."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from stylus_ops.dials import Steering
from stylus_ops.engine.ldm_keys import ldm_key
from stylus_ops.tiny import UNET, TinyPrior

UNET_CONFIG: dict[str, Any] = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 64,
    "channel_mult": [1, 2, 2, 1],
    "num_res_blocks": [2, 2, 2, 2],
    "num_heads": -1,
    "num_head_channels": 32,
    "use_spatial_transformer": True,
    "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
    "transformer_depth_middle": 1,
    "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
    "context_dim": 64,
    "legacy": False,
}
INJECTED = ("up_blocks.2.", "up_blocks.3.")  # decoder blocks 6 to 11


class Reading(NamedTuple):
    """What injected attention reads."""

    sources: Tensor
    """[B] the row whose keys and values each row of the batch takes."""
    gamma: Tensor | None = None
    """[P] in a transfer, whose last P rows are samples and the P before them their contents: the share of the content's query in
    the sample's (Stylus Eq. 1), which then takes its content's keys and values too, guided by the default alpha (Eq. 3)."""


class WindowAttention:
    """Self-attention whose keys and values come from the rows that it reads; attention to the one-token context."""

    def __init__(self, injected: bool):
        self.injected = injected

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: None = None,
        temb: None = None,
        reading: Reading | None = None,
    ) -> Tensor:
        if encoder_hidden_states is not None:  # a softmax over one token is 1
            return attn.to_out[0](attn.to_v(encoder_hidden_states)).expand_as(hidden_states)
        reading = reading if self.injected else None
        queries = hidden_states
        if reading is not None and reading.gamma is not None:
            *others, content, sample = hidden_states.split(len(reading.gamma))
            queries = torch.cat([*others, content, sample.lerp(content, reading.gamma[:, None, None].to(sample.dtype))])
        q, k, v = (
            layer(x).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for layer, x in ((attn.to_q, queries), (attn.to_k, hidden_states), (attn.to_v, hidden_states))
        )
        kept = (k, v) if reading is None else (k.index_select(0, reading.sources), v.index_select(0, reading.sources))
        read = scaled_dot_product_attention(q, *kept)
        if reading is not None and reading.gamma is not None:
            pairs = len(reading.gamma)
            own = scaled_dot_product_attention(q[-pairs:], *(x[-2 * pairs : -pairs] for x in (k, v)))
            read = torch.cat([read[:-pairs], own.lerp(read[-pairs:], Steering.alpha)])
        return attn.to_out[0](read.transpose(1, 2).flatten(2))


def make_unet() -> Any:
    unet: Any = UNet2DConditionModel(**diffusers_config(UNET_CONFIG))
    unet.set_attn_processor({name: WindowAttention(name.startswith(INJECTED)) for name in unet.attn_processors})
    return unet


def diffusers_unet(prior: TinyPrior) -> UNet2DConditionModel:
    """The prior's UNet for inference, with the weights' own device and dtype."""
    unet = UNet2DConditionModel(**diffusers_config(prior.unet_config))
    unet.load_state_dict({key: prior.unet_weights[UNET + ldm_key(key)] for key in unet.state_dict()})
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
