"""Stylus Tiny: the small latent diffusion prior of spectrogram images that ships with the pack."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from .autoencoder import TinyAutoencoder

FORMAT = "stylus-tiny-1"
WEIGHTS = Path(__file__).with_name("prior.safetensors")
RECORDINGS = Path(__file__).with_name("recordings")
UNET = "model.diffusion_model."
AUTOENCODER = "first_stage_model."
CONTEXT = "context"


class TinyPrior(NamedTuple):
    autoencoder: TinyAutoencoder
    """Ready for inference, always in float32."""
    unet_config: dict[str, Any]
    """Of latent diffusion's UNet, as ComfyUI's `UNetModel` takes it."""
    unet_weights: dict[str, Tensor]
    """Under latent diffusion's names, with the prefix `model.diffusion_model.`."""
    context: Tensor
    """What stands for the empty prompt, [1, tokens, width]."""


def checksum_file(path: Path) -> Path:
    """The file beside the weights that holds their SHA-256, as `sha256sum` writes and checks it."""
    return path.with_name(path.name + ".sha256")


def write_checksum(path: Path) -> None:
    checksum_file(path).write_bytes(f"{sha256(path)}  {path.name}\n".encode())


def sha256(path: Path) -> str:
    """A file's digest, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def is_prior(path: Path) -> bool:
    """Whether a file says of itself that it is a prior of this kind, of any version; False for what can't be read."""
    try:
        with safe_open(path, "pt") as file:
            return (file.metadata() or {}).get("format", "").startswith("stylus-tiny")
    except (OSError, SafetensorError):
        return False


def load(device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32, path: Path = WEIGHTS) -> TinyPrior:
    """Read the prior. UNet weights and context come in `dtype`.

    Raises ValueError: the file or its checksum is missing, or it is cut off, altered or not a Stylus Tiny prior.
    """
    if not path.is_file():
        raise ValueError(f"Stylus Tiny's weights {path} are missing: install the pack again")
    checksum = checksum_file(path)
    if path == WEIGHTS and not checksum.is_file():
        raise ValueError(f"{checksum}, the checksum of Stylus Tiny's weights, is missing: install the pack again")
    if checksum.is_file() and sha256(path) not in checksum.read_text("ascii", "replace").split():
        raise ValueError(f"{path} is damaged or altered (not the SHA-256 of {checksum.name}): install the pack again")
    try:
        with safe_open(path, "pt", device=str(device)) as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise ValueError(
                    f"{path} is no Stylus Tiny prior of this version (its format is {metadata.get('format')!r}, not "
                    f"{FORMAT!r}): install the pack again, or load it as an ordinary checkpoint"
                )
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file, or is cut off ({error}): install the pack again") from error
    config = json.loads(metadata["config"])
    autoencoder = TinyAutoencoder(**config["autoencoder"])
    codec = {key.removeprefix(AUTOENCODER): t.float() for key, t in tensors.items() if key.startswith(AUTOENCODER)}
    unet = {key: t.to(dtype) for key, t in tensors.items() if key.startswith(UNET)}
    complete = codec.keys() == autoencoder.state_dict().keys() and CONTEXT in tensors
    if not complete or len(unet) != int(metadata["unet_weights"]):
        raise ValueError(f"{path} lacks some of the prior's weights: install the pack again")
    autoencoder.load_state_dict(codec)
    autoencoder.to(device).eval().requires_grad_(False)
    return TinyPrior(autoencoder, config["unet"], unet, tensors[CONTEXT].to(dtype))
