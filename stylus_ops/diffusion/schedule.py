"""The noise levels at which features are recorded and read back.

Everything works in the variance-exploding form `x = z_t / sqrt(alpha_bar_t)`, `sigma = sqrt((1 - alpha_bar_t) / alpha_bar_t)`,
in which deterministic DDIM (Song et al. 2021, Eq. 12 with eta 0) is exactly an Euler step in sigma.
"""

from __future__ import annotations

import torch
from torch import Tensor

TRAIN_STEPS = 1000


def ddim_sigmas(sigma_table: Tensor, steps: int) -> Tensor:
    """The nodes `sigma_0 < ... < sigma_{N-1}` of a model, shape [steps], at the training timesteps `1 + (1000 * i) // steps`.

    This is latent diffusion's "uniform" DDIM spacing for divisors of 1000, and stays in range for every other number.

    Args:
        sigma_table: [1000], the model's sigma at each training timestep.
        steps: 2 to 999.
    """
    timesteps = 1 + (TRAIN_STEPS * torch.arange(steps, device=sigma_table.device)) // steps
    return sigma_table[timesteps].float()


def sigmas_from_alphas_cumprod(alphas_cumprod: Tensor) -> Tensor:
    """`sqrt((1 - alpha_bar) / alpha_bar)` for every training timestep: `[T]` to `[T]`."""
    return ((1 - alphas_cumprod) / alphas_cumprod).sqrt()


def sampling_sigmas(sigmas: Tensor) -> Tensor:
    """The nodes in sampling order, with the closing zero: [N] ascending to [N + 1] descending."""
    return torch.cat([sigmas.flip(0), sigmas.new_zeros(1)])


def nearest_node(sigmas: Tensor, sigma: Tensor | float) -> int:
    """Index of the node in `sigmas` [N] nearest to `sigma`, by log sigma: exact on the schedule, an approximation off it."""
    sigma = torch.as_tensor(sigma, dtype=sigmas.dtype, device=sigmas.device).flatten()[0]
    return int((sigmas.log() - sigma.log()).abs().argmin())
