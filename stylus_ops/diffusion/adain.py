"""Start noise of the transfer: the content's inverted noise with the style's statistics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..dials import Steering


def _channels(noise: Tensor) -> Tensor:
    """[B, C, h, w] to [C, B * h * w]."""
    return noise.movedim(1, 0).flatten(1)


def adain(content: Tensor, styles: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Adaptive instance normalisation (Huang & Belongie 2017): per-channel mean and deviation of the styles.

    Args:
        content: [B, C, h, w]; its statistics are taken over all B windows, which are one clip.
        styles: tensors [B_s, C, h_s, w_s]; their means and deviations are blended with `weights`.
        weights: as many as styles, summing to 1.
    """
    values = _channels(content)
    std, mean = torch.std_mean(values, dim=1)
    style_mean = _weighted((_channels(s).mean(1) for s in styles), weights)
    style_std = _weighted((_channels(s).std(1) for s in styles), weights)
    out = (values - mean[:, None]) * (style_std / std.clamp_min(1e-8))[:, None] + style_mean[:, None]
    return _like(out, content)


def efdm(content: Tensor, styles: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Exact feature distribution matching (Zhang et al. 2022): the k-th smallest content value of a channel becomes the
    style's k-th smallest, interpolated between ranks where the counts differ. Shapes as in `adain`."""
    values = _channels(content)
    rank = values.argsort(dim=1).argsort(dim=1)
    target = _weighted((_quantiles(_channels(s), values.shape[1]) for s in styles), weights)
    return _like(target.gather(1, rank), content)


def _weighted(values: Iterable[Tensor], weights: Sequence[float]) -> Tensor:
    return torch.stack([w * v for v, w in zip(values, weights, strict=True)]).sum(0)


def _quantiles(values: Tensor, count: int) -> Tensor:
    ordered = values.sort(dim=1).values
    if ordered.shape[1] == count:
        return ordered
    return interpolate(ordered[None], size=count, mode="linear", align_corners=True)[0]


def _like(values: Tensor, content: Tensor) -> Tensor:
    return values.reshape(content.movedim(1, 0).shape).movedim(0, 1)


def match_statistics(content: Tensor, styles: Sequence[Tensor], weights: Sequence[float], steering: Steering) -> Tensor:
    """The content's noise blended with its restyled version, by the steering's `adain_mode` and `adain`: 0 is the content, 1
    the full effect. Shapes and weights as in `adain`."""
    if steering.adain_mode == "none" or steering.adain == 0:
        return content
    matched = (adain if steering.adain_mode == "adain" else efdm)(content, styles, weights)
    return torch.lerp(content, matched, steering.adain)
