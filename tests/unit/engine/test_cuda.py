"""A transfer on a CUDA device, where there is one, against the same on the processor."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from stylus_ops.audio.windows import Recording
from stylus_ops.dials import Images
from stylus_ops.diffusion.features import Style
from stylus_ops.engine.engine import Engine
from stylus_ops.pipeline.settings import Settings
from stylus_ops.pipeline.transfer import Clip, Transfer
from tests.unit.signals import snr

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

RATE = 44100
Run = Callable[..., tuple[Tensor, Tensor]]


def clip(hertz: float, brightness: float, transfer: Transfer) -> Clip:
    """Eight seconds, two windows."""
    time = torch.arange(8 * RATE) / RATE
    beats = torch.exp(-3 * (time % 0.5))
    sound = sum(beats * torch.sin(2 * torch.pi * hertz * n * time) * brightness**n for n in range(1, 12))
    wave = 0.1 * torch.as_tensor(sound)[None]
    return Clip("tone", Recording.cut(wave, RATE, transfer.params, Images.overlap, "pad"))


@pytest.fixture(scope="module")
def restyled() -> Run:
    """Latents and sound of one transfer on the bundled prior."""

    def run(device: str, dtype: str = "float32", **dials: object) -> tuple[Tensor, Tensor]:
        transfer = Transfer(Engine.load("tiny", device, dtype), Settings(steps=4, **dials), quiet=True)  # type: ignore[arg-type]
        content, style = clip(220, 0.5, transfer), clip(330, 0.9, transfer)
        inversion, capture = transfer.invert([content, style])
        latents = transfer.restyle(inversion, Style((capture,), (1.0,)))
        return latents.float().cpu(), transfer.decode(latents, content, [style])[:, :]

    return run


@pytest.fixture(scope="module")
def on_processor(restyled: Run) -> tuple[Tensor, Tensor]:
    return restyled("cpu")


@pytest.mark.parametrize(("dtype", "least"), [("float32", 60.0), ("float16", 50.0), ("bfloat16", 35.0)])
def test_a_transfer_is_the_processor_s(
    restyled: Run, on_processor: tuple[Tensor, Tensor], dtype: str, least: float
) -> None:
    latents, sound = restyled("cuda", dtype)
    assert torch.isfinite(sound).all()
    assert snr(on_processor[0], latents) > least


@pytest.mark.parametrize("per_pass", [1, 8])
def test_kept_features_and_those_evaluated_again_are_the_same(restyled: Run, per_pass: int) -> None:
    kept, again = (restyled("cuda", features=policy, windows_per_pass=per_pass)[0] for policy in ("cache", "recompute"))
    assert snr(kept, again) > 40


def test_memory_on_the_device_is_given_back(restyled: Run) -> None:
    restyled("cuda")
    before = torch.cuda.memory_allocated()
    for _ in range(3):
        restyled("cuda")
    assert torch.cuda.memory_allocated() <= before + 2**20
