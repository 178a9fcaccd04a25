"""The whole method once more, as plainly as it can be said, to compare with.

Variance-preserving DDIM on z_t, queries, keys and values of both clips kept at every step and site, dense softmax, all in
float64. It knows nothing of stylus_ops.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from diffusers.models import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor
from torch.nn.functional import avg_pool2d

Projections = tuple[Tensor, Tensor, Tensor]
Mixer = Callable[[int, Tensor, Tensor, Tensor, int], Tensor]
"""(decoder block, q, k, v, heads) to the attention's output."""

DECODER_BLOCKS = range(6, 12)


def alpha_bar() -> Tensor:
    """Stable Diffusion's "scaled linear" schedule."""
    betas = torch.linspace(math.sqrt(0.00085), math.sqrt(0.012), 1000, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, 0)


def softmax_attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """[B, N, C] with heads folded into C."""
    out = []
    for qh, kh, vh in zip(q.chunk(heads, -1), k.chunk(heads, -1), v.chunk(heads, -1), strict=True):
        logits = qh @ kh.transpose(1, 2) / math.sqrt(qh.shape[-1])
        out.append(torch.softmax(logits, -1) @ vh)
    return torch.cat(out, -1)


class DenseProcessor:
    def __init__(self, block: int, mixer: Mixer):
        self.block, self.mixer = block, mixer

    def __call__(self, attn: Attention, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        q, k, v = attn.to_q(hidden_states), attn.to_k(hidden_states), attn.to_v(hidden_states)
        return attn.to_out[0](self.mixer(self.block, q, k, v, attn.heads))


@contextmanager
def attention_replaced(unet: UNet2DConditionModel, mixer: Mixer) -> Iterator[None]:
    layers: dict[int, Any] = {
        b: unet.get_submodule(f"up_blocks.{b // 3}.attentions.{b % 3}.transformer_blocks.0.attn1")
        for b in DECODER_BLOCKS
    }
    before = {b: layer.processor for b, layer in layers.items()}
    for b, layer in layers.items():
        layer.set_processor(DenseProcessor(b, mixer))
    try:
        yield
    finally:
        for b, layer in layers.items():
            layer.set_processor(before[b])


def predict_noise(unet: UNet2DConditionModel, z: Tensor, t: int, context: Tensor, mixer: Mixer) -> Tensor:
    with torch.no_grad(), attention_replaced(unet, mixer):
        output = unet(z, t, context.expand(len(z), -1, -1)).sample
    if unet.config["prediction_type"] == "v_prediction":
        a = alpha_bar()[t]
        return a.sqrt() * output + (1 - a).sqrt() * z
    return output


def ddim_step(z: Tensor, eps: Tensor, a: Tensor | float, a_next: Tensor | float) -> Tensor:
    """Deterministic DDIM from alpha_bar `a` to `a_next`."""
    a, a_next = torch.as_tensor(a, dtype=torch.float64), torch.as_tensor(a_next, dtype=torch.float64)
    clean = (z - (1 - a).sqrt() * eps) / a.sqrt()
    return a_next.sqrt() * clean + (1 - a_next).sqrt() * eps


@dataclass
class Clip:
    steps: int
    z: Tensor
    """At the last node."""
    kept: list[dict[int, Projections]] = field(default_factory=list)
    """Per node and decoder block."""


def nodes(steps: int) -> list[int]:
    return [1 + (1000 * i) // steps for i in range(steps)]


def invert(
    unet: UNet2DConditionModel,
    latents: Tensor,
    context: Tensor,
    steps: int,
    method: str = "fixed_point",
    corrections: int = 1,
) -> Clip:
    clip = Clip(steps, latents)
    ts, a = nodes(steps), alpha_bar()

    def evaluate(z: Tensor, t: int) -> Tensor:
        seen: dict[int, Projections] = {}

        def keep(block: int, q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
            seen[block] = q, k, v
            return softmax_attention(q, k, v, heads)

        eps = predict_noise(unet, z, t, context, keep)
        clip.kept[ts.index(t) :] = [seen]
        return eps

    if method == "ddim":
        z = a[ts[0]].sqrt() * latents
        for t, t_next in pairwise(ts):
            z = ddim_step(z, evaluate(z, t), a[t], a[t_next])
        evaluate(z, ts[-1])
    else:
        z, a_before, eps = latents, torch.tensor(1.0), torch.zeros_like(latents)
        for t in ts:
            base = z
            z = ddim_step(base, eps, a_before, a[t])
            for _ in range(corrections):
                eps = evaluate(z, t)
                z = ddim_step(base, eps, a_before, a[t])
            a_before = a[t]
    clip.z = z
    return clip


def restyled_start(
    content: Clip, styles: Sequence[Clip], weights: Sequence[float], mode: str, strength: float
) -> Tensor:
    z = content.z.clone()
    for c in range(z.shape[1]):
        x = content.z[:, c]
        values = [style.z[:, c].flatten() for style in styles]
        if mode == "adain":
            mean = sum(w * s.mean() for w, s in zip(weights, values, strict=True))
            std = sum(w * s.std() for w, s in zip(weights, values, strict=True))
            target = (x - x.mean()) / x.std() * std + mean
        else:
            ordered = sum(w * s.sort().values for w, s in zip(weights, values, strict=True))
            target = torch.empty_like(x).flatten()
            target[x.flatten().argsort()] = ordered
            target = target.reshape(x.shape)
        z[:, c] = (1 - strength) * x + strength * target
    return z


def transfer(
    unet: UNet2DConditionModel,
    content: Clip,
    styles: Sequence[Clip],
    context: Tensor,
    weights: Sequence[float],
    *,
    alpha: float = 0.9,
    gamma: float = 0.75,
    tau: float = 1.0,
    mode: str = "adain",
    strength: float = 1.0,
    mask: Tensor | None = None,
) -> Tensor:
    """The restyled latents. `mask`: [h, w] at latent size."""
    ts, a = nodes(content.steps), alpha_bar()
    z = restyled_start(content, styles, weights, mode, strength)
    if mask is not None:
        z = (1 - mask) * content.z + mask * z
    for i in reversed(range(content.steps)):

        def mix(block: int, q: Tensor, k: Tensor, v: Tensor, heads: int, node: int = i) -> Tensor:
            q_content, k_content, v_content = content.kept[node][block]
            q = gamma * q_content + (1 - gamma) * q
            phi_c = softmax_attention(tau * q, k_content, v_content, heads)
            phi_s = torch.zeros_like(phi_c)
            for style, weight in zip(styles, weights, strict=True):
                _, k_style, v_style = style.kept[node][block]
                k_style, v_style = (kept.flatten(0, 1)[None].expand(len(q), -1, -1) for kept in (k_style, v_style))
                phi_s = phi_s + weight * softmax_attention(tau * q, k_style, v_style, heads)
            strength = torch.tensor(alpha)
            if mask is not None:
                size = round(math.sqrt(mask.numel() / q.shape[1]))
                strength = alpha * avg_pool2d(mask[None], size).reshape(1, -1, 1)
            return phi_c + strength * (phi_s - phi_c)

        z = ddim_step(z, predict_noise(unet, z, ts[i], context, mix), a[ts[i]], a[ts[i - 1]] if i else 1.0)
    return z
