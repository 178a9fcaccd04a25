"""Train the autoencoder: PCA of 8x8 patches first, then the residual networks by mean squared error.

    python -m training.autoencoder --folder FOLDER --minutes 10

reads FOLDER/data, writes FOLDER/autoencoder.pt every minute and goes on from it when started again.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stylus_ops.audio.metrics import psnr
from stylus_ops.disk import write_atomically
from stylus_ops.tiny.autoencoder import TinyAutoencoder

from .windows import Places, Recordings, equalisers, mix, on_device, to_images

CONFIG = {"encoder_width": 96, "encoder_depth": 3, "decoder_width": 192, "decoder_depth": 5}
BATCH = 8
LEARNING_RATE = 1e-3


def random_images(recordings: Recordings, rng: np.random.Generator, count: int) -> Tensor:
    """Windows as images [count, 3, 256, 256], at times mixtures of two recordings, at times equalised."""

    def windows() -> Tensor:
        pieces = recordings.pieces(rng, 0.2, count)
        rendering = rng.integers(recordings.renderings, size=count)
        return recordings.windows(Places(pieces, rendering, recordings.starts(rng, count)[0]))

    def chosen(share: float) -> Tensor:
        return on_device(rng.random(count) < share, recordings.device)[:, None, None]

    gains = on_device(rng.uniform(0.4, 1.2, count), recordings.device)[:, None, None]
    values = mix(windows(), windows(), gains * chosen(0.4))
    return to_images(torch.where(chosen(0.6), values * equalisers(rng, count, recordings.device), values))


@torch.no_grad()
def initialise_linear(model: Any, images: Tensor) -> None:
    """Set the linear codec to the whitened principal components of the images' patches."""
    patches = model.to_patches(images.mean(1, keepdim=True)).movedim(1, -1).flatten(0, 2).double()
    mean = patches.mean(0)
    variance, directions = torch.linalg.eigh((patches - mean).T @ (patches - mean) / len(patches))
    scale, basis = variance[-4:].flip(0).sqrt(), directions[:, -4:].flip(1)
    model.encoder.linear.weight.copy_((basis / scale).T[..., None, None])
    model.encoder.linear.bias.copy_(-(mean @ basis) / scale)
    model.decoder.linear.weight.copy_((basis * scale)[..., None, None])
    model.decoder.linear.bias.copy_(mean)


@torch.no_grad()
def round_trip_psnr(model: TinyAutoencoder, images: Tensor) -> float:
    """Mean over images of the peak signal-to-noise ratio in dB of the round trip, for images of range 2."""
    return float(torch.cat([psnr(model(image[None]), image[None], span=2.0) for image in images]).mean())


def write(path: Path, weights: dict[str, Tensor], config: dict[str, Any]) -> None:
    write_atomically(path, lambda file: torch.save({"model": weights, "config": config}, file))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rng = np.random.default_rng()
    recordings = Recordings(args.folder / "data" / "train")
    held_out = random_images(Recordings(args.folder / "data" / "held_out"), np.random.default_rng(0), 24)
    path = args.folder / "autoencoder.pt"

    model: Any = TinyAutoencoder(**CONFIG)
    if path.exists():
        model.load_state_dict(torch.load(path)["model"])
    else:
        initialise_linear(model, random_images(recordings, rng, 128))
    print(f"start: held out {round_trip_psnr(model, held_out):.2f} dB", flush=True)
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, betas=(0.9, 0.99), weight_decay=0.0)
    begin = last = time.monotonic()
    total, losses, step = args.minutes * 60, [], 0
    while (elapsed := time.monotonic() - begin) < total:
        warm, rest = min(1.0, (step + 1) / 100), max(0.0, 1 - elapsed / total)
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * warm * (0.02 + 0.98 * rest)
        images = random_images(recordings, rng, BATCH).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            latents = model.encode(images)
            # A little noise keeps the decoder from leaning on digits that a diffusion model would not reproduce.
            rebuilt = model.decode(latents + 0.02 * torch.randn_like(latents))
        loss = (rebuilt.float()[:, 0] - images[:, 0]).square().mean()
        # Latents of unit scale: the encoder must not drift from the whitened components' variance.
        drift = (latents.float().var((0, 2, 3)).clamp(min=1e-6).log().square()).mean()
        (loss + 1e-4 * drift).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        step += 1
        if time.monotonic() - last > 60:
            last, mean = time.monotonic(), np.mean(losses)
            write(path, model.state_dict(), CONFIG)
            print(
                f"{elapsed:.0f} s, step {step}: train {10 * np.log10(4 / mean):.2f} dB, held out "
                f"{round_trip_psnr(model, held_out):.2f} dB",
                flush=True,
            )
            losses.clear()
    write(path, model.state_dict(), CONFIG)
    print(f"done: held out {round_trip_psnr(model, held_out):.2f} dB", flush=True)


if __name__ == "__main__":
    main()
