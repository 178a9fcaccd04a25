"""What runs on a GPU, as far as can be told without one: nothing is mixed with host memory, and little waits.

PyTorch's fake tensors hold no values and refuse to be mixed with those of another device.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from stylus_ops import tiny
from stylus_ops.audio import decode, grain, windows
from stylus_ops.audio.geometry import PRESETS
from stylus_ops.audio.stft import frame_blocks
from stylus_ops.audio.tone import Reference
from stylus_ops.copies import to_device
from stylus_ops.dials import Decoding, Schedule, Steering
from stylus_ops.diffusion import reader
from stylus_ops.diffusion.features import Inversion, Style
from stylus_ops.diffusion.recorder import Recorder, record
from stylus_ops.diffusion.schedule import ddim_sigmas
from stylus_ops.diffusion.stylizer import Stylizer
from stylus_ops.engine.engine import Engine
from stylus_ops.engine.model import LoadedModel, sd_sigmas
from stylus_ops.tiny.unet import TinyUNet
from tests.unit.signals import melody, noise

RATE, SITES, TINY = 48000, ((2, 0), (3, 0)), PRESETS["tiny-256"]
GPU = torch.device("cuda", 7)


class FakeGpu(TorchDispatchMode):
    """Keeps the names of copies that block until the GPU has done all its work, and of reads."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = {name: value for name, value in (kwargs or {}).items() if name != "pin_memory"}
        devices = {leaf.device for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        devices |= {kwargs["device"]} if kwargs.get("device") else set()
        name = func._schema.name.removeprefix("aten::")
        if GPU not in devices:
            with unset_fake_temporarily():
                return args[0] if name == "_pin_memory" else func(*args, **kwargs)
        reads, copies = name == "_local_scalar_dense", name in ("_to_copy", "copy_") and len(devices) > 1
        if reads or (copies and not (kwargs.get("non_blocking") or args[2:3] == (True,))):
            self.waits.append(name)
        return 1 if reads else func(*args, **kwargs)


@pytest.fixture(scope="module")
def gpu() -> Iterator[FakeGpu]:
    """Streams need a driver: what waits for one gives zeros, what is copied ahead is copied at once."""

    def waited(tensor: Tensor) -> Tensor:
        fake.waits.append("to_host")
        return torch.zeros(tensor.shape)

    fake = FakeGpu()
    with pytest.MonkeyPatch.context() as patch, FakeTensorMode(allow_non_fake_inputs=True), fake:
        for module in (decode, grain, windows):
            patch.setattr(module, "to_host", waited)
        patch.setattr(reader, "begin_copy", lambda tensors, device: lambda: [to_device(t, device) for t in tensors])
        yield fake


@pytest.fixture(scope="module")
def engine(gpu: FakeGpu) -> Engine:
    prior = tiny.load(dtype=torch.float16)
    unet: Any = TinyUNet(prior.unet_config | {"channel_mult": [1, 2], "num_res_blocks": [1, 1]}).half().to(GPU)
    model = LoadedModel(unet, prior.autoencoder, prior.context.to(GPU), sd_sigmas(), "epsilon", "tiny-256")
    return Engine("tiny", model, GPU, torch.float16)


@pytest.mark.parametrize(("features", "per_pass"), [("cache", 2), ("recompute", 2), ("recompute", 8)])
def test_a_pass_never_waits(gpu: FakeGpu, engine: Engine, features: str, per_pass: int) -> None:
    sigmas = ddim_sigmas(engine.model.sigmas, 2)

    def inverted(windows: int) -> Inversion:
        recorder, latents = Recorder(sigmas, SITES, features), torch.randn(windows, 4, 16, 16).to(GPU)
        gpu.waits.clear()
        clip = record(recorder, lambda x, sigma: recorder(engine.evaluate, x, sigma, 2), latents, Schedule(steps=2))
        assert gpu.waits == ["_to_copy"]  # the noise, at the end
        return clip

    stylizer = Stylizer(inverted(3), Style((inverted(1),), (1.0,)), Steering(), torch.rand(3, 128, 128))
    x = stylizer.start_latents().to(GPU)
    gpu.waits.clear()
    assert stylizer(engine.evaluate, x, sigmas[1], per_pass).device == GPU
    assert gpu.waits == []


@pytest.mark.parametrize(
    "dials", [{}, {"decode": "gain", "above_band_db": -6.0}, {"decode": "griffin_lim", "phase_iters": 1}], ids=str
)
def test_sound_waits_for_a_section_not_for_its_blocks(gpu: FakeGpu, dials: dict) -> None:
    sound, alone = noise(30.0, RATE)[0], float(not dials)
    decoding = Decoding(**dials, grain=alone, partials=alone)
    recording = windows.Recording.cut(sound, RATE, TINY, 32, "pad", GPU)
    images, part = recording.images(slice(None)), recording.part(slice(None))
    sources = decode.Sources.of([Reference(melody(2.0, RATE)[0], RATE)], [Reference(sound, RATE)], TINY, decoding)
    gpu.waits.clear()
    decoded = decode.decode_band(images, part, decoding, images, sources)
    assert (images.device, decoded.device, decoded.shape[1:]) == (GPU, torch.device("cpu"), sound.shape)
    assert len(gpu.waits) < len([*frame_blocks(recording.frames, len(sound))]) == 12
