"""A diffusers UNet with Stable Diffusion's topology, random weights and a few channels, for tests of the method."""

from typing import Any

import torch
from torch import Tensor

from stylus_ops.dials import Schedule
from stylus_ops.diffusion.ddim import sample
from stylus_ops.diffusion.features import Inversion, Style
from stylus_ops.diffusion.recorder import Recorder
from stylus_ops.diffusion.recorder import record as write
from stylus_ops.diffusion.schedule import ddim_sigmas
from stylus_ops.diffusion.sites import resolve_sites
from stylus_ops.diffusion.stylizer import Stylizer
from stylus_ops.engine.engine import Engine
from stylus_ops.engine.model import LoadedModel, sd_sigmas

CONTEXT_WIDTH = 16


def small_sd_unet(prediction_type: str = "epsilon") -> Any:
    """diffusers' own four levels, two residual blocks each: the decoder has self-attention in blocks 3 to 11. In float64.

    Default initialisation leaves self-attention almost uniform and almost without effect; its weights are doubled here, so
    that what is injected moves the prediction by about half of its size.
    """
    from diffusers.models import UNet2DConditionModel  # takes seconds to load

    with torch.random.fork_rng():
        torch.manual_seed(0)
        unet = UNet2DConditionModel(
            sample_size=32,
            block_out_channels=(16, 16, 32, 32),
            attention_head_dim=2,
            cross_attention_dim=CONTEXT_WIDTH,
            norm_num_groups=8,
        )
    unet = unet.double().eval().requires_grad_(False)
    for name, module in unet.named_modules():
        if name.endswith("attn1"):
            for projection in (module.to_q, module.to_k, module.to_v, module.to_out[0]):
                projection.weight.mul_(2)
    unet.register_to_config(prediction_type=prediction_type)
    return unet


def small_engine(unet: Any = None, dtype: torch.dtype = torch.float32) -> Engine:
    """The diffusers host on such a U-Net, without an autoencoder."""
    context = torch.randn(1, 5, CONTEXT_WIDTH, generator=torch.Generator().manual_seed(9)).to(dtype)
    unet = unet or small_sd_unet()
    unet.to(dtype)
    no_autoencoder: Any = None
    model = LoadedModel(unet, no_autoencoder, context, sd_sigmas(), unet.config["prediction_type"], "tiny-256")
    return Engine("small", model, torch.device("cpu"), dtype)


def latents(seed: int, windows: int = 1, width: int = 12) -> Tensor:
    return torch.randn(windows, 4, 8, width, generator=torch.Generator().manual_seed(seed))


def record(engine: Engine, clip: Tensor, features: str, schedule: Schedule) -> Inversion:
    sigmas = ddim_sigmas(engine.model.sigmas, schedule.steps)
    recorder = Recorder(sigmas, resolve_sites(schedule.sites, engine.decoder), features)
    return write(recorder, lambda x, sigma: recorder(engine.evaluate, x, sigma, 2), clip, schedule)


def restyle(engine: Engine, stylizer: Stylizer) -> Tensor:
    return sample(
        lambda x, sigma: stylizer(engine.evaluate, x, sigma, 2), stylizer.start_latents(), stylizer.content.sigmas
    )


def single(clip: Inversion) -> Style:
    return Style((clip,), (1.0,))
