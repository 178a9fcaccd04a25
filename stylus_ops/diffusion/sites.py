"""Which self-attention layers take part, by decoder block number.

Stable Diffusion's decoder has twelve blocks, 0 to 11, counted from the bottleneck; those with attention hold one or more
transformer blocks. Block b is ComfyUI's `("output", b)` and diffusers' `up_blocks[b // 3].attentions[b % 3]`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

import torch

Site = tuple[int, int]
"""(decoder block, index of the transformer block in it)."""


class DecoderBlock(NamedTuple):
    """A decoder block that has self-attention. A host reads it off the loaded model."""

    depth: int
    """Transformer blocks in it, each with one self-attention layer."""
    channels: int
    """C of the hidden states [B, tokens, C]."""
    halvings: int
    """How often the latent is halved, rounding up, before its places are this block's tokens: as often as the decoder doubles
    it again, in this block and those after it."""


Decoder = Mapping[int, DecoderBlock]
"""The blocks of a decoder that have self-attention, by number."""


def feature_bytes(decoder: Decoder, sites: Collection[Site], dtype: torch.dtype, height: int, width: int) -> int:
    """Bytes of one window's features at one node: hidden states [tokens, C] of every site, for latents [C, height, width]."""
    sizes = [(decoder[number].channels, 2 ** decoder[number].halvings) for number, _ in sites]
    return dtype.itemsize * sum(-(-height // by) * -(-width // by) * channels for channels, by in sizes)


def resolve_sites(text: str, decoder: Decoder) -> tuple[Site, ...]:
    """Decoder sites named by a text such as "6-11", "6, 8, 10-11" or "auto".

    "auto" is blocks 6 to 11 of a twelve-block decoder (SD 1.x and 2.x, the paper's choice), or the last half of the blocks
    with attention of another one.

    Raises ValueError: the text can't be read or names a block without self-attention, or the decoder has none.
    """
    available = sorted(decoder)
    if not available:
        raise ValueError("model has no self-attention in its decoder: use a Stable Diffusion U-Net")
    blocks = named_blocks(text)
    if not blocks:
        twelve_blocks = available[-1] == 11
        blocks = [b for b in available if b >= 6] if twelve_blocks else available[len(available) // 2 :]
    if missing := [b for b in blocks if b not in decoder]:
        raise ValueError(
            f"sites is {text!r}, but this model has no self-attention in decoder block "
            f"{', '.join(map(str, missing))}: choose from {', '.join(map(str, available))}, or auto"
        )
    return tuple((b, i) for b in blocks for i in range(decoder[b].depth))


def named_blocks(text: str) -> list[int]:
    """The decoder blocks that a text names, ascending; none for auto. Raises ValueError if it can't be read."""
    blocks: set[int] = set()
    if text.strip().lower() == "auto":
        return []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,3})\s*(?:-\s*(\d{1,3})\s*)?", part)
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise ValueError(f"sites is {text!r}: write decoder blocks as 6-11 or 6, 8, 10-11, or auto")
        blocks.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return sorted(blocks)
