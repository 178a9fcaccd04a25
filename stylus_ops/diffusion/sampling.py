"""Deterministic DDIM sampling over the same nodes, as Euler steps in sigma."""

from __future__ import annotations

from torch import Tensor

from .host import Denoise, OnStep
from .schedule import sampling_sigmas


def sample(denoise: Denoise, noise: Tensor, sigmas: Tensor, on_step: OnStep | None = None) -> Tensor:
    """Clean latents [B, C, h, w] from `noise` at the last of the ascending `sigmas` [N], the last step going to sigma 0."""
    x, descending = noise, sampling_sigmas(sigmas)
    for i in range(len(sigmas)):
        denoised = denoise(x, descending[i])
        eps = (x - denoised) / descending[i]
        x = x + (descending[i + 1] - descending[i]) * eps
        if on_step is not None:
            on_step(i, x, denoised)
    return x
