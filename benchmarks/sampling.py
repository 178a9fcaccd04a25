"""What injection costs beside the bare U-Net.

`python -m benchmarks.sampling` compares, node by node in one process, the evaluation with features from the bank against a bare
one plus the second attention of the injected sites, and the one with features evaluated again against a bare three-row batch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from stylus_ops.dials import Schedule, Steering
from stylus_ops.diffusion.attention import Capture
from stylus_ops.diffusion.features import Inversion, Style
from stylus_ops.diffusion.recorder import Recorder, record
from stylus_ops.diffusion.schedule import ddim_sigmas
from stylus_ops.diffusion.sites import resolve_sites
from stylus_ops.diffusion.stylizer import Stylizer
from stylus_ops.engine.engine import Engine

from .common import Rows, clock, options_of, random_sd15, report

SIDE = 64  # of the latents of a 512x512 image


def inverted(engine: Engine, clip: Tensor, sigmas: Tensor) -> Inversion:
    """The clip's inversion with its features in the bank."""
    recorder = Recorder(sigmas, resolve_sites("auto", engine.decoder), "cache")
    return record(recorder, lambda x, sigma: recorder(engine.evaluate, x, sigma, 1), clip, Schedule())


def second_attention(engine: Engine, x: Tensor, sigma: Tensor) -> Callable[[], None]:
    """The style's key and value projections and the attention to them at every injected site, and nothing else."""
    capture = Capture(resolve_sites("auto", engine.decoder))
    engine.evaluate(x, sigma, hook=capture)

    @torch.inference_mode()
    def work() -> None:
        for site, hidden in capture.features.items():
            layer = engine.attention[site]
            q, k, v = (
                t.unflatten(-1, (layer.heads, -1)).transpose(1, 2)
                for t in (hidden, layer.to_k(hidden), layer.to_v(hidden))
            )
            scaled_dot_product_attention(q, k, v)

    return work


def main() -> None:
    options = options_of(__doc__, steps=4).parse_args()
    engine = random_sd15(options)
    x, *clips = torch.randn(3, 1, 4, SIDE, SIDE, generator=torch.Generator().manual_seed(0)).to(engine.device)
    sigmas = ddim_sigmas(engine.model.sigmas, options.steps).to(engine.device)
    content, style = (inverted(engine, clip, sigmas) for clip in clips)
    cached = Stylizer(content, Style((style,), (1.0,)), Steering())
    recomputed = Stylizer(content._replace(bank=None), Style((style._replace(bank=None),), (1.0,)), Steering())
    second = second_attention(engine, x, sigmas[0])
    second()

    work: dict[str, Callable[[Tensor, Tensor], object]] = {
        "bare": engine.evaluate,
        "second attention": lambda x, sigma: second(),
        "cache": lambda x, sigma: cached(engine.evaluate, x, sigma, 1),
        "bare, three rows": lambda x, sigma: engine.evaluate(x.expand(3, -1, -1, -1), sigma),
        "recompute": lambda x, sigma: recomputed(engine.evaluate, x, sigma, 3),
    }
    if engine.device.type != "cpu":  # the first use of a batch size chooses kernels
        for function in work.values():
            function(x, sigmas[0])
    spent = dict.fromkeys(work, 0.0)
    for sigma in sigmas.flip(0):
        for name, function in work.items():
            began = clock(engine)
            function(x * sigma, sigma)
            spent[name] += clock(engine) - began

    rows: Rows = [(name, value, "s") for name, value in spent.items()]
    kept = spent["cache"] / (spent["bare"] + spent["second attention"])
    rows += [
        ("second attention / bare", spent["second attention"] / spent["bare"], ""),
        ("cache / (bare + second attention), at most 1.05", kept, ""),
        ("recompute / bare three rows, at most 1.08", spent["recompute"] / spent["bare, three rows"], ""),
    ]
    report("SD 1.5 shape, 512x512", options, rows)


if __name__ == "__main__":
    main()
