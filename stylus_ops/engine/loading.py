"""Where the weights of the command line come from: the bundled prior, a checkpoint file, a diffusers folder or the Hub."""

from __future__ import annotations

import torch

from .. import tiny
from ..tiny.unet import TinyUNet
from .ldm_keys import ldm_key
from .model import LoadedModel, sd_sigmas
from .source import downloaded, find


def load_model(name: str, device: torch.device, dtype: torch.dtype) -> LoadedModel:
    """Load a model for inference.

    Args:
        name: "tiny", a `.safetensors` file (a checkpoint or a prior of tiny's format), a diffusers folder, or a Hub id such as `owner/model`.
        dtype: of the U-Net; the autoencoder stays in float32.

    Raises ValueError: the model is not found, not in safetensors, damaged, or of a family that the command line can't use.
    """
    kind, path = find(name)
    if kind == "tiny" or (kind == "file" and tiny.is_prior(path)):
        prior = tiny.load(device, dtype, path)
        return LoadedModel(tiny_unet(prior), prior.autoencoder, prior.context, sd_sigmas(), "epsilon", "tiny-256")
    from .stable_diffusion import load_checkpoint, load_folder  # takes seconds, which the bundled prior does without

    if kind == "file":
        return load_checkpoint(path, device, dtype)
    return load_folder(name, downloaded(name) if kind == "hub" else path, device, dtype)


def tiny_unet(prior: tiny.TinyPrior) -> TinyUNet:
    """The bundled prior's U-Net for inference, with the weights' own device and dtype."""
    with torch.device("meta"):
        unet = TinyUNet(prior.unet_config)
    weights = {key: prior.unet_weights[tiny.UNET + ldm_key(key)] for key in unet.state_dict()}
    unet.load_state_dict(weights, assign=True)
    return unet.eval().requires_grad_(False)
