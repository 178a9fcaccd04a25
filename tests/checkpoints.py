"""Checkpoints with Stable Diffusion's topology and random weights, under the key names of the published files.

Each is one safetensors file that ComfyUI's CheckpointLoaderSimple and diffusers' single-file loaders both take.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers.models import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from stylus_ops.disk import write_atomically
from stylus_ops.engine.ldm_keys import ldm_key
from stylus_ops.engine.stable_diffusion import CONFIGS
from stylus_ops.tiny import AUTOENCODER, UNET

Shapes = Mapping[str, tuple[int, ...]]

GENERATION = 5  # part of the cached files' names: count up when what is written changes
GENTLE = ("out_layers.3.weight", "ff.net.2.weight", "proj_out.weight", "out.2.weight")
SMALL = {"block_out_channels": [320] * 4}
SMALL_SDXL = {
    "block_out_channels": [320] * 3,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "transformer_layers_per_block": [1, 1, 2],
    "attention_head_dim": 5,
    "cross_attention_dim": 2048,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
SDXL_KEYS = {
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "up_blocks.0.upsamplers.0.conv": "output_blocks.2.2.conv",
}
VAE_KEYS = {
    "down_blocks": "down",
    "mid_block.attentions.0": "mid.attn_1",
    "mid_block.resnets.0": "mid.block_1",
    "mid_block.resnets.1": "mid.block_2",
    "resnets": "block",
    "samplers.0": "sample",
    "group_norm": "norm",
    "to_out.0": "proj_out",
    "to_": "",
    "conv_norm_out": "norm_out",
    "conv_shortcut": "nin_shortcut",
}
FLUX = {
    "double_blocks.0.img_attn.norm.key_norm.weight": (128,),
    "img_in.weight": (128, 64),
    "txt_in.weight": (128, 4096),
    "vector_in.in_layer.weight": (128, 768),
    "guidance_in.in_layer.weight": (128, 256),
}
"""Just what ComfyUI tells a (very small) Flux by."""
LORA = {
    f"lora_unet_output_blocks_{block}_1_transformer_blocks_0_attn1_to_q.lora_{side}.weight": shape
    for block in range(6, 12)
    for side, shape in (("down", (4, 320)), ("up", (320, 4)))
}
"""On the query projections of the decoder's self-attention 6..11 of the small SD 1.x, strong enough to see."""


def sd_shapes(family: str, **unet: Any) -> Shapes:
    """UNet, autoencoder and, for SD 1.x, text encoder.

    Args:
        family: "sd1" or "sd2", whose configurations these are.
        unet: what differs in that of the UNet.
    """

    def config(part: str) -> dict[str, Any]:
        return json.loads((CONFIGS / family / part / "config.json").read_text(encoding="utf-8"))

    def named(part: Any, prefix: str, key: Callable[[str], str]) -> dict[str, tuple[int, ...]]:
        return {prefix + key(name): tuple(weight.shape) for name, weight in part.named_parameters()}

    with torch.device("meta"):
        unet_key = _sdxl_key if "addition_embed_type" in unet else ldm_key
        shapes = named(UNet2DConditionModel.from_config(config("unet") | unet), UNET, unet_key)
        shapes |= named(AutoencoderKL.from_config(config("vae")), AUTOENCODER, _vae_key)
        if family == "sd1":
            text_encoder: Any = CLIPTextModel(CLIPTextConfig(**config("text_encoder")))
            text_model = getattr(text_encoder, "text_model", text_encoder)  # gone in transformers 5
            shapes |= named(text_model, "cond_stage_model.transformer.text_model.", str)
    return {key: (*shape, 1, 1) if ".attn_1." in key and len(shape) == 2 else shape for key, shape in shapes.items()}


def _sdxl_key(name: str) -> str:
    layer, _, parameter = name.rpartition(".")
    return f"{SDXL_KEYS[layer]}.{parameter}" if layer in SDXL_KEYS else ldm_key(name)


def _vae_key(name: str) -> str:
    for ours, published in VAE_KEYS.items():
        name = name.replace(ours, published)
    return re.sub(r"up_blocks\.(\d)", lambda level: f"up.{3 - int(level[1])}", name)


def _random_tensor(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Weights that keep the scale of what passes through; gains near 1.

    The UNet's residual branches and its output are weaker: a network as steep as pure noise makes it can't be inverted
    over the few, far noise levels of a test.
    ComfyUI reads v-prediction off the spread (over 0.09) of a bias of SD 2.x's last attention block: these have it.
    """
    noise = torch.randn(shape, generator=generator)
    if name.startswith(UNET) and name.endswith(GENTLE):
        noise *= 0.3
    if name.endswith("norm1.bias"):
        return 0.2 * noise
    if len(shape) == 1:
        return 1 + 0.1 * noise if name.endswith("weight") else 0.02 * noise
    return noise / math.sqrt(math.prod(shape[1:]))


def random_weights(shapes: Shapes, dtype: torch.dtype = torch.float16, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: _random_tensor(name, shape, generator).to(dtype) for name, shape in shapes.items()}


def sibling(of: Path) -> dict[str, Tensor]:
    """The UNet of a checkpoint with another last decoder block, as fine-tunes of one base share most of their layers."""
    weights = {key.removeprefix(UNET): weight for key, weight in load_file(of).items() if key.startswith(UNET)}
    return {key: 1.5 * weight if key.startswith("output_blocks.11.1.") else weight for key, weight in weights.items()}


def cached_models(folder: Path) -> dict[str, Path]:
    """The small models of the tests, laid out as ComfyUI's `models` folder; each is written whole, on first use."""
    makers: dict[str, Callable[[], dict[str, Tensor]]] = {
        "checkpoints/sd15-small": lambda: random_weights(sd_shapes("sd1", **SMALL)),
        "checkpoints/sd21-small": lambda: random_weights(sd_shapes("sd2", **SMALL)),
        "checkpoints/sdxl-small": lambda: random_weights(sd_shapes("sd2", **SMALL_SDXL)),
        "diffusion_models/sd15-sibling": lambda: sibling(models["sd15-small"]),
        "diffusion_models/flux-small": lambda: random_weights(FLUX),
        "loras/small": lambda: random_weights(LORA, torch.float32, seed=1),
    }
    models: dict[str, Path] = {}
    for name, make in makers.items():
        path = folder / f"v{GENERATION}" / f"{name}.safetensors"
        models[path.stem] = path
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, partial(save_file, make()))
    return models
