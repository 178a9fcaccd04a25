"""What runs on a GPU, as far as can be told without one: nothing is mixed with host memory, and little waits."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from stylus_ops.audio import decode, windows
from stylus_ops.audio.decode import Sources
from stylus_ops.audio.geometry import PRESETS
from stylus_ops.audio.stft import frame_blocks
from stylus_ops.audio.tone import Reference
from stylus_ops.audio.windows import Recording
from stylus_ops.copies import to_device
from stylus_ops.dials import Decoding, Schedule, Steering
from stylus_ops.diffusion import reader
from stylus_ops.diffusion.features import Inversion, Style
from stylus_ops.diffusion.recorder import Recorder, record
from stylus_ops.diffusion.schedule import ddim_sigmas
from stylus_ops.diffusion.stylizer import Stylizer
from stylus_ops.engine.engine import Engine
from stylus_ops.engine.loading import load_model
from tests.fake_gpu import GPU, FakeGpu
from tests.unit.signals import melody, noise

RATE, SITES, TINY = 48000, ((6, 0), (9, 0)), PRESETS["tiny-256"]


@pytest.fixture(scope="module")
def gpu() -> Iterator[FakeGpu]:
    """Streams need a driver: what waits for one gives zeros, what is copied ahead is copied at once."""

    def waited(tensor: Tensor) -> Tensor:
        fake.waits.append("to_host")
        return torch.zeros(tensor.shape)

    with pytest.MonkeyPatch.context() as patch, FakeGpu() as fake:
        for module in (decode, windows):
            patch.setattr(module, "to_host", waited)
        patch.setattr(reader, "begin_copy", lambda tensors, device: lambda: [to_device(t, device) for t in tensors])
        yield fake


@pytest.mark.parametrize(("features", "passes"), [("cache", [2]), ("recompute", [2, 8])])
def test_a_pass_never_waits(gpu: FakeGpu, features: str, passes: list[int]) -> None:
    model = load_model("tiny", torch.device("cpu"), torch.float16)
    weights = {name: weight.to(GPU) for name, weight in model.unet.state_dict().items()}
    model.unet.load_state_dict(weights, assign=True)
    engine = Engine("tiny", model._replace(context=model.context.to(GPU)), GPU, torch.float16)
    sigmas = ddim_sigmas(model.sigmas, 2)

    def inverted(windows: int) -> Inversion:
        recorder, latents = Recorder(sigmas, SITES, features), torch.randn(windows, 4, 16, 16).to(GPU)
        gpu.waits.clear()
        clip = record(recorder, lambda x, sigma: recorder(engine.evaluate, x, sigma, 2), latents, Schedule(steps=2))
        assert gpu.waits == ["_to_copy"]  # the noise, at the end
        return clip

    stylizer = Stylizer(inverted(3), Style((inverted(1),), (1.0,)), Steering(), torch.rand(3, 128, 128))
    x = stylizer.start_latents().to(GPU)
    gpu.waits.clear()
    for per_pass in passes:
        assert stylizer(engine.evaluate, x, sigmas[1], per_pass).device == GPU
    assert gpu.waits == []


@pytest.mark.parametrize(
    "dials",
    [{}, {"decode": "gain", "above_band_db": -6.0}, {"decode": "griffin_lim", "phase_iters": 1}],
    ids=str,
)
def test_sound_waits_for_a_section_not_for_its_blocks(gpu: FakeGpu, dials: dict) -> None:
    sound = noise(40.0, RATE)[0]
    recording = Recording.cut(sound, RATE, TINY, 32, "pad", GPU)
    images, part = recording.images(slice(None)), recording.part(slice(None))
    decoding = Decoding(**dials)
    sources = Sources.of([Reference(melody(2.0, RATE)[0], RATE)], len(sound), TINY, decoding)
    gpu.waits.clear()
    decoded = decode.decode_band(images, part, decoding, images, sources)
    assert (images.device, decoded.device, decoded.shape[1:]) == (GPU, torch.device("cpu"), sound.shape)
    assert len(gpu.waits) < len([*frame_blocks(recording.frames, len(sound))]) == 16
