"""Train the UNet on latents of the frozen autoencoder.

    python -m training.prior --folder FOLDER --minutes 90

reads FOLDER/data and begins with the bundled weights, or those of `--start`, which it copies to FOLDER/start.safetensors and whose
autoencoder stays. Every five minutes it writes FOLDER/prior.pt, from which it goes on when started again, and
FOLDER/prior.safetensors, the averaged weights in the bundled format, with their checksum.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from stylus_ops.dials import Steering
from stylus_ops.disk import write_atomically
from stylus_ops.engine.ldm_keys import ldm_key
from stylus_ops.engine.loading import tiny_unet
from stylus_ops.tiny import AUTOENCODER, CONTEXT, UNET, WEIGHTS, load, write_checksum
from stylus_ops.tiny.autoencoder import TinyAutoencoder

from .examples import KINDS, Examples, Kinds
from .network import WindowUNet
from .objectives import (
    Points,
    Predict,
    denoising_loss,
    envelope_distance,
    predictor,
    random_batch,
    random_nodes,
    transfer,
    transfer_loss,
)
from .windows import Recordings

WARMING = 50  # steps
EMA = 0.999
TRANSFERRED = {"equalised": 0.05, "processed": 0.1, "replayed": 0.55, "rolled": 0.15, "matched": 0.15}
"""Kinds of examples whose transfer is trained."""
USUAL_GAMMA = 0.7  # share of transfers with the default gamma; others have any
KEPT = 64
"""Points of transfers that are kept to be trained on. Neighbours on one trajectory are alike, so they are drawn at random."""
ROUND = 12  # losses before the next transfer
REPORT, SAVE = 600.0, 300.0  # seconds between, of processor time and of the clock


def losses(
    predict: Predict, autoencoder: TinyAutoencoder, recordings: Recordings, pairs: int, width: int, share: float
) -> Iterator[tuple[str, Tensor]]:
    """Endless losses by name, each to be used before the next is asked for: of denoising, and a share of points of transfers."""
    rng, kept = np.random.default_rng(), deque[Points](maxlen=KEPT)

    def examples(kinds: Kinds) -> Examples:
        return random_batch(autoencoder, recordings, rng, pairs, width, kinds)

    while True:
        while share > 0:
            gamma, drawn = torch.rand(2, pairs, device=recordings.device)
            gamma = torch.where(drawn < USUAL_GAMMA, Steering.gamma, gamma)
            kept.extend(transfer(predict, examples(TRANSFERRED), random_nodes(), gamma)[0])
            if len(kept) > KEPT // 2:
                break
        for _ in range(ROUND):
            if rng.random() < share:
                yield "transfer", transfer_loss(predict, autoencoder, kept[rng.integers(len(kept))]).mean()
            else:
                yield "denoising", denoising_loss(predict, examples(KINDS)).mean()


@torch.no_grad()
def report(predict: Predict, autoencoder: TinyAutoencoder, batches: dict[str, Examples]) -> str:
    """How far held-out transfers of 10 steps end from their targets, and how far the contents are: root mean square in
    latents, and mean distance of the envelopes in dB."""
    lines = []
    for kind, batch in batches.items():
        gamma = torch.full((len(batch.content),), Steering.gamma, device=batch.content.device)
        _, result = transfer(predict, batch, 1 + 100 * torch.arange(10), gamma)
        distances = [
            f"{(x - batch.target).square().mean().sqrt():.3f}, {envelope_distance(autoencoder, x, batch.target).mean():.2f} dB"
            for x in (result, batch.content)
        ]
        lines.append(f"  {kind}: {distances[0]} off, of {distances[1]}")
    return "\n".join(lines)


def write_weights(path: Path, start: Path, weights: Mapping[str, Tensor], step: int) -> None:
    """Write the bundled format and its checksum: the UNet under latent diffusion's names and the context, in fp16.
    `weights` are these two's; weights in that format, `start`, give all else."""
    with safe_open(start, "pt") as file:
        metadata = {**file.metadata(), "steps": str(step)}
        tensors = {name: file.get_tensor(name) for name in file.keys() if name.startswith(AUTOENCODER)}  # noqa: SIM118
    tensors |= {name if name == CONTEXT else UNET + ldm_key(name): weight for name, weight in weights.items()}
    halves = {name: tensor.half().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, lambda file: save_file(halves, file, metadata))
    write_checksum(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True, help="of processor time, all runs together")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--width", type=int, default=256, help="frames of a training window; fewer make faster steps")
    parser.add_argument("--start", type=Path, default=WEIGHTS, help="weights in the bundled format to begin with")
    parser.add_argument("--rate", type=float, default=5e-4)
    parser.add_argument("--transfers", type=float, default=0.6, help="share of steps on transfers, 0 to 0.9")
    parser.add_argument("--trained", nargs="+", default=[""], metavar="PREFIX", help="parts of the UNet (default: all)")
    parser.add_argument("--bfloat16", action="store_true", help="for devices with matrix units for it; slow on others")
    parser.add_argument("--compile", action="store_true", help="minutes of compiling first, faster steps after")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_float32_matmul_precision("high")
    path, first = args.folder / "prior.pt", args.folder / "start.safetensors"
    if not path.exists():
        write_atomically(first, lambda file: shutil.copyfile(args.start, file))
    start = load(args.device, path=first)
    autoencoder = start.autoencoder
    recordings, held_out = (Recordings(args.folder / "data" / part, args.device) for part in ("train", "held_out"))
    checks = {
        kind: random_batch(autoencoder, held_out, np.random.default_rng(1), args.pairs, args.width, {kind: 1.0})
        for kind in ("replayed", "rolled")
    }

    unet: Any = WindowUNet(start.unet_config)
    unet.load_state_dict(tiny_unet(start).state_dict())
    unet = unet.to(args.device, memory_format=torch.channels_last)
    context = torch.nn.Parameter(start.context)
    parameters = {**dict(unet.named_parameters()), CONTEXT: context}
    for name, parameter in parameters.items():
        parameter.requires_grad_(name.startswith(tuple(args.trained)))
    trained = [p for p in parameters.values() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, args.rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    averages = {name: p.detach().clone() for name, p in parameters.items()}
    step, elapsed = 0, 0.0  # seconds of processor time
    if path.exists():
        state = torch.load(path, map_location=args.device)
        unet.load_state_dict(state["unet"])
        context.data = state["context"]
        optimizer.load_state_dict(state["optimizer"])
        averages, step, elapsed = state["averages"], state["step"], state["seconds"]
    print(f"{sum(p.numel() for p in trained) / 1e6:.2f} M parameters, from step {step}", flush=True)
    compiled = torch.compile(unet, dynamic=False) if args.compile else unet

    def save() -> None:
        state = {"unet": unet.state_dict(), "context": context.data, "optimizer": optimizer.state_dict()}
        state |= {"averages": averages, "step": step, "seconds": elapsed}
        write_atomically(path, lambda file: torch.save(state, file))
        write_weights(path.with_suffix(".safetensors"), first, averages, step)

    begin = time.process_time() - elapsed  # a machine that others use, too, must not end the schedule early
    last_report, last_save = elapsed, time.monotonic()
    recent: dict[str, list[Tensor]] = {"denoising": [], "transfer": []}
    predict = predictor(compiled, context, args.bfloat16)
    print(report(predict, autoencoder, checks), flush=True)
    for name, loss in losses(predict, autoencoder, recordings, args.pairs, args.width, args.transfers):
        elapsed = time.process_time() - begin
        if elapsed >= args.minutes * 60:
            break
        rate = args.rate * min(1, (step + 1) / WARMING) * min(1, 0.05 + 2.2 * (1 - elapsed / (args.minutes * 60)))
        optimizer.param_groups[0]["lr"] = rate
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        recent[name].append(loss.detach())
        step += 1
        decay = min(EMA, (1 + step) / (10 + step))
        torch._foreach_lerp_([*averages.values()], [p.detach() for p in parameters.values()], 1 - decay)
        if time.monotonic() - last_save > SAVE:
            last_save = time.monotonic()
            save()
            means = ", ".join(f"{kind} {torch.stack(rows).mean():.4f}" for kind, rows in recent.items() if rows)
            print(f"{elapsed:.0f} s, step {step}: {means}", flush=True)
            recent = {kind: [] for kind in recent}
        if elapsed - last_report > REPORT:
            last_report = elapsed
            print(report(predict, autoencoder, checks), flush=True)
    save()
    print(f"done at step {step}\n{report(predict, autoencoder, checks)}", flush=True)


if __name__ == "__main__":
    main()
