"""Random processing of a sound in the mel domain: what rooms, effects and playing do to its decays, valleys and dynamics.

It varies what the instruments of one soundfont do not: a network that saw them alone would know them by heart.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from .windows import POWER, on_device

DECAYS = (2.0, 40.0)  # frames in which a tail's power falls to 1/e, at the lowest band
BLURS = (0.5, 5.0)  # mel bands, standard deviation: fills the valleys between harmonics, as breath and noise do
EXPONENTS = (0.7, 1.4)  # below 1 quiet frames come up, above 1 they go down


def process(values: Tensor, decays: Tensor, blurs: Tensor, exponents: Tensor) -> Tensor:
    """Values [P, 256, W], with the peaks that they had.

    Each sound has a decay in frames, a blur in bands and an exponent, [P]; 0, 0 and 1 leave it alone."""
    peak = values.amax((1, 2), keepdim=True).clamp(min=1e-4)
    power = _tails(_blurred((values / peak) ** POWER, blurs), decays)
    level = power.mean(1, keepdim=True)
    loudness = level / level.amax(2, keepdim=True).clamp(min=1e-12)
    power = power * loudness.clamp(min=1e-6) ** (exponents[:, None, None] - 1)
    return peak * (power / power.amax((1, 2), keepdim=True).clamp(min=1e-12)) ** (1 / POWER)


def _blurred(power: Tensor, blurs: Tensor) -> Tensor:
    bands = torch.arange(power.shape[1], device=power.device, dtype=torch.float32)
    weights = torch.exp(-0.5 * ((bands[:, None] - bands) / blurs.clamp(min=0.05)[:, None, None]) ** 2)
    return (weights / weights.sum(2, keepdim=True)) @ power


def _tails(power: Tensor, decays: Tensor) -> Tensor:
    """Every band rings on exponentially, the highest half as long as the lowest."""
    bands, frames = power.shape[1:]
    lengths = decays[:, None] * torch.linspace(1, 0.5, bands, device=power.device)
    ring = torch.exp(-1 / lengths.clamp(min=0.01))[:, :, None]
    power, reach = power * (1 - ring), 1
    # The tails so far, once more behind themselves: exact where a Fourier transform would leave a floor.
    while reach < frames:
        power = power + ring**reach * pad(power, (reach, 0))[:, :, :frames]
        reach *= 2
    return power


def random_processing(rng: np.random.Generator, chosen: np.ndarray, device: torch.device) -> Callable[[Tensor], Tensor]:
    """`process` with random dials; the sounds not `chosen` [P] are left alone."""

    def drawn(span: tuple[float, float], share: float, otherwise: float) -> Tensor:
        values = np.exp(rng.uniform(*np.log(span), size=len(chosen)))
        return on_device(np.where(chosen & (rng.random(len(chosen)) < share), values, otherwise), device)

    decays, blurs = drawn(DECAYS, 0.5, 0.0), drawn(BLURS, 0.4, 0.0)
    return partial(process, decays=decays, blurs=blurs, exponents=drawn(EXPONENTS, 0.4, 1.0))
