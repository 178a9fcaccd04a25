"""The whole method once more, as plainly as it can be said, to compare with.

Variance-preserving DDIM on z_t, queries, keys and values of both clips kept at every step and site, dense softmax, all in
float64. It knows nothing of stylus_ops.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

Mixer = Callable[[int, Tensor, Tensor, Tensor, int], Tensor]
"""(decoder block, q, k, v, heads) to the attention's output."""


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


def predict_noise(unet: Any, z: Tensor, t: int, context: Tensor, mixer: Mixer) -> Tensor:
    """With `mixer` in the place of self-attention in decoder blocks 6 to 11."""

    def attention_of(block: int) -> Callable[..., Tensor]:
        def attention(layer: Any, hidden: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            q, k, v = layer.to_q(hidden), layer.to_k(hidden), layer.to_v(hidden)
            return layer.to_out[0](mixer(block, q, k, v, layer.heads))

        return attention

    for block in range(6, 12):
        layer: Any = unet.get_submodule(f"up_blocks.{block // 3}.attentions.{block % 3}.transformer_blocks.0.attn1")
        layer.set_processor(attention_of(block))
    with torch.no_grad():
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


class Clip(NamedTuple):
    z: Tensor
    """At the last node."""
    kept: list[dict[int, tuple[Tensor, Tensor, Tensor]]]
    """Queries, keys and values per node and decoder block."""


def nodes(steps: int) -> list[int]:
    return [1 + (1000 * i) // steps for i in range(steps)]


def invert(
    unet: Any, latents: Tensor, context: Tensor, steps: int, method: str = "fixed_point", corrections: int = 1
) -> Clip:
    ts, a = nodes(steps), alpha_bar()
    kept: list[dict[int, tuple[Tensor, Tensor, Tensor]]] = [{} for _ in ts]

    def evaluate(z: Tensor, i: int) -> Tensor:
        def keep(block: int, q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
            kept[i][block] = q, k, v
            return softmax_attention(q, k, v, heads)

        return predict_noise(unet, z, ts[i], context, keep)

    if method == "ddim":
        z = a[ts[0]].sqrt() * latents
        for i, (t, t_next) in enumerate(pairwise(ts)):
            z = ddim_step(z, evaluate(z, i), a[t], a[t_next])
        evaluate(z, steps - 1)
    else:
        z, a_before, eps = latents, torch.tensor(1.0), torch.zeros_like(latents)
        for i, t in enumerate(ts):
            base = z
            z = ddim_step(base, eps, a_before, a[t])
            for _ in range(corrections):
                eps = evaluate(z, i)
                z = ddim_step(base, eps, a_before, a[t])
            a_before = a[t]
    return Clip(z, kept)


def restyled_start(content: Clip, styles: Sequence[Clip], weights: Sequence[float], adain: float, mode: str) -> Tensor:
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
        z[:, c] = (1 - adain) * x + adain * target
    return z


def transfer(
    unet: Any,
    content: Clip,
    styles: Sequence[Clip],
    context: Tensor,
    weights: Sequence[float],
    mask: Tensor | None = None,
    *,
    alpha: float = 0.9,
    gamma: float = 0.75,
    temperature: float = 1.0,
    adain: float = 1.0,
    adain_mode: str = "adain",
) -> Tensor:
    """The restyled latents. `mask`: [h, w] at latent size."""
    ts, a = nodes(len(content.kept)), alpha_bar()
    z = restyled_start(content, styles, weights, adain, adain_mode)
    if mask is not None:
        z = (1 - mask) * content.z + mask * z
    for i in reversed(range(len(ts))):

        def mix(block: int, q: Tensor, k: Tensor, v: Tensor, heads: int, node: int = i) -> Tensor:
            q_content, k_content, v_content = content.kept[node][block]
            q = temperature * (gamma * q_content + (1 - gamma) * q)
            phi_c = softmax_attention(q, k_content, v_content, heads)
            phi_s = torch.zeros_like(phi_c)
            for style, weight in zip(styles, weights, strict=True):
                k_style, v_style = (x.flatten(0, 1)[None].expand(len(q), -1, -1) for x in style.kept[node][block][1:])
                phi_s = phi_s + weight * softmax_attention(q, k_style, v_style, heads)
            strength = torch.tensor(alpha)
            if mask is not None:
                size = round(math.sqrt(mask.numel() / q.shape[1]))
                strength = alpha * avg_pool2d(mask[None], size).reshape(1, -1, 1)
            return phi_c + strength * (phi_s - phi_c)

        z = ddim_step(z, predict_noise(unet, z, ts[i], context, mix), a[ts[i]], a[ts[i - 1]] if i else 1.0)
    return z
