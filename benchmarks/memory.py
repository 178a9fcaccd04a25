"""What features cost in memory: bytes of the bank a step, peaks of a transfer, and that a long clip needs no more than a short one.

`python -m benchmarks.memory` transfers one window at two numbers of steps with the bank in float16 and with features evaluated
again. Peaks stand above the loaded model, and between the two numbers of steps a line gives memory per step.
"""

from __future__ import annotations

import gc

import torch
from torch import Tensor

from stylus_ops.dials import Steering
from stylus_ops.diffusion.features import Inversion, bank_bytes
from stylus_ops.diffusion.stylizer import Stylizer
from stylus_ops.engine.engine import Engine

from .common import (
    MB,
    LiveTensors,
    PeakMemory,
    Rows,
    arguments,
    inverted,
    latents,
    live_tensor_bytes,
    nodes,
    random_sd15,
    report,
    restyled,
    single,
    sites,
    title,
)

PAPER_STEPS = 50


def uncaptured(engine: Engine, clip: Tensor, sigmas: Tensor) -> Inversion:
    """A trajectory of noise to recompute from; memory does not ask what is in it."""
    trajectory = torch.randn(len(sigmas), *clip.shape)
    return Inversion(sigmas.cpu(), trajectory, trajectory[-1], sites(engine), None, clip.shape[-1])


def main() -> None:
    options = arguments(__doc__, [4, 8]).parse_args()
    engine = random_sd15(options)
    x = latents(engine, options, seed=0)
    three_rows = x.expand(3, -1, -1, -1)
    engine.evaluate(three_rows, torch.tensor(1.0))
    with LiveTensors(engine) as bare_tensors:
        engine.evaluate(three_rows, torch.tensor(1.0))
    rows: Rows = [("bare evaluation of three rows, peak of its tensors", bare_tensors.peak / MB, "MB")]

    peaks, banks = [], []
    for steps in options.steps:
        sigmas = nodes(engine, steps)
        with PeakMemory(engine) as bare:
            for sigma in sigmas:
                engine.evaluate(three_rows, sigma)
        with PeakMemory(engine) as cache:
            clips = [inverted(engine, latents(engine, options, seed), sigmas, "cache_fp16") for seed in (1, 2)]
            restyled(engine, Stylizer(clips[0], single(clips[1]), Steering()))
        banks.append(sum(bank_bytes(clip.bank) for clip in clips))
        peaks.append(cache.bytes)

        content, style = (clip._replace(bank=None) for clip in clips)
        del clips
        gc.collect()
        before, held = live_tensor_bytes(), []
        with PeakMemory(engine) as recompute:
            restyled(
                engine,
                Stylizer(content, single(style), Steering()),
                per_pass=3,
                on_step=lambda i, x, denoised: held.append(live_tensor_bytes() - before),  # noqa: B023
            )
        stylizer = Stylizer(content, single(style), Steering())
        with LiveTensors(engine) as joint_tensors:
            stylizer(engine.evaluate, stylizer.start_latents().to(engine.device), sigmas[-1], 3)
        rows += [
            (f"{steps} steps, bare evaluations of three rows: peak", bare.bytes / MB, "MB"),
            (f"{steps} steps, cache_fp16: bank of content and style", banks[-1] / MB, "MB"),
            (f"{steps} steps, cache_fp16: peak of the transfer", cache.bytes / MB, "MB"),
            (f"{steps} steps, recompute: peak of sampling", recompute.bytes / MB, "MB"),
            (f"{steps} steps, recompute: held between evaluations, at most 50", max(held) / MB, "MB"),
            (f"{steps} steps, recompute: peak / bare three rows, at most 1.1", recompute.bytes / bare.bytes, ""),
            ("the same of the tensors of one evaluation", joint_tensors.peak / bare_tensors.peak, ""),
        ]

    per_step = banks[0] / options.steps[0]
    growth = (peaks[-1] - peaks[0]) / (options.steps[-1] - options.steps[0])
    rows += [
        ("bank a step, at most 24", per_step / MB, "MB"),
        ("peak's growth a step", growth / MB, "MB"),
        (f"bank at {PAPER_STEPS} steps, at most 1200", PAPER_STEPS * per_step / MB, "MB"),
        (
            f"peak at {PAPER_STEPS} steps, extrapolated",
            (peaks[0] + (PAPER_STEPS - options.steps[0]) * growth) / MB,
            "MB",
        ),
    ]

    sigmas = nodes(engine, 2)
    style = uncaptured(engine, x, sigmas)
    for windows in (2, 10):
        song = latents(engine, options, seed=3, windows=windows)
        stylizer = Stylizer(uncaptured(engine, song, sigmas), single(style), Steering())
        with PeakMemory(engine) as one_step:
            stylizer(engine.evaluate, song, sigmas[-1], 1)
        trajectory = stylizer.content.trajectory.nbytes / len(sigmas)
        rows += [
            (f"{windows} windows, recompute: peak of a step", one_step.bytes / MB, "MB"),
            (f"{windows} windows: trajectory a step", trajectory / MB, "MB"),
        ]
    report(title(options), options, rows)


if __name__ == "__main__":
    main()
