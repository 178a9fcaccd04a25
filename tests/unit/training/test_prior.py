"""What training leaves is what the command line loads."""

import json
from pathlib import Path

import torch
from safetensors import safe_open

from stylus_ops import tiny
from stylus_ops.engine.engine import Engine
from stylus_ops.engine.loading import tiny_unet
from training.network import WindowUNet
from training.prior import unpack_autoencoder, write_weights


def test_weights_in_the_bundled_format_are_a_model_of_the_engine(tmp_path: Path) -> None:
    unpack_autoencoder(tiny.WEIGHTS, tmp_path)
    bundled_unet = tiny_unet(tiny.load()).state_dict()
    assert bundled_unet.keys() == WindowUNet().state_dict().keys()
    path = tmp_path / "prior.safetensors"
    write_weights(path, torch.load(tmp_path / "autoencoder.pt"), bundled_unet | {"context": tiny.load().context}, 7)
    loaded, bundled = (Engine.load(name, "cpu", "float32").model for name in (str(path), "tiny"))
    assert loaded.digest() == bundled.digest()
    assert loaded.preset == "tiny-256"
    with safe_open(path, "pt") as file:
        assert file.metadata()["steps"] == "7"
        assert json.loads(file.metadata()["config"])["unet"]["model_channels"] == 64
