"""Train the UNet on latents of the frozen autoencoder.

    python -m training.prior --folder FOLDER --minutes 90

reads FOLDER/data and FOLDER/autoencoder.pt, writes FOLDER/prior.pt every five minutes and goes on from it when started again;
`--start WEIGHTS` begins with weights in the bundled format, whose autoencoder it unpacks. bfloat16 with float32 master weights:
on one thread of a CPU with AMX, --compile and --width 128, 0.8 s a step.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from safetensors import safe_open
from torch import Tensor

from stylus_ops.engine.tiny_unet import diffusers_config, diffusers_unet
from stylus_ops.tiny import load
from stylus_ops.tiny.autoencoder import TinyAutoencoder

from .examples import random_example
from .windows import Recordings, to_images

UNET_CONFIG: dict[str, Any] = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 64,
    "channel_mult": [1, 2, 2, 1],
    "num_res_blocks": [2, 2, 2, 2],
    "num_heads": -1,
    "num_head_channels": 32,
    "use_spatial_transformer": True,
    "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
    "transformer_depth_middle": 1,
    "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
    "context_dim": 64,
    "legacy": False,
}
PAIRS = 8
LEARNING_RATE = 5e-4
EMA = 0.998
OWN = 0.2  # share of windows that attend to themselves
TIMESTEPS = 1000
INJECTED = ("up_blocks.2.", "up_blocks.3.")  # decoder blocks 6 to 11


class WindowAttention:
    """Self-attention whose keys and values come from the rows `sources`; attention to the one-token context.

    Written out in matrix products, which bfloat16 hardware runs faster than the fused CPU kernel's backward pass.
    """

    def __init__(self, injected: bool):
        self.injected = injected

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: None = None,
        temb: None = None,
        sources: Tensor | None = None,
    ) -> Tensor:
        if encoder_hidden_states is not None:  # a softmax over one token is 1
            return attn.to_out[0](attn.to_v(encoder_hidden_states)).expand_as(hidden_states)
        kept = hidden_states.index_select(0, sources) if self.injected and sources is not None else hidden_states
        q, k, v = (
            layer(x).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for layer, x in ((attn.to_q, hidden_states), (attn.to_k, kept), (attn.to_v, kept))
        )
        weights = ((q * attn.scale) @ k.transpose(-1, -2)).softmax(-1, dtype=q.dtype)
        return attn.to_out[0]((weights @ v).transpose(1, 2).flatten(2))


def make_unet() -> Any:
    unet: Any = UNet2DConditionModel(**diffusers_config(UNET_CONFIG))
    unet.set_attn_processor({name: WindowAttention(name.startswith(INJECTED)) for name in unet.attn_processors})
    return unet


def noise_levels() -> Tensor:
    """Sigma of each of the 1000 timesteps of Stable Diffusion's schedule."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, TIMESTEPS, dtype=torch.float64) ** 2
    kept = torch.cumprod(1 - betas, 0)
    return ((1 - kept) / kept).sqrt().float()


class Batch:
    """Latents of `PAIRS` examples, and what the network is asked to make of them.

    Rows 0..PAIRS-1 are the style windows, which attend to themselves; the others are the windows to be restyled.
    """

    def __init__(
        self,
        autoencoder: TinyAutoencoder,
        recordings: Recordings,
        rng: np.random.Generator,
        width: int,
        kind: str | None = None,
    ):
        examples = [random_example(recordings, rng, kind) for _ in range(PAIRS)]
        images = to_images(np.concatenate([np.stack(group) for group in zip(*examples, strict=True)]))
        start = int(rng.integers(images.shape[-1] - width + 1))
        images = images[..., start : start + width].contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            latents = autoencoder.encode(images).float()
        self.content, self.target, self.style = latents.chunk(3)


def loss_weight(sigma: Tensor) -> Tensor:
    """Weight of the squared error of eps: that of v-prediction, fading below sigma 0.5 where nothing is left to learn."""
    return (1 + sigma**2) * sigma**2 / (sigma**2 + 0.25)


def denoising_loss(
    unet: Callable[..., Any], context: Tensor, batch: Batch, timesteps: Tensor, share: Tensor, sources: Tensor
) -> Tensor:
    """Weighted squared error of eps per row, [2 * PAIRS].

    Args:
        timesteps: [PAIRS], shared by a window and its style.
        share: [PAIRS] how much of the content's own timbre enters, 0 to 1.
        sources: [2 * PAIRS] the row that each row's injected attention reads.
    """
    sigma = noise_levels()[timesteps].repeat(2)[:, None, None, None]
    clean = torch.cat([batch.style, torch.lerp(batch.target, batch.content, share[:, None, None, None])])
    wanted = torch.cat([batch.style, batch.target])
    noisy = clean + sigma * torch.randn_like(clean)
    inputs = (noisy / (1 + sigma**2).sqrt()).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        eps = unet(
            inputs,
            timesteps.repeat(2),
            context.expand(2 * PAIRS, -1, -1),
            cross_attention_kwargs={"sources": sources},
            return_dict=False,
        )[0]
    error = (eps.float() - (noisy - wanted) / sigma).square().mean((1, 2, 3))
    return loss_weight(sigma.flatten()) * error


def random_task(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Timesteps, shares of the content's timbre and attention sources of a training step.

    The share is 1 half of the time and anything below otherwise, at every noise level: in a transfer the sample still has the
    content's timbre at low noise, as far as the steps before have left it.
    """
    timesteps = torch.randint(1, TIMESTEPS, (PAIRS,), generator=generator)
    share = torch.rand(PAIRS, generator=generator).mul(2).clamp(max=1)
    own = torch.rand(PAIRS, generator=generator) < OWN
    rows = torch.arange(PAIRS)
    return timesteps, torch.where(own, 0.0, share), torch.cat([rows, torch.where(own, rows + PAIRS, rows)])


@torch.no_grad()
def report(unet: torch.nn.Module, context: Tensor, batches: dict[str, Batch]) -> str:
    """Losses on held-out examples, by where the injected attention reads: itself, its style, a stranger."""
    rows = torch.arange(PAIRS)
    readers = {"own": rows + PAIRS, "style": rows, "stranger": rows.roll(1)}
    lines = []
    for kind, batch in batches.items():
        for timestep in (300, 500, 700, 900):
            losses = {}
            for reader, source in readers.items():
                torch.manual_seed(0)
                loss = denoising_loss(
                    unet, context, batch, torch.full((PAIRS,), timestep), torch.ones(PAIRS), torch.cat([rows, source])
                )
                losses[reader] = float(loss[PAIRS:].mean())
            lines.append(f"  {kind} t={timestep} " + " ".join(f"{r} {x:.3f}" for r, x in losses.items()))
    return "\n".join(lines)


def unpack_autoencoder(weights: Path, folder: Path) -> None:
    """Write FOLDER/autoencoder.pt, as `training.autoencoder` leaves it, from a file in the bundled format."""
    with safe_open(weights, "pt") as file:
        config = json.loads(file.metadata()["config"])["autoencoder"]
    torch.save({"config": config, "model": load(path=weights).autoencoder.state_dict()}, folder / "autoencoder.pt")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--width", type=int, default=256, help="frames of a training window; fewer make faster steps")
    parser.add_argument("--start", type=Path, help="weights in the bundled format to begin with")
    parser.add_argument("--rate", type=float, default=LEARNING_RATE)
    parser.add_argument("--compile", action="store_true", help="minutes of compiling first, faster steps after")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.start is not None and not (args.folder / "prior.pt").exists():
        unpack_autoencoder(args.start, args.folder)
    saved = torch.load(args.folder / "autoencoder.pt")
    autoencoder = TinyAutoencoder(**saved["config"])
    autoencoder.load_state_dict(saved["model"])
    recordings = Recordings(args.folder / "data" / "train")
    held_out = Recordings(args.folder / "data" / "held_out")
    checks = {
        kind: Batch(autoencoder, held_out, np.random.default_rng(1), args.width, kind)
        for kind in ("same", "replayed", "rolled")
    }

    unet = make_unet().to(memory_format=torch.channels_last)
    context = torch.nn.Parameter(torch.randn(1, 1, UNET_CONFIG["context_dim"]))
    parameters = [*unet.parameters(), context]
    optimizer = torch.optim.AdamW(parameters, args.rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    step, seconds, path = 0, 0.0, args.folder / "prior.pt"
    if path.exists():
        state = torch.load(path)
        unet.load_state_dict(state["unet"])
        context.data = state["context"]
        optimizer.load_state_dict(state["optimizer"])
        averages, step, seconds = state["averages"], state["step"], state["seconds"]
    else:
        if args.start is not None:
            bundled = load(path=args.start)
            unet.load_state_dict(diffusers_unet(bundled).state_dict())
            context.data = bundled.context
        averages = [p.detach().clone() for p in parameters]
    print(f"{sum(p.numel() for p in parameters) / 1e6:.2f} M parameters, from step {step}", flush=True)
    compiled = torch.compile(unet, dynamic=False) if args.compile else unet
    rng, generator = np.random.default_rng(), torch.Generator().manual_seed(int(time.time()))
    torch.seed()

    def save() -> None:
        state = {
            "unet": unet.state_dict(),
            "context": context.data,
            "optimizer": optimizer.state_dict(),
            "averages": averages,
            "step": step,
            "seconds": seconds + time.monotonic() - begin,
        }
        torch.save(state, path.with_suffix(".part"))
        os.replace(path.with_suffix(".part"), path)

    begin = last_save = time.monotonic()
    losses: list[float] = []
    while (elapsed := time.monotonic() - begin) < args.minutes * 60:
        rate = args.rate * min(1, (step + 1) / 100) * min(1, 0.05 + 2.2 * (1 - elapsed / (args.minutes * 60)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = denoising_loss(
            compiled, context, Batch(autoencoder, recordings, rng, args.width), *random_task(generator)
        ).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        step += 1
        decay = min(EMA, (1 + step) / (10 + step))
        torch._foreach_lerp_(averages, [p.detach() for p in parameters], 1 - decay)
        if step % 50 == 0:
            print(f"{elapsed:.0f} s, step {step}: loss {np.mean(losses):.4f}", flush=True)
            losses.clear()
        if step % 500 == 0:
            print(report(unet, context, checks), flush=True)
        if time.monotonic() - last_save > 300:
            last_save = time.monotonic()
            save()
    save()
    print(f"done at step {step}\n{report(unet, context, checks)}", flush=True)


if __name__ == "__main__":
    main()
