"""The bundled prior as ComfyUI's own MODEL and VAE."""

from typing import ClassVar

import comfy.latent_formats
import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.supported_models
import torch
from comfy.ldm.models.autoencoder import AutoencoderKL
from comfy.model_patcher import ModelPatcher

from ...stylus_ops.tiny import UNET, TinyAutoencoder, TinyPrior

SMALLEST_VAE = {
    "ddconfig": {
        "double_z": True,
        "z_channels": 4,
        "resolution": 8,
        "in_channels": 3,
        "out_ch": 3,
        "ch": 32,
        "ch_mult": [1],
        "num_res_blocks": 0,
        "attn_resolutions": [],
    },
    "embed_dim": 4,
}


class StylusTiny(comfy.supported_models.SD15):
    """Stable Diffusion 1.x of another width, whose latents have unit scale."""

    stylus_preset: ClassVar[str] = "tiny-256"
    unet_extra_config: ClassVar[dict] = {}
    latent_format = comfy.latent_formats.LatentFormat


def tiny_model(prior: TinyPrior) -> ModelPatcher:
    """The UNet in a precision that the device is good at."""
    management = comfy.model_management
    config = StylusTiny(prior.unet_config)
    device, offload = management.get_torch_device(), management.unet_offload_device()
    count = sum(weight.numel() for weight in prior.unet_weights.values())
    dtype = management.unet_dtype(model_params=count, supported_dtypes=config.supported_inference_dtypes)
    config.set_inference_dtype(dtype, management.unet_manual_cast(dtype, device, config.supported_inference_dtypes))
    model = config.get_model(prior.unet_weights, UNET, device=offload)
    patcher = comfy.model_patcher.CoreModelPatcher(model, load_device=device, offload_device=offload)
    weights = {key: weight.to(dtype) for key, weight in prior.unet_weights.items()}
    model.load_model_weights(weights, UNET, assign=patcher.is_dynamic())
    return patcher


def tiny_vae(autoencoder: TinyAutoencoder) -> comfy.sd.VAE:
    """A VAE that stock VAE nodes take, tiled ones too, with our module in place of the host's smallest."""
    stand_in = AutoencoderKL(**SMALLEST_VAE).state_dict()
    vae = comfy.sd.VAE(sd=stand_in, config={"params": SMALLEST_VAE}, dtype=torch.float32)
    # Our modules are plain torch ones: the plain patcher moves them whole.
    vae.disable_offload = True
    vae.first_stage_model = autoencoder
    offload = comfy.model_management.vae_offload_device()
    vae.patcher = ModelPatcher(autoencoder, load_device=vae.device, offload_device=offload)
    vae.size = None
    vae.model_size()
    return vae
