"""Which self-attention layers take part, by decoder block number.

Stable Diffusion's decoder has twelve blocks, 0 to 11, counted from the bottleneck; those with attention hold one or more
transformer blocks. Block b is ComfyUI's `("output", b)` and diffusers' `up_blocks[b // 3].attentions[b % 3]`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Site = tuple[int, int]
"""(decoder block, index of the transformer block in it)."""


def resolve_sites(text: str, depths: Mapping[int, int]) -> tuple[Site, ...]:
    """Decoder sites named by a text such as "6-11", "6, 8, 10-11" or "auto".

    "auto" is blocks 6 to 11 of a twelve-block decoder (SD 1.x and 2.x, the paper's choice), or the last half of the blocks
    with attention of another one.

    Args:
        depths: decoder block number -> number of transformer blocks in it, for the blocks that have attention.

    Raises:
        ValueError: the text can't be read, or names a block without self-attention.
    """
    available = sorted(depths)
    if not available:
        raise ValueError("sites: this model has no self-attention in its decoder; use a Stable Diffusion U-Net")
    if text.strip().lower() == "auto":
        twelve_blocks = available[-1] == 11
        blocks = [b for b in available if b >= 6] if twelve_blocks else available[len(available) // 2 :]
    else:
        blocks = sorted(_blocks(text))
    if missing := [b for b in blocks if b not in depths]:
        raise ValueError(
            f"sites is {text!r}, but this model has no self-attention in decoder block "
            f"{', '.join(map(str, missing))}: choose from {', '.join(map(str, available))}, or auto"
        )
    return tuple((b, i) for b in blocks for i in range(depths[b]))


def _blocks(text: str) -> set[int]:
    blocks: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,3})\s*(?:-\s*(\d{1,3})\s*)?", part)
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise ValueError(f"sites is {text!r}: write decoder blocks as 6-11 or 6, 8, 10-11, or auto")
        blocks.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return blocks
