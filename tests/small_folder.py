"""A diffusers folder with Stable Diffusion's topology, random weights and a few channels: 7 MB that load in a moment."""

import json
from pathlib import Path
from typing import Any

import torch

from tests.small_unet import CONTEXT_WIDTH, small_sd_unet


def write_small_folder(path: Path, prediction_type: str = "epsilon") -> Path:
    from diffusers.models import AutoencoderKL  # takes seconds to load
    from diffusers.schedulers import DDIMScheduler
    from transformers import CLIPTextConfig, CLIPTextModel

    with torch.random.fork_rng():
        torch.manual_seed(0)
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(8,) * 4,
            norm_num_groups=4,
        )
        text = CLIPTextConfig(
            hidden_size=CONTEXT_WIDTH, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
        )
        text_encoder = CLIPTextModel(text)
    scheduler: Any = DDIMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, prediction_type=prediction_type
    )
    parts = {"unet": small_sd_unet().float(), "vae": vae, "text_encoder": text_encoder, "scheduler": scheduler}
    for name, part in parts.items():
        part.save_pretrained(path / name)
    (path / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    return path
