"""Stylus beside the same transfer done the plain way, for one style and several contents.

The plain way follows the papers' description (StyleID, Stylus): explicit DDIM inversion that keeps queries, keys and values of
both clips at every step in float32, a copy of them for each pair, dense softmax attention at the injected sites, and the style
inverted again for every pair. `python -m benchmarks.baseline` prints time, peak memory and evaluations of both.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from torch import Tensor

from stylus_ops.dials import Steering
from stylus_ops.diffusion.adain import adain
from stylus_ops.diffusion.sites import Site
from stylus_ops.diffusion.stylizer import Stylizer
from stylus_ops.engine.engine import Engine

from .common import (
    MB,
    PeakMemory,
    Rows,
    arguments,
    inverted,
    latents,
    nodes,
    random_sd15,
    report,
    restyled,
    seconds,
    single,
    sites,
    title,
)

CONTENTS, STYLE_SEED = 4, 100
STEERING = Steering()


class Projections(NamedTuple):
    """Queries, keys and values of one site at one step, [B, heads, tokens, width]."""

    q: Tensor
    k: Tensor
    v: Tensor


Features = list[dict[Site, Projections]]
"""Per step and site."""


def dense_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v


class PlainAttention:
    """Attention processor of one site: keeps what it sees, or mixes in what was kept of content and style."""

    def __init__(self, site: Site, kept: dict[Site, Projections], inject: tuple[Projections, Projections] | None):
        self.site, self.kept, self.inject = site, kept, inject

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None):
        q, k, v = (
            project(hidden_states).unflatten(-1, (attn.heads, -1)).transpose(1, 2).float()
            for project in (attn.to_q, attn.to_k, attn.to_v)
        )
        if self.inject is None:
            self.kept[self.site] = Projections(q, k, v)
            output = dense_attention(q, k, v)
        else:
            content, style = self.inject
            q = STEERING.gamma * content.q + (1 - STEERING.gamma) * q
            from_content = dense_attention(q, content.k, content.v)
            from_style = dense_attention(q, style.k, style.v)
            output = from_content + STEERING.alpha * (from_style - from_content)
        return attn.to_out[0](output.transpose(1, 2).flatten(2).to(hidden_states.dtype))


@contextmanager
def plain_attention(
    engine: Engine, inject: tuple[dict[Site, Projections], dict[Site, Projections]] | None
) -> Iterator[dict[Site, Projections]]:
    kept: dict[Site, Projections] = {}
    earlier = {site: engine.attention[site].processor for site in sites(engine)}
    for site in earlier:
        pair = (inject[0][site], inject[1][site]) if inject else None
        engine.attention[site].set_processor(PlainAttention(site, kept, pair))  # type: ignore[arg-type]
    yield kept
    for site, processor in earlier.items():
        engine.attention[site].set_processor(processor)


def plain_inversion(engine: Engine, x: Tensor, sigmas: Tensor) -> tuple[Tensor, Features]:
    features: Features = []
    for i, sigma in enumerate(sigmas):
        with plain_attention(engine, None) as kept:
            eps = (x - engine.evaluate(x, sigma)) / sigma
        features.append(kept)
        if i + 1 < len(sigmas):
            x = x + (sigmas[i + 1] - sigma) * eps
    return x, features


def plain_transfer(engine: Engine, content: Tensor, style: Tensor, sigmas: Tensor) -> Tensor:
    content_noise, content_features = plain_inversion(engine, content, sigmas)
    style_noise, style_features = plain_inversion(engine, style, sigmas)
    pair = copy.deepcopy(content_features), copy.deepcopy(style_features)
    x = adain(content_noise, [style_noise], [1.0])
    for i in reversed(range(len(sigmas))):
        with plain_attention(engine, (pair[0][i], pair[1][i])):
            eps = (x - engine.evaluate(x, sigmas[i])) / sigmas[i]
        x = x + ((sigmas[i - 1] if i else 0) - sigmas[i]) * eps
    return x


def main() -> None:
    options = arguments(__doc__, [2]).parse_args()
    engine = random_sd15(options)
    sigmas = nodes(engine, options.steps)
    style = latents(engine, options, STYLE_SEED)
    contents = [latents(engine, options, seed) for seed in range(CONTENTS)]

    def plain() -> None:
        for content in contents:
            plain_transfer(engine, content, style, sigmas)

    def stylus() -> None:
        captured = single(inverted(engine, style, sigmas, "cache_fp16"))
        for content in contents:
            restyled(engine, Stylizer(inverted(engine, content, sigmas, "cache_fp16"), captured, STEERING))

    engine.evaluate(style, sigmas[0])
    rows: Rows = []
    spent, peaks = [], []
    for name, work in (("plain", plain), ("stylus", stylus)):
        before = engine.evaluations
        with PeakMemory(engine) as peak:
            spent.append(seconds(engine, work))
        peaks.append(peak.bytes)
        rows += [
            (f"{name}: time", spent[-1], "s"),
            (f"{name}: peak memory above the model", peak.bytes / MB, "MB"),
            (f"{name}: evaluations", engine.evaluations - before, ""),
        ]
    rows += [("time, plain / stylus", spent[0] / spent[1], ""), ("memory, plain / stylus", peaks[0] / peaks[1], "")]
    report(title(options), options, rows)


if __name__ == "__main__":
    main()
