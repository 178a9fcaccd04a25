"""Names of a U-Net's weights: diffusers' to those of latent diffusion, which checkpoints carry and ComfyUI loads."""

from __future__ import annotations

import re

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
OUTSIDE = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}


def ldm_key(key: str) -> str:
    """The name of one weight of a UNet with two residual blocks a level, without attention at the lowest.

    Raises:
        ValueError: `key` is no weight of such a network.
    """
    for name, ldm in OUTSIDE.items():
        if key.startswith(name + "."):
            return key.replace(name, ldm, 1)
    match = re.fullmatch(r"(down|up)_blocks\.(\d)\.(resnets|attentions|downsamplers|upsamplers)\.(\d)\.(.+)", key)
    if match:
        side, level, kind, index, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
        block = 3 * level + index + (1 if side == "down" else 0)
        prefix = "input_blocks" if side == "down" else "output_blocks"
        if kind == "downsamplers":
            return f"input_blocks.{3 * level + 3}.0.op.{rest.removeprefix('conv.')}"
        if kind == "upsamplers":
            return f"output_blocks.{3 * level + 2}.{1 if level == 0 else 2}.{rest}"
        return f"{prefix}.{block}." + (f"0.{_resnet(rest)}" if kind == "resnets" else f"1.{rest}")
    match = re.fullmatch(r"mid_block\.(resnets|attentions)\.(\d)\.(.+)", key)
    if match:
        return (
            f"middle_block.1.{match[3]}"
            if match[1] == "attentions"
            else f"middle_block.{2 * int(match[2])}.{_resnet(match[3])}"
        )
    raise ValueError(f"{key} is no weight of a Stable Diffusion UNet")


def _resnet(rest: str) -> str:
    layer, parameter = rest.rsplit(".", 1)
    return f"{RESNET[layer]}.{parameter}"
