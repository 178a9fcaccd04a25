"""Where the weights of the command line come from: the bundled prior, a checkpoint file, a diffusers folder or the Hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from .. import tiny
from ..diffusion.schedule import TRAIN_STEPS, sigmas_from_alphas_cumprod
from ..diffusion.weights import digest
from ..tiny.unet import TinyUNet
from .ldm_keys import ldm_key
from .source import downloaded, find


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


def load_model(name: str, device: torch.device, dtype: torch.dtype) -> LoadedModel:
    """Load a model for inference.

    Args:
        name: "tiny", a `.safetensors` file (a checkpoint or a prior of tiny's format), a diffusers folder, or a Hub id such as `owner/model`.
        dtype: of the U-Net; the autoencoder stays in float32.

    Raises:
        ValueError: the model is not found, not in safetensors, damaged, or of a family that the command line can't use.
    """
    kind, path = find(name)
    if kind == "tiny" or (kind == "file" and tiny.is_prior(path)):
        return _tiny(device, dtype, path)
    from .stable_diffusion import load_checkpoint, load_folder  # takes seconds, which the bundled prior does without

    if kind == "file":
        return load_checkpoint(path, device, dtype)
    return load_folder(name, downloaded(name) if kind == "hub" else path, device, dtype)


def _tiny(device: torch.device, dtype: torch.dtype, path: Path) -> LoadedModel:
    prior = tiny.load(device, dtype, path)
    return LoadedModel(
        tiny_unet(prior), prior.autoencoder, prior.context, sd_sigmas(), prediction="epsilon", preset="tiny-256"
    )


def tiny_unet(prior: tiny.TinyPrior) -> TinyUNet:
    """The bundled prior's U-Net for inference, with the weights' own device and dtype."""
    with torch.device("meta"):
        unet = TinyUNet(prior.unet_config)
    weights = {key: prior.unet_weights[tiny.UNET + ldm_key(key)] for key in unet.state_dict()}
    unet.load_state_dict(weights, assign=True)
    return unet.eval().requires_grad_(False)


def sd_sigmas() -> Tensor:
    """Stable Diffusion's noise levels, [1000] ascending: betas "scaled linear" from 0.00085 to 0.012."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, TRAIN_STEPS, dtype=torch.float32) ** 2
    return sigmas_from_alphas_cumprod((1 - betas).cumprod(0))
