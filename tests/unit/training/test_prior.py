"""What training leaves is what the command line loads."""

from pathlib import Path

from safetensors import safe_open

from stylus_ops import tiny
from stylus_ops.engine.engine import Engine
from stylus_ops.engine.loading import tiny_unet
from training.network import WindowUNet
from training.prior import write_weights


def test_weights_in_the_bundled_format_are_a_model_of_the_engine(tmp_path: Path) -> None:
    prior, path = tiny.load(), tmp_path / "prior.safetensors"
    weights = tiny_unet(prior).state_dict()
    assert weights.keys() == WindowUNet(prior.unet_config).state_dict().keys()
    write_weights(path, tiny.WEIGHTS, weights | {"context": prior.context}, 7)
    loaded, bundled = (Engine.load(name, "cpu", "float32").model for name in (str(path), "tiny"))
    assert loaded.digest() == bundled.digest()
    assert loaded.preset == "tiny-256"
    with safe_open(path, "pt") as file:
        assert file.metadata()["steps"] == "7"
