"""How the cost of a transfer grows with the length of the content and with the steps.

`python -m benchmarks.scaling` times whole transfers, content features evaluated again and the style from its bank, and fits the
exponent: 1 is linear.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stylus_ops.diffusion.attention import Steering
from stylus_ops.diffusion.stylizer import Stylizer

from .common import (
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
    title,
)

WINDOWS = (1, 2, 4, 8)


def exponent(x: Sequence[float], y: Sequence[float]) -> float:
    """Slope of log y over log x by least squares: 1 is linear."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def main() -> None:
    options = arguments(__doc__, [2, 4, 8]).parse_args()
    engine = random_sd15(options)
    engine.evaluate(latents(engine, options, 0), nodes(engine, 2)[0])

    def transfer(windows: int, steps: int) -> float:
        sigmas = nodes(engine, steps)
        style = single(inverted(engine, latents(engine, options, seed=1), sigmas, "cache_fp16"))
        song = latents(engine, options, seed=2, windows=windows)
        return seconds(
            engine, lambda: restyled(engine, Stylizer(inverted(engine, song, sigmas, "recompute"), style, Steering()))
        )

    by_windows = [transfer(windows, options.steps[0]) for windows in WINDOWS]
    by_steps = [transfer(WINDOWS[0], steps) for steps in options.steps]
    rows: Rows = [
        (f"{windows} windows, {options.steps[0]} steps", spent, "s")
        for windows, spent in zip(WINDOWS, by_windows, strict=True)
    ]
    rows += [
        (f"{WINDOWS[0]} windows, {steps} steps", spent, "s")
        for steps, spent in zip(options.steps, by_steps, strict=True)
    ]
    rows += [
        ("exponent over windows", exponent(WINDOWS, by_windows), ""),
        ("exponent over steps", exponent(options.steps, by_steps), ""),
    ]
    report(title(options), options, rows)


if __name__ == "__main__":
    main()
