"""The prior's UNet as it is trained: diffusers' own, whose injected self-attention reads other rows of the batch."""

from __future__ import annotations

from typing import Any

from diffusers import UNet2DConditionModel
from torch import Tensor

from stylus_ops.engine.tiny_unet import diffusers_config

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


class WindowAttention:
    """Self-attention whose keys and values come from the rows `sources`; attention to the one-token context.

    Written out in matrix products, which bfloat16 hardware runs faster than the fused CPU kernel's backward pass.
    """

    def __init__(self, injected: bool):
        self.injected = injected

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: None = None,
        temb: None = None,
        sources: Tensor | None = None,
    ) -> Tensor:
        if encoder_hidden_states is not None:  # a softmax over one token is 1
            return attn.to_out[0](attn.to_v(encoder_hidden_states)).expand_as(hidden_states)
        kept = hidden_states.index_select(0, sources) if self.injected and sources is not None else hidden_states
        q, k, v = (
            layer(x).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for layer, x in ((attn.to_q, hidden_states), (attn.to_k, kept), (attn.to_v, kept))
        )
        weights = ((q * attn.scale) @ k.transpose(-1, -2)).softmax(-1, dtype=q.dtype)
        return attn.to_out[0]((weights @ v).transpose(1, 2).flatten(2))


def make_unet() -> Any:
    unet: Any = UNet2DConditionModel(**diffusers_config(UNET_CONFIG))
    unet.set_attn_processor({name: WindowAttention(name.startswith(INJECTED)) for name in unet.attn_processors})
    return unet
