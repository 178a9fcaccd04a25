"""Stable Diffusion 1.x and 2.x, from a checkpoint file or a diffusers folder, through diffusers and transformers.

Only safetensors are read. The configurations lie in `configs/`, so that a checkpoint file needs no network.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..audio.backend import resample_with_torchaudio
from ..audio.geometry import PRESETS
from ..diffusion.host import LATENT_PIXELS
from ..diffusion.schedule import TRAIN_STEPS, sigmas_from_alphas_cumprod

if resample_with_torchaudio is None:
    # transformers imports whatever torchaudio it finds, and a broken one would take diffusers down with it.
    sys.modules.setdefault("torchaudio", None)  # type: ignore[arg-type]

from diffusers.loaders.single_file_utils import (
    convert_ldm_clip_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.utils import logging as diffusers_logging
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModel
from transformers.utils import logging as transformers_logging

from ..tiny import AUTOENCODER as VAE
from ..tiny import UNET
from .model import LoadedModel, sd_sigmas
from .source import WEIGHTS

for logging in (diffusers_logging, transformers_logging):
    logging.set_verbosity_error()
    logging.disable_progress_bar()

CONFIGS = Path(__file__).with_name("configs")
START_TOKEN, END_TOKEN, PROMPT_TOKENS = 49406, 49407, 77
PADDING_TOKENS = {768: END_TOKEN, 1024: 0}
"""What fills a prompt up, by context width: SD 1.x repeats the end token, SD 2.x uses 0."""

ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}

NEEDED = "use a Stable Diffusion 1.x or 2.x model, or tiny"
FAMILIES = {
    "double_blocks.0.img_attn.norm.key_norm.weight": "Flux, a transformer without the U-Net decoder that carries the style",
    "joint_blocks.0.context_block.attn.qkv.weight": "Stable Diffusion 3, a transformer without the U-Net decoder that "
    "carries the style",
    "label_emb.0.0.weight": "Stable Diffusion XL or another model with extra size or image conditioning, which the command "
    "line does not give it",
    "down_blocks.0.resnets.0.conv1.weight": "a U-Net alone, in diffusers' layout, without the vae and text_encoder of its folder",
}


class ScaledAutoencoder(torch.nn.Module):
    """An AutoencoderKL in the mode of its posterior. Always in float32: Stable Diffusion's overflows in float16."""

    def __init__(self, vae: AutoencoderKL):
        super().__init__()
        self.vae = vae

    def encode(self, pixels: Tensor) -> Tensor:
        return self.vae.encode(pixels).latent_dist.mode() * self.vae.config["scaling_factor"]

    def decode(self, latents: Tensor) -> Tensor:
        return self.vae.decode(latents / self.vae.config["scaling_factor"]).sample


def load_checkpoint(path: Path, device: torch.device, dtype: torch.dtype) -> LoadedModel:
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"model {path} is no safetensors file, or is cut off ({error}): download it again") from error
    for key, family in FAMILIES.items():
        if key in weights or UNET + key in weights:
            raise ValueError(f"model {path.name} is {family}: {NEEDED}")
    if (first := f"{UNET}input_blocks.0.0.weight") not in weights:
        raise ValueError(f"model {path.name} holds no Stable Diffusion U-Net: {NEEDED}")
    damaged = f"model {path.name} is damaged or incomplete", "download it again"
    with _blaming(*damaged):
        channels = weights[first].shape[1]
    if channels != 4:
        raise ValueError(f"model {path.name} takes {channels} input channels (inpainting or editing), not 4: {NEEDED}")
    with _blaming(*damaged):
        width = context_width(weights)
    if width not in PADDING_TOKENS:
        raise ValueError(f"model {path.name} reads prompts {width} wide: {NEEDED}")
    for part, key in (("a VAE", f"{VAE}decoder.conv_in.weight"), ("a text encoder", "cond_stage_model.")):
        if not any(name.startswith(key) for name in weights):
            raise ValueError(f"model {path.name} comes without {part}: use a full checkpoint, or a diffusers folder")
    with _blaming(*damaged):
        text_encoder, vae = (_empty(part, _bundled_config(width, part)) for part in ("text_encoder", "vae"))
        clip = width == 768
        text = convert_ldm_clip_checkpoint(weights) if clip else convert_open_clip_checkpoint(text_encoder, weights)
        _fill(text_encoder, text)
        _fill(vae, convert_ldm_vae_checkpoint(weights, dict(vae.config)))
        unet: Any = unet_from_checkpoint(weights, dtype)
        context = empty_prompt(text_encoder)
    prediction = "v_prediction" if predicts_velocity(weights) else "epsilon"
    return LoadedModel(
        unet.to(device), ScaledAutoencoder(vae.to(device)), context.to(device, dtype), sd_sigmas(), prediction, "sd-512"
    )


def load_folder(name: str, folder: Path, device: torch.device, dtype: torch.dtype) -> LoadedModel:
    refused = (
        f"folder {name} can't be loaded",
        "download it again, or use one with model_index.json and, as safetensors, unet, vae and text_encoder",
    )
    with _blaming(*refused):
        pipeline = _config(folder, "model_index.json").get("_class_name", "no pipeline")
    if pipeline not in ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline"):
        raise ValueError(f"folder {name} is made for {pipeline}, says its model_index.json: {NEEDED}")
    with _blaming(*refused):
        with _blaming("scheduler"):
            scheduler = DDIMScheduler.from_config(_config(folder / "scheduler", "scheduler_config.json"))
        parts: dict[str, Any] = {}
        for part, weights in WEIGHTS.items():
            with _blaming(part):
                parts[part] = _empty(part, _config(folder / part, "config.json"))
                _fill(parts[part], _read_part(folder / part, weights), dtype if part == "unet" else torch.float32)
        preset, context = preset_of(parts["unet"].config["sample_size"]), empty_prompt(parts["text_encoder"])
    sigmas, prediction = sigmas_from_alphas_cumprod(scheduler.alphas_cumprod), scheduler.config.prediction_type
    if len(sigmas) != TRAIN_STEPS or prediction not in ("epsilon", "v_prediction"):
        raise ValueError(f"model {name} has a schedule of {len(sigmas)} steps and predicts {prediction}: {NEEDED}")
    unet, autoencoder = parts["unet"].to(device), ScaledAutoencoder(parts["vae"].to(device))
    return LoadedModel(unet, autoencoder, context.to(device, dtype), sigmas, prediction, preset)


@contextmanager
def _blaming(what: str, remedy: str = "") -> Iterator[None]:
    """Turns any error into a ValueError about `what`: the libraries raise all kinds of them over a damaged model."""
    try:
        yield
    except Exception as error:
        missing = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        reason = " ".join(missing.split()) or type(error).__name__
        raise ValueError(f"{what} ({reason}): {remedy}" if remedy else f"{what}: {reason}") from error


def _config(folder: Path, file: str) -> dict[str, Any]:
    with _blaming(file):
        config = json.loads((folder / file).read_text("utf-8"))
        if not isinstance(config, dict):
            raise ValueError("not a JSON object")
    return config


def _read_part(folder: Path, weights: str) -> dict[str, Tensor]:
    """The tensors of one part of a diffusers folder, in one file or in several that an index names."""
    whole = f"{weights}.safetensors"
    index = folder / f"{whole}.index.json"
    files = _config(folder, index.name).get("weight_map", {}).values() if index.is_file() else [whole]
    tensors: dict[str, Tensor] = {}
    for file in sorted(set(files)):
        with _blaming(file):
            tensors |= load_file(folder / file)
    return tensors


def _empty(part: str, config: dict[str, Any]) -> Any:
    """One part of a model as configured, without memory for its weights."""
    build = {"unet": UNet2DConditionModel.from_config, "vae": AutoencoderKL.from_config}
    with torch.device("meta"):
        return build[part](config) if part in build else CLIPTextModel(CLIPTextConfig(**config))


def _fill(model: Any, weights: Mapping[str, Tensor], dtype: torch.dtype = torch.float32) -> None:
    """Give an `_empty` model its weights, and make it ready for inference.

    Raises ValueError: naming the first tensor that is missing, misshapen, not floating point, or not finite.
    """
    weights, filled = {_current(key): weight for key, weight in weights.items()}, {}
    for name, parameter in model.named_parameters():
        key = _current(name)
        if key not in weights:
            raise ValueError(f"tensor {key} is missing")
        weight = weights[key]
        if weight.shape != parameter.shape:
            raise ValueError(f"tensor {key} is {list(weight.shape)}, not {list(parameter.shape)}")
        if not weight.is_floating_point():
            raise ValueError(f"tensor {key} is {str(weight.dtype).removeprefix('torch.')}, not floating point")
        # The sum takes a fifth of the time; only where it is not finite every value is looked at.
        if not weight.sum(dtype=torch.float32).isfinite() and not weight.isfinite().all():
            raise ValueError(f"tensor {key} contains NaN or infinity")
        filled[name] = weight.to(dtype)
    model.load_state_dict(filled, strict=False, assign=True)  # buffers are made where they are used
    model.eval()


def _current(key: str) -> str:
    """Today's name of a weight that an earlier diffusers or transformers wrote."""
    key = re.sub(r"\.(query|key|value|proj_attn)\.", lambda match: f".{ATTENTION[match[1]]}.", key)
    return key.removeprefix("text_model.")


def preset_of(sample_size: Any) -> str:
    """The preset whose images are nearest to those of a U-Net of this configured `sample_size`: height and width of its latents, or
    one number for both; Stable Diffusion's where it is missing."""
    if not sample_size:
        return "sd-512"
    if not isinstance(sample_size, int):
        sample_size = sample_size[0]
    return min(PRESETS, key=lambda name: abs(PRESETS[name].n_mels - LATENT_PIXELS * sample_size))


def context_width(weights: Mapping[str, Tensor]) -> int:
    """Width of the prompt that a checkpoint's cross-attention reads: 768 for SD 1.x, 1024 for SD 2.x."""
    return weights[f"{UNET}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"].shape[1]


def unet_from_checkpoint(weights: Mapping[str, Tensor], dtype: torch.dtype) -> UNet2DConditionModel:
    """The U-Net of an SD 1.x or 2.x checkpoint; its four levels' widths, and its heads, are read off the weights."""
    width = context_width(weights)
    widths = [weights[f"{UNET}input_blocks.{3 * level + 1}.0.out_layers.3.weight"].shape[0] for level in range(4)]
    heads = {} if width == 768 else {"attention_head_dim": [channels // 64 for channels in widths]}
    unet = _empty("unet", {**_bundled_config(width, "unet"), "block_out_channels": widths, **heads})
    _fill(unet, convert_ldm_unet_checkpoint(dict(weights), dict(unet.config)), dtype)
    return unet


def _bundled_config(context_width: int, part: str) -> dict[str, Any]:
    return _config(CONFIGS / ("sd1" if context_width == 768 else "sd2") / part, "config.json")


def predicts_velocity(weights: Mapping[str, Tensor]) -> bool:
    """Whether an SD 2.x U-Net predicts v, read off the spread of one bias, as ComfyUI reads it."""
    bias = weights[f"{UNET}output_blocks.11.1.transformer_blocks.0.norm1.bias"]
    return context_width(weights) == 1024 and bool(bias.float().std(unbiased=False) > 0.09)


@torch.no_grad()
def empty_prompt(text_encoder: CLIPTextModel) -> Tensor:
    """The text encoder's output for an empty prompt, [1, 77, width]."""
    padding = PADDING_TOKENS.get(text_encoder.config.hidden_size, END_TOKEN)
    tokens = [START_TOKEN, END_TOKEN] + [padding] * (PROMPT_TOKENS - 2)
    return text_encoder(torch.tensor([tokens]), position_ids=torch.arange(PROMPT_TOKENS)[None]).last_hidden_state
