"""The bundled prior's U-Net in plain PyTorch: Stable Diffusion 1.x's structure (Rombach et al. 2022) at smaller widths.

Module names are those of diffusers' UNet2DConditionModel, whose output it equals (`tests/unit/tiny/test_tiny.py`), without the
seconds that importing diffusers takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, interpolate, scaled_dot_product_attention, silu

GROUPS = 32


class Attention(nn.Module):
    """Attention of tokens [B, N, C] to themselves, or to a context [B, M, context_dim]."""

    def __init__(self, channels: int, context_dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k, self.to_v = (nn.Linear(context_dim, channels, bias=False) for _ in range(2))
        self.to_out = nn.ModuleList([nn.Linear(channels, channels), nn.Identity()])
        self.processor: Callable[..., Tensor] | None = None

    def set_processor(self, processor: Callable[..., Tensor] | None) -> None:
        """Compute the attention by `processor(self, hidden, context)`, or here if it is None."""
        self.processor = processor

    def forward(self, hidden: Tensor, context: Tensor | None = None) -> Tensor:
        if self.processor is not None:
            return self.processor(self, hidden, context)
        source = hidden if context is None else context
        if source.shape[1] == 1:  # whatever the query, all of its attention is on the one token
            return self.to_out[0](self.to_v(source)).expand_as(hidden)
        projected = self.to_q(hidden), self.to_k(source), self.to_v(source)
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in projected)
        return self.to_out[0](scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class GatedLinear(nn.Module):
    """A linear layer gated by GELU (Shazeer 2020)."""

    def __init__(self, channels: int, inner: int):
        super().__init__()
        self.proj = nn.Linear(channels, 2 * inner)

    def forward(self, hidden: Tensor) -> Tensor:
        hidden, gate = self.proj(hidden).chunk(2, dim=-1)
        return hidden * gelu(gate)


class TransformerBlock(nn.Module):
    def __init__(self, channels: int, context_dim: int, heads: int):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(channels) for _ in range(3))
        self.attn1, self.attn2 = (Attention(channels, width, heads) for width in (channels, context_dim))
        layers = GatedLinear(channels, 4 * channels), nn.Identity(), nn.Linear(4 * channels, channels)
        self.ff = nn.ModuleDict({"net": nn.Sequential(*layers)})

    def forward(self, hidden: Tensor, context: Tensor) -> Tensor:
        hidden = hidden + self.attn1(self.norm1(hidden))
        hidden = hidden + self.attn2(self.norm2(hidden), context)
        return hidden + self.ff["net"](self.norm3(hidden))


class Transformer(nn.Module):
    """One transformer block over the pixels of [B, C, h, w]."""

    def __init__(self, channels: int, context_dim: int, heads: int):
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, channels, eps=1e-6)
        self.proj_in, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in range(2))
        self.transformer_blocks = nn.ModuleList([TransformerBlock(channels, context_dim, heads)])

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        hidden = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)
        for block in self.transformer_blocks:
            hidden = block(hidden, context)
        return x + self.proj_out(hidden.transpose(1, 2).unflatten(2, x.shape[-2:]))


class ResBlock(nn.Module):
    def __init__(self, channels: int, out: int, time_dim: int):
        super().__init__()
        self.norm1, self.norm2 = (nn.GroupNorm(GROUPS, width) for width in (channels, out))
        self.conv1, self.conv2 = (nn.Conv2d(width, out, 3, padding=1) for width in (channels, out))
        self.time_emb_proj = nn.Linear(time_dim, out)
        self.conv_shortcut = nn.Conv2d(channels, out, 1) if channels != out else None

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        hidden = self.conv1(silu(self.norm1(x))) + self.time_emb_proj(silu(time))[:, :, None, None]
        hidden = self.conv2(silu(self.norm2(hidden)))
        return (x if self.conv_shortcut is None else self.conv_shortcut(x)) + hidden


class Level(nn.Module):
    """Residual blocks of one resolution, the first `attended` of them each with a transformer."""

    def __init__(self, sizes: list[tuple[int, int]], attended: int, time_dim: int, context_dim: int, per_head: int):
        super().__init__()
        self.resnets = nn.ModuleList([ResBlock(channels, out, time_dim) for channels, out in sizes])
        self.attentions = nn.ModuleList([Transformer(out, context_dim, out // per_head) for _, out in sizes[:attended]])
        self.downsamplers, self.upsamplers = nn.ModuleList(), nn.ModuleList()

    def blocks(self) -> Iterator[Any]:
        """Each residual block and its transformer, or what leaves its result as it is."""
        return zip_longest(self.resnets, self.attentions, fillvalue=lambda hidden, context: hidden)


def resampler(channels: int, stride: int) -> nn.ModuleDict:
    """A convolution under the name that diffusers gives it."""
    return nn.ModuleDict({"conv": nn.Conv2d(channels, channels, 3, stride, padding=1)})


class TimeEmbedding(nn.Module):
    """Sines and cosines of a timestep (Vaswani et al. 2017), through two layers."""

    def __init__(self, channels: int, time_dim: int):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(channels, time_dim), nn.Linear(time_dim, time_dim)
        self.frequencies = channels // 2

    def forward(self, timesteps: Tensor) -> Tensor:
        exponent = -math.log(10000) * torch.arange(self.frequencies, device=timesteps.device) / self.frequencies
        angle = timesteps[:, None].float() * exponent.exp()
        embedding = torch.cat([angle.cos(), angle.sin()], dim=-1).to(self.linear_1.weight.dtype)
        return self.linear_2(silu(self.linear_1(embedding)))


class TinyUNet(nn.Module):
    """Latents [B, C, h, w] at timesteps to the predicted noise.

    Args:
        config: of latent diffusion's U-Net, as `TinyPrior.unet_config` has it; the lowest level is without attention.
    """

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        widths = [config["model_channels"] * multiple for multiple in config["channel_mult"]]
        layers, time_dim, lowest = config["num_res_blocks"][0], 4 * widths[0], len(widths) - 1
        shape = time_dim, config["context_dim"], config["num_head_channels"]
        self.config = {"block_out_channels": widths, "sample_size": config["image_size"]}
        self.time_embedding = TimeEmbedding(widths[0], time_dim)
        self.conv_in = nn.Conv2d(config["in_channels"], widths[0], 3, padding=1)
        skips, channels = [widths[0]], widths[0]
        self.down_blocks = nn.ModuleList()
        for level, width in enumerate(widths):
            sizes = [(channels if block == 0 else width, width) for block in range(layers)]
            down = Level(sizes, layers if level < lowest else 0, *shape)
            skips += [width] * layers
            if level < lowest:
                down.downsamplers.append(resampler(width, stride=2))
                skips.append(width)
            self.down_blocks.append(down)
            channels = width
        self.mid_block = Level([(channels, channels)] * 2, 1, *shape)
        self.up_blocks = nn.ModuleList()
        for level, width in reversed([*enumerate(widths)]):
            sizes = [((channels if block == 0 else width) + skips.pop(), width) for block in range(layers + 1)]
            up = Level(sizes, len(sizes) if level < lowest else 0, *shape)
            if level > 0:
                up.upsamplers.append(resampler(width, stride=1))
            self.up_blocks.append(up)
            channels = width
        self.conv_norm_out = nn.GroupNorm(GROUPS, channels)
        self.conv_out = nn.Conv2d(channels, config["out_channels"], 3, padding=1)

    def forward(self, x: Tensor, timestep: Tensor | int, context: Tensor, return_dict: bool = False) -> tuple[Tensor]:
        """The noise [B, C, h, w], in a tuple as diffusers gives it.

        Args:
            timestep: one for all rows, or one a row.
            context: [B, tokens, context_dim].
            return_dict: False, the only value.
        """
        time = self.time_embedding(torch.as_tensor(timestep, device=x.device).expand(len(x)))
        x = self.conv_in(x)
        skips = [x]
        level: Any
        for level in self.down_blocks:
            for resnet, attention in level.blocks():
                x = attention(resnet(x, time), context)
                skips.append(x)
            for downsampler in level.downsamplers:
                x = downsampler["conv"](x)
                skips.append(x)
        for resnet, attention in self.mid_block.blocks():
            x = attention(resnet(x, time), context)
        for level in self.up_blocks:
            for resnet, attention in level.blocks():
                x = attention(resnet(torch.cat([x, skips.pop()], dim=1), time), context)
            for upsampler in level.upsamplers:
                size = skips[-1].shape[-2:]  # the double, or one less where an odd size was halved
                x = upsampler["conv"](interpolate(x, size=size, mode="nearest"))
        return (self.conv_out(silu(self.conv_norm_out(x))),)
