"""Write the bundled weights: the averaged UNet under latent diffusion's names, the autoencoder and the context, in fp16.

Their checksum is written beside them, as `sha256sum prior.safetensors > prior.safetensors.sha256` would; loading checks it.

python -m training.export --folder FOLDER [--out stylus_ops/tiny/prior.safetensors]
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import torch
from safetensors.torch import save_file

from stylus_ops.engine.ldm_keys import ldm_key
from stylus_ops.tiny import AUTOENCODER, CONTEXT, FORMAT, UNET, WEIGHTS, write_checksum

from .network import UNET_CONFIG, make_unet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    args = parser.parse_args()
    codec = torch.load(args.folder / "autoencoder.pt")
    prior = torch.load(args.folder / "prior.pt", map_location="cpu")
    names = [name for name, _ in make_unet().named_parameters()]
    *averages, context = prior["averages"]
    tensors = {UNET + ldm_key(name): average for name, average in zip(names, averages, strict=True)}
    tensors |= {AUTOENCODER + name: weight for name, weight in codec["model"].items()}
    tensors[CONTEXT] = context
    tensors = {name: tensor.half().contiguous() for name, tensor in tensors.items()}
    metadata = {
        "format": FORMAT,
        "licence": "MIT",
        "unet_weights": str(len(names)),
        "steps": str(prior["step"]),
        "config": json.dumps({"autoencoder": codec["config"], "unet": UNET_CONFIG}),
    }
    part = args.out.with_suffix(".part")
    save_file(tensors, part, metadata)
    os.replace(part, args.out)
    write_checksum(args.out)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB, step {prior['step']}")


if __name__ == "__main__":
    main()
