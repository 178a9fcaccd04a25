"""Train the UNet on latents of the frozen autoencoder.

    python -m training.prior --folder FOLDER --minutes 90

reads FOLDER/data and FOLDER/autoencoder.pt, writes FOLDER/prior.pt every five minutes and goes on from it when started again;
`--start WEIGHTS` begins with weights in the bundled format, whose autoencoder it unpacks. On one thread, with --width 128, a step
of 8 pairs takes 3.5 s in float32 with AVX2; with --bfloat16 and --compile 0.8 s on a CPU with AMX.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from stylus_ops.engine.tiny_unet import diffusers_unet
from stylus_ops.tiny import load
from stylus_ops.tiny.autoencoder import TinyAutoencoder

from .examples import KINDS
from .network import UNET_CONFIG, make_unet
from .objectives import (
    Batch,
    Predict,
    Predictor,
    Task,
    denoising_loss,
    random_batch,
    random_nodes,
    random_task,
    transfer_steps,
)
from .windows import Recordings

LEARNING_RATE = 5e-4
EMA = 0.998
TRANSFERRED = {"equalised": 0.1, "replayed": 0.35, "rolled": 0.35, "matched": 0.2}
"""Kinds of examples whose transfer is trained."""
CHECKED = ("replayed", "rolled")


def losses(
    predict: Predict,
    autoencoder: TinyAutoencoder,
    recordings: Recordings,
    pairs: int,
    width: int,
    transfers: float,
) -> Iterator[tuple[str, Tensor]]:
    """Endless losses by name, each to be used before the next is asked for: denoising, and the steps of transfers.

    Args:
        transfers: share of the losses that belong to transfers, 0 to below 1.
    """
    rng = np.random.default_rng()
    while True:
        nodes = random_nodes()
        if transfers > 0:
            batch = random_batch(autoencoder, recordings, rng, pairs, width, TRANSFERRED)
            for step in transfer_steps(predict, batch, nodes):
                yield "transfer", step.loss.mean()
        for _ in range(max(1, round(len(nodes) * (1 - transfers) / transfers)) if transfers > 0 else 1):
            batch = random_batch(autoencoder, recordings, rng, pairs, width, KINDS)
            yield "denoising", denoising_loss(predict, batch, random_task(pairs)).mean()


@torch.no_grad()
def report(predict: Predict, batches: dict[str, Batch]) -> str:
    """On held-out examples: the denoising loss by where the injected attention reads (itself, its style, a stranger), and how
    much of the distance to the target a transfer of 10 steps closes."""
    lines = []
    for kind, batch in batches.items():
        pairs = len(batch.content)
        rows = torch.arange(pairs)
        readers = {"own": rows + pairs, "style": rows, "stranger": rows.roll(1)}
        for timestep in (500, 800):
            by_reader = {}
            for reader, source in readers.items():
                torch.manual_seed(0)
                task = Task(torch.full((pairs,), timestep), torch.ones(pairs), torch.cat([rows, source]))
                by_reader[reader] = float(denoising_loss(predict, batch, task)[pairs:].mean())
            lines.append(f"  {kind} t={timestep} " + " ".join(f"{r} {x:.3f}" for r, x in by_reader.items()))
        *_, last = transfer_steps(predict, batch, 1 + 100 * torch.arange(10))
        left = (last.sample - batch.target).square().mean((1, 2, 3)).sqrt()
        closed = 1 - left / (batch.content - batch.target).square().mean((1, 2, 3)).sqrt()
        lines.append(f"  {kind} transfer: {left.mean():.3f} off, {closed.mean():.3f} closed")
    torch.seed()
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
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--width", type=int, default=256, help="frames of a training window; fewer make faster steps")
    parser.add_argument("--start", type=Path, help="weights in the bundled format to begin with")
    parser.add_argument("--rate", type=float, default=LEARNING_RATE)
    parser.add_argument("--transfers", type=float, default=0.6, help="share of steps on transfers' own ways, 0 to 0.9")
    parser.add_argument("--bfloat16", action="store_true", help="for CPUs with matrix units for it; slow on others")
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
        kind: random_batch(autoencoder, held_out, np.random.default_rng(1), args.pairs, args.width, {kind: 1.0})
        for kind in CHECKED
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
    recent: dict[str, list[float]] = {"denoising": [], "transfer": []}
    predict = Predictor(compiled, context, args.bfloat16)
    if step == 0:
        print(report(predict, checks), flush=True)
    for name, loss in losses(predict, autoencoder, recordings, args.pairs, args.width, args.transfers):
        elapsed = time.monotonic() - begin
        if elapsed >= args.minutes * 60:
            break
        rate = args.rate * min(1, (step + 1) / 100) * min(1, 0.05 + 2.2 * (1 - elapsed / (args.minutes * 60)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        recent[name].append(loss.item())
        step += 1
        decay = min(EMA, (1 + step) / (10 + step))
        torch._foreach_lerp_(averages, [p.detach() for p in parameters], 1 - decay)
        if step % 50 == 0:
            means = ", ".join(f"{kind} {np.mean(values):.4f}" for kind, values in recent.items() if values)
            print(f"{elapsed:.0f} s, step {step}: {means}", flush=True)
            recent = {kind: [] for kind in recent}
        if step % 250 == 0:
            print(report(predict, checks), flush=True)
        if time.monotonic() - last_save > 300:
            last_save = time.monotonic()
            save()
    save()
    print(f"done at step {step}\n{report(predict, checks)}", flush=True)


if __name__ == "__main__":
    main()
