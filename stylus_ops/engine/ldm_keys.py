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

    Raises ValueError if `key` is no weight of such a network.
    """
    for name, ldm in OUTSIDE.items():
        if key.startswith(name + "."):
            return key.replace(name, ldm, 1)
    kinds = "resnets|attentions|downsamplers|upsamplers"
    if match := re.fullmatch(rf"(down|mid|up)_blocks?\.(?:(\d)\.)?({kinds})\.(\d)\.(.+)", key):
        side, level, kind, index, rest = match[1], int(match[2] or 0), match[3], int(match[4]), match[5]
        if kind == "downsamplers":
            return f"input_blocks.{3 * level + 3}.0.op.{rest.removeprefix('conv.')}"
        if kind == "upsamplers":
            return f"output_blocks.{3 * level + 2}.{1 if level == 0 else 2}.{rest}"
        if kind == "resnets":
            layer, parameter = rest.rsplit(".", 1)
            rest = f"{RESNET[layer]}.{parameter}"
        if side == "mid":
            return f"middle_block.{1 if kind == 'attentions' else 2 * index}.{rest}"
        block = f"input_blocks.{3 * level + index + 1}" if side == "down" else f"output_blocks.{3 * level + index}"
        return f"{block}.{0 if kind == 'resnets' else 1}.{rest}"
    raise ValueError(f"{key} is no weight of a Stable Diffusion UNet")
