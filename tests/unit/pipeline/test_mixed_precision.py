"""On a CPU that multiplies bfloat16, long recordings use it; short ones stay in float32, the same on every machine."""

from pathlib import Path

import pytest
import torch

from stylus_ops.diffusion.features import Style
from stylus_ops.engine.engine import Engine
from stylus_ops.pipeline import transfer
from stylus_ops.pipeline.settings import Settings
from stylus_ops.pipeline.transfer import Transfer
from stylus_ops.tiny import RECORDINGS
from tests.unit.signals import snr


def latents(engine: Engine, folder: Path) -> tuple[str, torch.Tensor]:
    run = Transfer(engine, Settings(steps=3), folder, quiet=True)
    content, style = run.invert(run.read(RECORDINGS / "melody.flac", [RECORDINGS / "style_a.flac"]))
    return run.chosen["dtype"], run.restyle(content, Style((style,), (1.0,)))


def test_many_windows_are_multiplied_in_bfloat16_and_few_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine.load("tiny", "cpu", "float32")
    _, plain = latents(engine, tmp_path)
    engine.mixed = True
    name, few = latents(engine, tmp_path)
    assert name == "float32"
    assert torch.equal(few, plain)
    monkeypatch.setattr(transfer, "MANY_WINDOWS", 2)
    name, many = latents(engine, tmp_path)
    assert name == "bfloat16"
    assert 30 < snr(plain, many) < 80
