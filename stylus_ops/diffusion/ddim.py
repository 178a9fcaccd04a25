"""Deterministic DDIM: up the noise levels to the noise that samples back to a clean latent, and down again."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..dials import Schedule
from .host import Denoise, OnStep
from .schedule import sampling_sigmas


class Trajectory(NamedTuple):
    """Shapes: evaluated [N, B, C, h, w], noise [B, C, h, w]."""

    evaluated: Tensor
    """Per node, the point of its last evaluation, in host memory: where its features come from. From a GPU it is there once the
    work that was queued is done."""
    noise: Tensor
    """The point at the last node, from which sampling starts."""


def invert(
    denoise: Denoise,
    latents: Tensor,
    sigmas: Tensor,
    schedule: Schedule,
    on_step: OnStep | None = None,
    evaluated: Tensor | None = None,
) -> Trajectory:
    """Run the latents up the nodes.

    `ddim` is the explicit step `x_{i+1} = x_i + (sigma_{i+1} - sigma_i) eps(x_i, sigma_i)` from `x_0 = latents`
    (Song et al. 2021). `fixed_point` solves the exact inverse of the sampling step,
    `x_i = x_{i-1} + (sigma_i - sigma_{i-1}) eps(x_i, sigma_i)` with `x_{-1} = latents` at sigma 0, predicting with the
    previous node's eps and correcting `corrections` times (the idea of ReNoise, Garibi et al. 2024).

    Args:
        latents: [B, C, h, w] in the model's own scale.
        sigmas: [N], ascending.
        schedule: its `inversion` and `corrections` are used.
        evaluated: where the trajectory's is kept; in new memory if None.
    """
    fixed_point = schedule.inversion == "fixed_point"
    evaluations = schedule.corrections if fixed_point else 1
    x, eps = latents, torch.zeros_like(latents)
    previous = sigmas.new_zeros(())
    if evaluated is None:
        evaluated = torch.empty(len(sigmas), *latents.shape, dtype=latents.dtype, pin_memory=latents.is_cuda)
    for i, sigma in enumerate(sigmas):
        base, step = x, sigma - previous
        x = base + step * eps
        for _ in range(evaluations):
            point = x
            denoised = denoise(point, sigma)
            eps = (point - denoised) / sigma
            if fixed_point:
                x = base + step * eps
        evaluated[i].copy_(point, non_blocking=point.is_cuda)
        previous = sigma
        if on_step is not None:
            on_step(i, x, denoised)
    return Trajectory(evaluated, x)


def sample(denoise: Denoise, noise: Tensor, sigmas: Tensor, on_step: OnStep | None = None) -> Tensor:
    """Run noise down the nodes by Euler steps in sigma: clean latents [B, C, h, w] from `noise` at the last of the ascending
    `sigmas` [N], the last step going to sigma 0."""
    x, descending = noise, sampling_sigmas(sigmas)
    for i in range(len(sigmas)):
        denoised = denoise(x, descending[i])
        eps = (x - denoised) / descending[i]
        x = x + (descending[i + 1] - descending[i]) * eps
        if on_step is not None:
            on_step(i, x, denoised)
    return x
