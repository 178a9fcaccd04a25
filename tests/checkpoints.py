"""Checkpoints with Stable Diffusion's topology and random weights, under the key names of the published files.

Each is one safetensors file that ComfyUI's CheckpointLoaderSimple and diffusers' single-file loaders both take.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

Shapes = Iterator[tuple[str, tuple[int, ...]]]

GENERATION = 4  # part of the cached files' names: count up when what is written changes
GENTLE = ("out_layers.3.weight", "ff.net.2.weight", "proj_out.weight", "out.2.weight")


@dataclass(frozen=True)
class UNetWidths:
    """What tells one Stable Diffusion UNet from another."""

    multipliers: tuple[int, ...] = (1, 2, 4, 4)  # of 320 channels, a level each
    depths: tuple[int, ...] = (1, 1, 1, 0)  # transformer blocks a level
    context: int = 768
    linear_projection: bool = False
    vector: int | None = None  # width of SDXL's pooled conditioning


SMALL_SD15 = UNetWidths(multipliers=(1, 1, 1, 1))
SMALL_SD21 = UNetWidths(multipliers=(1, 1, 1, 1), context=1024, linear_projection=True)
SMALL_SDXL = UNetWidths((1, 1, 1), depths=(0, 1, 2), context=2048, linear_projection=True, vector=2816)


def _affine(name: str, *weight: int) -> Shapes:
    yield f"{name}.weight", weight
    yield f"{name}.bias", weight[:1]


def _linear(name: str, n_in: int, n_out: int) -> Shapes:
    return _affine(name, n_out, n_in)


def _conv(name: str, n_in: int, n_out: int, kernel: int = 3) -> Shapes:
    return _affine(name, n_out, n_in, kernel, kernel)


def _unet_resnet(name: str, n_in: int, n_out: int) -> Shapes:
    yield from _affine(f"{name}.in_layers.0", n_in)
    yield from _conv(f"{name}.in_layers.2", n_in, n_out)
    yield from _linear(f"{name}.emb_layers.1", 1280, n_out)
    yield from _affine(f"{name}.out_layers.0", n_out)
    yield from _conv(f"{name}.out_layers.3", n_out, n_out)
    if n_in != n_out:
        yield from _conv(f"{name}.skip_connection", n_in, n_out, 1)


def _transformer(name: str, n: int, depth: int, widths: UNetWidths) -> Shapes:
    projection = () if widths.linear_projection else (1, 1)
    yield from _affine(f"{name}.norm", n)
    yield from _affine(f"{name}.proj_in", n, n, *projection)
    for d in range(depth):
        block = f"{name}.transformer_blocks.{d}"
        for attention, context in (("attn1", n), ("attn2", widths.context)):
            yield f"{block}.{attention}.to_q.weight", (n, n)
            yield f"{block}.{attention}.to_k.weight", (n, context)
            yield f"{block}.{attention}.to_v.weight", (n, context)
            yield from _linear(f"{block}.{attention}.to_out.0", n, n)
        yield from _linear(f"{block}.ff.net.0.proj", n, 8 * n)
        yield from _linear(f"{block}.ff.net.2", 4 * n, n)
        for norm in ("norm1", "norm2", "norm3"):
            yield from _affine(f"{block}.{norm}", n)
    yield from _affine(f"{name}.proj_out", n, n, *projection)


def unet_shapes(widths: UNetWidths) -> Shapes:
    """Two residual blocks a level on the way down, three on the way up."""
    channels = [320 * multiplier for multiplier in widths.multipliers]
    yield from _linear("time_embed.0", 320, 1280)
    yield from _linear("time_embed.2", 1280, 1280)
    if widths.vector:
        yield from _linear("label_emb.0.0", widths.vector, 1280)
        yield from _linear("label_emb.0.2", 1280, 1280)

    yield from _conv("input_blocks.0.0", 4, 320)
    skips, n, block = [320], 320, 1
    for level, width in enumerate(channels):
        for _ in range(2):
            yield from _unet_resnet(f"input_blocks.{block}.0", n, width)
            n = width
            if widths.depths[level]:
                yield from _transformer(f"input_blocks.{block}.1", n, widths.depths[level], widths)
            skips.append(n)
            block += 1
        if level < len(channels) - 1:
            yield from _conv(f"input_blocks.{block}.0.op", n, n)
            skips.append(n)
            block += 1

    yield from _unet_resnet("middle_block.0", n, n)
    yield from _transformer("middle_block.1", n, max(widths.depths[-1], 1), widths)
    yield from _unet_resnet("middle_block.2", n, n)

    block = 0
    for level in reversed(range(len(channels))):
        for i in range(3):
            yield from _unet_resnet(f"output_blocks.{block}.0", n + skips.pop(), channels[level])
            n = channels[level]
            if widths.depths[level]:
                yield from _transformer(f"output_blocks.{block}.1", n, widths.depths[level], widths)
            if level and i == 2:
                yield from _conv(f"output_blocks.{block}.{2 if widths.depths[level] else 1}.conv", n, n)
            block += 1
    yield from _affine("out.0", n)
    yield from _conv("out.2", n, 4)


def _vae_resnet(name: str, n_in: int, n_out: int) -> Shapes:
    yield from _affine(f"{name}.norm1", n_in)
    yield from _conv(f"{name}.conv1", n_in, n_out)
    yield from _affine(f"{name}.norm2", n_out)
    yield from _conv(f"{name}.conv2", n_out, n_out)
    if n_in != n_out:
        yield from _conv(f"{name}.nin_shortcut", n_in, n_out, 1)


def _vae_middle(name: str, n: int) -> Shapes:
    yield from _vae_resnet(f"{name}.block_1", n, n)
    yield from _affine(f"{name}.attn_1.norm", n)
    for projection in ("q", "k", "v", "proj_out"):
        yield from _conv(f"{name}.attn_1.{projection}", n, n, 1)
    yield from _vae_resnet(f"{name}.block_2", n, n)


def vae_shapes() -> Shapes:
    """Stable Diffusion's autoencoder: four channels, an eighth of the size."""
    channels = [128, 256, 512, 512]
    yield from _conv("encoder.conv_in", 3, 128)
    n = 128
    for level, width in enumerate(channels):
        for i in range(2):
            yield from _vae_resnet(f"encoder.down.{level}.block.{i}", n, width)
            n = width
        if level < 3:
            yield from _conv(f"encoder.down.{level}.downsample.conv", n, n)
    yield from _vae_middle("encoder.mid", n)
    yield from _affine("encoder.norm_out", n)
    yield from _conv("encoder.conv_out", n, 8)
    yield from _conv("quant_conv", 8, 8, 1)

    yield from _conv("post_quant_conv", 4, 4, 1)
    yield from _conv("decoder.conv_in", 4, n)
    yield from _vae_middle("decoder.mid", n)
    for level in reversed(range(4)):
        for i in range(3):
            yield from _vae_resnet(f"decoder.up.{level}.block.{i}", n, channels[level])
            n = channels[level]
        if level:
            yield from _conv(f"decoder.up.{level}.upsample.conv", n, n)
    yield from _affine("decoder.norm_out", n)
    yield from _conv("decoder.conv_out", n, 3)


def clip_shapes() -> Shapes:
    """CLIP-L's text encoder."""
    yield "embeddings.token_embedding.weight", (49408, 768)
    yield "embeddings.position_embedding.weight", (77, 768)
    for layer in range(12):
        name = f"encoder.layers.{layer}"
        for projection in ("q", "k", "v", "out"):
            yield from _linear(f"{name}.self_attn.{projection}_proj", 768, 768)
        yield from _linear(f"{name}.mlp.fc1", 768, 3072)
        yield from _linear(f"{name}.mlp.fc2", 3072, 768)
        yield from _affine(f"{name}.layer_norm1", 768)
        yield from _affine(f"{name}.layer_norm2", 768)
    yield from _affine("final_layer_norm", 768)


def flux_shapes() -> Shapes:
    """Just what ComfyUI tells a (very small) Flux by."""
    yield "double_blocks.0.img_attn.norm.key_norm.weight", (128,)
    yield from _linear("img_in", 64, 128)
    yield from _linear("txt_in", 4096, 128)
    yield from _linear("vector_in.in_layer", 768, 128)
    yield from _linear("guidance_in.in_layer", 256, 128)


def sd3_shapes() -> Shapes:
    """Just what ComfyUI tells a (very small) SD3 by."""
    yield "joint_blocks.0.context_block.attn.qkv.weight", (192, 64)
    yield from _conv("x_embedder.proj", 16, 64, 2)
    yield from _linear("context_embedder", 4096, 64)
    yield from _linear("y_embedder.mlp.0", 2048, 64)
    yield from _linear("final_layer.linear", 64, 64)
    yield "pos_embed", (1, 192 * 192, 64)


def _random_tensor(name: str, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Weights that keep the scale of what passes through; gains near 1.

    The UNet's residual branches and its output are weaker: a network as steep as pure noise makes it can't be inverted
    over the few, far noise levels of a test.
    ComfyUI reads v-prediction off the spread (over 0.09) of a bias of SD 2.x's last attention block: these have it.
    """
    noise = torch.randn(shape, generator=generator)
    if name.startswith("model.diffusion_model.") and name.endswith(GENTLE):
        noise *= 0.3
    if name.endswith("norm1.bias"):
        return 0.2 * noise
    if len(shape) == 1:
        return 1 + 0.1 * noise if name.endswith("weight") else 0.02 * noise
    return noise / math.sqrt(math.prod(shape[1:]))


def write_random(path: Path, shapes: dict[str, Shapes], dtype: torch.dtype, seed: int = 0) -> Path:
    """Write the tensors of `shapes` (prefix to shapes) to `path`, all at once or not at all."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        prefix + name: _random_tensor(prefix + name, shape, generator).to(dtype)
        for prefix, named_shapes in shapes.items()
        for name, shape in named_shapes
    }
    return _write(path, tensors)


def _write(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    save_file(tensors, unfinished)
    unfinished.replace(path)
    return path


def sd_checkpoint(path: Path, widths: UNetWidths, dtype: torch.dtype = torch.float16) -> Path:
    """UNet, autoencoder and, for CLIP-L's context of 768, text encoder in one file, as published ones are."""
    shapes = {"model.diffusion_model.": unet_shapes(widths), "first_stage_model.": vae_shapes()}
    if widths.context == 768:
        shapes["cond_stage_model.transformer.text_model."] = clip_shapes()
    return write_random(path, shapes, dtype)


def lora(path: Path, rank: int = 4) -> Path:
    """A LoRA on the query projections of the decoder's self-attention 6..11 of `SMALL_SD15`, strong enough to see."""
    shapes: list[tuple[str, tuple[int, ...]]] = []
    for block in range(6, 12):
        name = f"lora_unet_output_blocks_{block}_1_transformer_blocks_0_attn1_to_q"
        shapes += [(f"{name}.lora_down.weight", (rank, 320)), (f"{name}.lora_up.weight", (320, rank))]
    return write_random(path, {"": iter(shapes)}, torch.float32, seed=1)


def sibling(path: Path, of: Path) -> Path:
    """The UNet of a checkpoint with another last decoder block, as fine-tunes of one base share most of their layers."""
    prefix = "model.diffusion_model."
    with safe_open(of, "pt") as file:
        tensors = {key.removeprefix(prefix): file.get_tensor(key) for key in file.keys() if key.startswith(prefix)}  # noqa: SIM118
    tensors |= {key: 1.5 * tensor for key, tensor in tensors.items() if key.startswith("output_blocks.11.1.")}
    return _write(path, tensors)


def cached_models(folder: Path) -> dict[str, Path]:
    """The small models of the tests, laid out as ComfyUI's `models` folder; written on first use."""
    writers = {
        "checkpoints/sd15-small.safetensors": lambda path: sd_checkpoint(path, SMALL_SD15),
        "checkpoints/sd21-small.safetensors": lambda path: sd_checkpoint(path, SMALL_SD21),
        "checkpoints/sdxl-small.safetensors": lambda path: sd_checkpoint(path, SMALL_SDXL),
        "diffusion_models/sd15-sibling.safetensors": lambda path: sibling(path, models["sd15-small"]),
        "diffusion_models/flux-small.safetensors": lambda path: write_random(path, {"": flux_shapes()}, torch.float16),
        "diffusion_models/sd3-small.safetensors": lambda path: write_random(path, {"": sd3_shapes()}, torch.float16),
        "loras/small.safetensors": lora,
    }
    models: dict[str, Path] = {}
    for name, write in writers.items():
        path = folder / f"v{GENERATION}" / name
        models[path.stem] = path if path.exists() else write(path)
    return models
