"""Inversion undone by sampling; `tests/parity` compares its points with the plain reference's."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from stylus_ops.dials import Schedule
from stylus_ops.diffusion.ddim import invert, sample


def nonlinear(x: Tensor, sigma: Tensor) -> Tensor:
    """A denoiser whose eps mixes pixels and channels and is bent, but moves less than its input does."""
    scaled = x / (1 + sigma**2).sqrt()
    eps = torch.sin(scaled + 0.7 * scaled.roll(1, -1) - 0.4 * scaled.roll(1, 1)) / 2.5
    return x - sigma * eps


def reconstruction_error(latents: Tensor, steps: int, method: str, corrections: int) -> float:
    sigmas = torch.logspace(math.log10(0.04), math.log10(14), steps, dtype=torch.float64)
    noise = invert(nonlinear, latents, sigmas, Schedule(inversion=method, corrections=corrections)).noise
    return float((sample(nonlinear, noise, sigmas) - latents).norm() / latents.norm())


@pytest.mark.parametrize("steps", [10, 20, 50])
def test_one_correction_beats_ddim_at_the_same_cost_and_more_corrections_beat_one(steps):
    latents = torch.randn(1, 4, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    methods = (("ddim", 1), ("fixed_point", 1), ("fixed_point", 2), ("fixed_point", 3))
    errors = [reconstruction_error(latents, steps, *method) for method in methods]
    for worse, better in pairwise(errors):
        assert better < worse / 2, errors
