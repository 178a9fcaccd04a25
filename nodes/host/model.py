"""What a MODEL, a LATENT and a CONDITIONING must be for Stylus, checked before any work."""

from collections.abc import Iterator, Sequence
from itertools import chain

import torch
from comfy.hooks import EnumHookType
from comfy.ldm.modules.attention import SpatialTransformer
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel, Upsample
from comfy.model_base import SDXL, SDXLRefiner
from comfy.model_patcher import ModelPatcher
from comfy.model_sampling import EPS
from comfy.patcher_extension import WrappersMP
from comfy_api.torch_helpers.torch_compile import COMPILE_KEY
from torch import Tensor

from ...stylus_ops.audio.geometry import PRESETS
from ...stylus_ops.diffusion.host import LATENT_PIXELS
from ...stylus_ops.diffusion.schedule import TRAIN_STEPS
from ...stylus_ops.diffusion.sites import Decoder, DecoderBlock

WRAPPER_KEY = "stylus"
SKIPPING = {"easycache": "EasyCache", "lazycache": "LazyCache"}
"""Wrappers, by their key, that answer some evaluations from earlier ones."""
EVALUATING = ("model_function_wrapper", WrappersMP.APPLY_MODEL, WrappersMP.DIFFUSION_MODEL)
GUIDING = (
    "sampler_cfg_function",
    "sampler_pre_cfg_function",
    "sampler_post_cfg_function",
    "sampler_calc_cond_batch_function",
    WrappersMP.PREDICT_NOISE,
    WrappersMP.CALC_COND_BATCH,
)
"""What the host's samplers take from a MODEL: its options, and kinds of wrappers."""


def check_evaluated(model: ModelPatcher) -> None:
    """Raises ValueError if an evaluation of a MODEL may be another one than its U-Net's, at its sigma and of the whole batch.

    What another pack puts around the U-Net may skip it or cut the latents into tiles; of all that, torch.compile alone is known
    not to.
    """
    around = [name for key, name in _functions(model, EVALUATING) if key not in (WRAPPER_KEY, COMPILE_KEY)]
    for name in [*around, *(name for key, name in _functions(model, GUIDING) if key in SKIPPING)]:
        raise ValueError(f"model carries {name}, which may skip or change what Stylus records and reads: remove it")
    if model.model_options.get("context_handler") is not None:
        raise ValueError("model carries Context Windows: remove them, Stylus cuts recordings of any length itself")


def check_unguided(model: ModelPatcher) -> None:
    """Raises ValueError if a MODEL changes what guidance makes of an evaluation, where it is run without guidance (cfg 1)."""
    for _, name in _functions(model, GUIDING):
        raise ValueError(
            f"model carries {name}, and this node runs without guidance: wire the MODEL from before it, and put {name} "
            "after Apply Style to Model"
        )


def _functions(model: ModelPatcher, kinds: Sequence[str]) -> Iterator[tuple[str | None, str]]:
    """Of each function that a MODEL carries of these kinds, the wrapper's key, and the node or class that it belongs to."""
    options = model.model_options
    wrappers = (model.wrappers, options["transformer_options"].get("wrappers", {}))
    for kind in kinds:
        option = options.get(kind) or []
        by_key = [{None: option if isinstance(option, list) else [option]}, *(kept.get(kind, {}) for kept in wrappers)]
        for key, functions in chain.from_iterable(map(dict.items, by_key)):
            for function in functions:
                own = getattr(function, "__qualname__", type(function).__qualname__).split(".")[0]
                yield key, SKIPPING.get(key or "", own)


def decoder_of(model: ModelPatcher) -> Decoder:
    blocks = unet_of(model).output_blocks
    doubles = [any(isinstance(layer, Upsample) for layer in block) for block in blocks]
    return {
        number: DecoderBlock(
            len(layer.transformer_blocks), layer.transformer_blocks[0].norm1.normalized_shape[0], sum(doubles[number:])
        )
        for number, block in enumerate(blocks)
        for layer in block
        if isinstance(layer, SpatialTransformer)
    }


def unet_of(model: ModelPatcher) -> UNetModel:
    """The U-Net of a MODEL; ValueError if it has none."""
    unet = model.get_model_object("diffusion_model")
    if not isinstance(unet, UNetModel):
        raise ValueError(
            f"model is {type(model.model).__name__} ({type(unet).__name__}), which has no U-Net decoder to inject into: "
            "load a Stable Diffusion 1.x, 2.x or XL checkpoint, or Load Stylus Tiny"
        )
    return unet


def sigma_table(model: ModelPatcher) -> Tensor:
    """The MODEL's noise level at each training timestep, [1000] ascending.
    Raises ValueError if it has no U-Net, or another noise schedule than Stable Diffusion's."""
    unet_of(model)
    sampling = model.get_model_object("model_sampling")
    table = getattr(sampling, "sigmas", None)
    if not isinstance(sampling, EPS) or table is None or len(table) != TRAIN_STEPS:
        raise ValueError(
            f"model samples with {type(sampling).__name__}, not with the {TRAIN_STEPS}-step eps- or v-prediction noise "
            "schedule of Stable Diffusion: DDIM inversion needs that"
        )
    return table.detach().cpu()


def plain_latent(model: ModelPatcher, latent: dict) -> Tensor:
    """The LATENT's tensor [B, C, h, w], C as the MODEL has it.
    Raises ValueError if it has a noise mask, another shape, or NaN or infinite values."""
    if "noise_mask" in latent:
        raise ValueError("latent has a noise mask, which an inversion can't honour: wire a plain VAE Encode")
    samples = latent["samples"]
    if samples.ndim != 4:
        raise ValueError(f"latent has {samples.ndim} dimensions and not 4: wire VAE Encode of the mel images")
    channels = model.get_model_object("latent_format").latent_channels
    if (given := samples.shape[1]) != channels:
        raise ValueError(f"latent has {given} channels and the model works on {channels}: take the model's own VAE")
    if not torch.isfinite(samples).all():
        raise ValueError("latent has NaN or infinite values: check the audio, or run the VAE in fp32")
    return samples


def preset_of(model: ModelPatcher) -> str:
    """The spectrogram preset whose images a MODEL takes: Stylus Tiny's own, or Stable Diffusion's."""
    own = getattr(model.model.model_config, "stylus_preset", None)  # the host's configurations answer None to any name
    return own or "sd-512"


def check_geometry(model: ModelPatcher, samples: Tensor) -> None:
    """Raises ValueError if the latents have the height of a preset that is another model's."""
    wanted = preset_of(model)
    height = LATENT_PIXELS * samples.shape[-2]
    given = next((name for name, params in PRESETS.items() if params.n_mels == height), wanted)
    if given != wanted:
        raise ValueError(
            f"latent is of {given} images and the model takes {wanted}: choose that preset in every Audio to Mel, or auto with "
            "this MODEL wired to it"
        )


def check_conditioning(model: ModelPatcher, conditioning: list) -> None:
    """Raises ValueError unless the CONDITIONING is one prompt for the whole image that this MODEL can read."""
    if len(conditioning) != 1:
        raise ValueError(f"conditioning combines {len(conditioning)} prompts: use one, best an empty one")
    if regional := {"area", "mask"} & conditioning[0][1].keys():
        raise ValueError(f"conditioning is limited to a region ({', '.join(regional)}): use one without area or mask")
    if {"start_percent", "end_percent"} & conditioning[0][1].keys():
        raise ValueError("conditioning is limited to a part of the run: remove Conditioning Set Timestep Range")
    own = "take it from CLIP Text Encode with the CLIP of the model's own checkpoint"
    tokens, extra = conditioning[0]
    hooks = extra["hooks"].hooks if extra.get("hooks") else []
    if any(hook.hook_type is not EnumHookType.Weight or hook.hook_keyframe.keyframes for hook in hooks):
        raise ValueError("conditioning has hooks that change during the run: use a LoRA's without Set Hook Keyframes")
    attended = next(layer for layer in unet_of(model).modules() if isinstance(layer, SpatialTransformer))
    width = attended.transformer_blocks[0].attn2.to_k.in_features
    if tokens.shape[-1] != width:
        raise ValueError(f"conditioning is {tokens.shape[-1]} wide and the model reads {width}: {own}")
    pooled = extra.get("pooled_output") is not None or "unclip_conditioning" in extra
    if isinstance(model.model, (SDXL, SDXLRefiner)) and not pooled:
        raise ValueError(f"conditioning has no pooled output, which {type(model.model).__name__} needs: {own}")
