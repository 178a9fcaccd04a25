"""Train the UNet on latents of the frozen autoencoder.

    python -m training.prior --folder FOLDER --minutes 90

reads FOLDER/data and FOLDER/autoencoder.pt, writes FOLDER/prior.pt every five minutes and goes on from it when started again;
`--start WEIGHTS` begins with weights in the bundled format, whose autoencoder it unpacks.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from stylus_ops.dials import Steering
from stylus_ops.tiny import load
from stylus_ops.tiny.autoencoder import TinyAutoencoder

from .examples import KINDS
from .network import UNET_CONFIG, diffusers_unet, make_unet
from .objectives import (
    Batch,
    Points,
    Predict,
    Predictor,
    Task,
    denoising_loss,
    random_batch,
    random_gamma,
    random_nodes,
    random_task,
    transfer,
    transfer_loss,
)
from .windows import Recordings, on_device

LEARNING_RATE = 5e-4
EMA = 0.999
TRANSFERRED = {"equalised": 0.05, "processed": 0.1, "replayed": 0.4, "rolled": 0.25, "matched": 0.2}
"""Kinds of examples whose transfer is trained."""
CHECKED = ("replayed", "rolled")
KEPT = 24
"""Transfers whose points are kept to be trained on."""
ROUND = 16
"""Losses before the next transfer."""
REPORT, SAVE = 120.0, 300.0
"""Seconds between."""


class Passed:
    """Points that the last transfers went through. Neighbours on one way are alike, so they are drawn at random from many."""

    def __init__(self, transfers: int):
        self.transfers: deque[Points] = deque(maxlen=transfers)

    def add(self, points: Sequence[Points]) -> None:
        self.transfers.append(_joined(points))
        self.all = _joined(self.transfers)

    def draw(self, count: int, rng: np.random.Generator) -> Points:
        rows = on_device(rng.integers(len(self.all.sample), size=count), self.all.sample.device)
        return Points(*(values[rows] for values in self.all))


def _joined(points: Iterable[Points]) -> Points:
    return Points(*(torch.cat(values) for values in zip(*points, strict=True)))


def losses(
    predict: Predict,
    autoencoder: TinyAutoencoder,
    recordings: Recordings,
    pairs: int,
    width: int,
    share: float,
) -> Iterator[tuple[str, Tensor]]:
    """Endless losses by name, each to be used before the next is asked for: of denoising, and of points of transfers.

    Args:
        share: of the losses that are of transfers, 0 to below 1.
    """
    rng, passed = np.random.default_rng(), Passed(KEPT)

    def examples(kinds: dict[str, float]) -> Batch:
        return random_batch(autoencoder, recordings, rng, pairs, width, kinds)

    while True:
        if share > 0:
            for _ in range(1 if passed.transfers else KEPT // 2):
                gamma = random_gamma(pairs, recordings.device)
                passed.add(transfer(predict, examples(TRANSFERRED), random_nodes(), gamma)[0])
        for _ in range(ROUND):
            if rng.random() < share:
                yield "transfer", transfer_loss(predict, passed.draw(pairs, rng)).mean()
            else:
                yield (
                    "denoising",
                    denoising_loss(predict, examples(KINDS), random_task(pairs, recordings.device)).mean(),
                )


@torch.no_grad()
def report(predict: Predict, batches: dict[str, Batch]) -> str:
    """On held-out examples: the denoising loss by where the injected attention reads (itself, its style, a stranger), and how
    far a transfer of 10 steps ends from its target (root mean square in latents, of the content's)."""
    lines = []
    for kind, batch in batches.items():
        pairs, device = len(batch.content), batch.content.device
        rows = torch.arange(pairs, device=device)
        readers = {"own": rows + pairs, "style": rows, "stranger": rows.roll(1)}
        for timestep in (500, 800):
            by_reader = {}
            for reader, source in readers.items():
                torch.manual_seed(0)
                task = Task(
                    rows.new_full((pairs,), timestep), torch.ones(pairs, device=device), torch.cat([rows, source])
                )
                by_reader[reader] = float(denoising_loss(predict, batch, task)[pairs:].mean())
            lines.append(f"  {kind} t={timestep} " + " ".join(f"{r} {x:.3f}" for r, x in by_reader.items()))
        gamma = torch.full((pairs,), Steering.gamma, device=device)
        _, result = transfer(predict, batch, 1 + 100 * torch.arange(10), gamma)
        before, after = ((x - batch.target).square().mean().sqrt() for x in (batch.content, result))
        lines.append(f"  {kind} transfer: {after:.3f} off, of {before:.3f}")
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
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--width", type=int, default=256, help="frames of a training window; fewer make faster steps")
    parser.add_argument("--start", type=Path, help="weights in the bundled format to begin with")
    parser.add_argument("--rate", type=float, default=LEARNING_RATE)
    parser.add_argument(
        "--transfers", type=float, default=0.6, help="share of steps on the ways of transfers, 0 to 0.9"
    )
    parser.add_argument("--bfloat16", action="store_true", help="for devices with matrix units for it; slow on others")
    parser.add_argument("--compile", action="store_true", help="minutes of compiling first, faster steps after")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_float32_matmul_precision("high")
    if args.start is not None and not (args.folder / "prior.pt").exists():
        unpack_autoencoder(args.start, args.folder)
    saved = torch.load(args.folder / "autoencoder.pt")
    autoencoder = TinyAutoencoder(**saved["config"])
    autoencoder.load_state_dict(saved["model"])
    autoencoder.to(args.device)
    recordings, held_out = (Recordings(args.folder / "data" / part, args.device) for part in ("train", "held_out"))
    checks = {
        kind: random_batch(autoencoder, held_out, np.random.default_rng(1), args.pairs, args.width, {kind: 1.0})
        for kind in CHECKED
    }

    unet = make_unet().to(args.device, memory_format=torch.channels_last)
    context = torch.nn.Parameter(torch.randn(1, 1, UNET_CONFIG["context_dim"], device=args.device))
    parameters = [*unet.parameters(), context]
    optimizer = torch.optim.AdamW(parameters, args.rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    step, seconds, path = 0, 0.0, args.folder / "prior.pt"
    if path.exists():
        state = torch.load(path, map_location=args.device)
        unet.load_state_dict(state["unet"])
        context.data = state["context"]
        optimizer.load_state_dict(state["optimizer"])
        averages, step, seconds = state["averages"], state["step"], state["seconds"]
    else:
        if args.start is not None:
            bundled = load(path=args.start)
            unet.load_state_dict(diffusers_unet(bundled).state_dict())
            context.data = bundled.context.to(args.device)
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

    begin = last_report = last_save = time.monotonic()
    recent: dict[str, list[Tensor]] = {"denoising": [], "transfer": []}
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
        recent[name].append(loss.detach())
        step += 1
        decay = min(EMA, (1 + step) / (10 + step))
        torch._foreach_lerp_(averages, [p.detach() for p in parameters], 1 - decay)
        if time.monotonic() - last_report > REPORT:
            means = ", ".join(f"{kind} {torch.stack(rows).mean():.4f}" for kind, rows in recent.items() if rows)
            print(f"{elapsed:.0f} s, step {step}: {means}\n{report(predict, checks)}", flush=True)
            recent = {kind: [] for kind in recent}
            last_report = time.monotonic()
        if time.monotonic() - last_save > SAVE:
            last_save = time.monotonic()
            save()
    save()
    print(f"done at step {step}\n{report(predict, checks)}", flush=True)


if __name__ == "__main__":
    main()
