"""A loaded model, wherever it came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from ..diffusion.schedule import TRAIN_STEPS, sigmas_from_alphas_cumprod
from ..diffusion.weights import digest


class Autoencoder(Protocol):
    def state_dict(self) -> Mapping[str, Tensor]: ...

    def encode(self, pixels: Tensor) -> Tensor:
        """[B, 3, H, W] in -1..1 to latents [B, 4, H/8, W/8] in the scale of the U-Net, without randomness."""

    def decode(self, latents: Tensor) -> Tensor:
        """Latents to pixels [B, 3, H, W]; values may leave -1..1."""


class LoadedModel(NamedTuple):
    unet: Any
    """`TinyUNet`, or diffusers' UNet2DConditionModel."""
    autoencoder: Autoencoder
    context: Tensor
    """The empty prompt, [1, tokens, width]."""
    sigmas: Tensor
    """[1000], ascending."""
    prediction: str
    """"epsilon" or "v_prediction"."""
    preset: str
    """The spectrogram preset whose images it takes."""

    def digest(self) -> str:
        """What tells apart models of one name; see `weights.digest`."""
        return digest(item for part in (self.unet, self.autoencoder) for item in part.state_dict().items())


def sd_sigmas() -> Tensor:
    """Stable Diffusion's noise levels, [1000] ascending: betas "scaled linear" from 0.00085 to 0.012."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, TRAIN_STEPS, dtype=torch.float32) ** 2
    return sigmas_from_alphas_cumprod((1 - betas).cumprod(0))
