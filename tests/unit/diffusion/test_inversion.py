"""Inversion against closed forms. For Gaussian data of deviation S the denoised prediction is x S^2 / (S^2 + sigma^2), so
eps = x sigma / (S^2 + sigma^2) is linear in x, and every step multiplies x by a number."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from stylus_ops.dials import Schedule
from stylus_ops.diffusion.inversion import invert
from stylus_ops.diffusion.sampling import sample

S = 0.8
NODES = torch.tensor([0.05, 0.3, 0.9, 2.0, 5.0, 14.0], dtype=torch.float64)


class Gaussian:
    """The ideal denoiser of N(0, S^2), which notes the noise levels that it is asked for."""

    def __init__(self) -> None:
        self.calls: list[float] = []

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        assert sigma.ndim == 0
        self.calls.append(float(sigma))
        return x * S**2 / (S**2 + sigma**2)


def slope(sigma: float) -> float:
    return sigma / (S**2 + sigma**2)


def nonlinear(x: Tensor, sigma: Tensor) -> Tensor:
    """A denoiser whose eps mixes pixels and channels and is bent, but moves less than its input does."""
    scaled = x / (1 + sigma**2).sqrt()
    eps = torch.sin(scaled + 0.7 * scaled.roll(1, -1) - 0.4 * scaled.roll(1, 1)) / 2.5
    return x - sigma * eps


@pytest.fixture
def latents() -> Tensor:
    return S * torch.randn(2, 4, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_ddim_is_the_explicit_step_from_the_latent_itself(latents):
    denoise = Gaussian()
    trajectory = invert(denoise, latents, NODES, Schedule(inversion="ddim", corrections=3))
    assert denoise.calls == NODES.tolist()
    factor, points = 1.0, []
    for i, sigma in enumerate(NODES.tolist()):
        if i:
            before = NODES[i - 1].item()
            factor *= 1 + (sigma - before) * slope(before)
        points.append(factor * latents)
    torch.testing.assert_close(trajectory.evaluated, torch.stack(points), rtol=1e-12, atol=0)
    assert torch.equal(trajectory.noise, trajectory.evaluated[-1])


@pytest.mark.parametrize("corrections", [1, 2, 3])
def test_fixed_point_predicts_with_the_last_eps_and_corrects(latents, corrections):
    denoise = Gaussian()
    trajectory = invert(denoise, latents, NODES, Schedule(corrections=corrections))
    assert denoise.calls == [sigma for sigma in NODES.tolist() for _ in range(corrections)]
    base, eps, sigma_before = 1.0, 0.0, 0.0
    for i, sigma in enumerate(NODES.tolist()):
        point = base + (sigma - sigma_before) * eps
        for _ in range(corrections):
            evaluated, eps = point, point * slope(sigma)
            point = base + (sigma - sigma_before) * eps
        torch.testing.assert_close(trajectory.evaluated[i], evaluated * latents, rtol=1e-12, atol=0)
        base, sigma_before = point, sigma
    torch.testing.assert_close(trajectory.noise, base * latents, rtol=1e-12, atol=0)


def test_converged_inversion_is_undone_by_sampling(latents):
    noise = invert(nonlinear, latents, NODES, Schedule(corrections=80)).noise
    torch.testing.assert_close(sample(nonlinear, noise, NODES), latents, rtol=0, atol=1e-12)


def reconstruction_error(latents: Tensor, steps: int, method: str, corrections: int = 1) -> float:
    sigmas = torch.logspace(math.log10(0.04), math.log10(14), steps, dtype=torch.float64)
    noise = invert(nonlinear, latents, sigmas, Schedule(inversion=method, corrections=corrections)).noise
    return float((sample(nonlinear, noise, sigmas) - latents).norm() / latents.norm())


@pytest.mark.parametrize("steps", [10, 20, 50])
def test_one_correction_beats_ddim_at_the_same_cost_and_more_corrections_beat_one(steps):
    latents = torch.randn(1, 4, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    errors = [
        reconstruction_error(latents, steps, "ddim"),
        *(reconstruction_error(latents, steps, "fixed_point", k) for k in (1, 2, 3)),
    ]
    for worse, better in pairwise(errors):
        assert better < worse / 2, errors


@pytest.mark.parametrize("method", ["ddim", "fixed_point"])
def test_progress_reports_each_node_once_with_its_prediction(latents, method):
    reports: list[tuple[int, Tensor, Tensor]] = []
    schedule = Schedule(inversion=method, corrections=2)
    trajectory = invert(Gaussian(), latents, NODES, schedule, on_step=lambda *report: reports.append(report))
    assert [i for i, _, _ in reports] == list(range(len(NODES)))
    for i, _, denoised in reports:
        torch.testing.assert_close(denoised, Gaussian()(trajectory.evaluated[i], NODES[i]))
    assert torch.equal(reports[-1][1], trajectory.noise)
