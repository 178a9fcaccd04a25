"""A U-Net of Stable Diffusion's topology in the diffusers host: interrupted, and in half precision."""

import pytest
import torch

from stylus_ops.dials import Schedule, Steering
from stylus_ops.diffusion.features import Inversion
from stylus_ops.diffusion.stylizer import Stylizer
from stylus_ops.engine.engine import Engine
from tests import small_unet
from tests.small_unet import latents, restyle, single, small_engine


@pytest.fixture(scope="module")
def engine() -> Engine:
    return small_engine()


def record(engine: Engine, seed: int) -> Inversion:
    return small_unet.record(engine, latents(seed), "cache", Schedule(steps=2))


@pytest.mark.parametrize("when", ["inversion", "sampling"])
def test_an_interrupt_leaves_the_model_as_it_was(engine, monkeypatch, when):
    content, style = record(engine, 0), record(engine, 1)
    plain = engine.evaluate(latents(2), torch.tensor(1.0))
    processors = [layer.processor for layer in engine.attention.values()]

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    stylizer = Stylizer(content, single(style), Steering())
    run = (lambda: record(engine, 0)) if when == "inversion" else (lambda: restyle(engine, stylizer))
    with monkeypatch.context() as patch:
        patch.setattr(engine.attention[11, 0].to_out[0], "forward", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run()
    assert [layer.processor for layer in engine.attention.values()] == processors
    assert torch.equal(engine.evaluate(latents(2), torch.tensor(1.0)), plain)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 0.01), (torch.bfloat16, 0.05)])
def test_half_precision_stays_near_float32(engine, dtype, tolerance):
    expected, actual = (
        restyle(host, Stylizer(record(host, 0), single(record(host, 1)), Steering()))
        for host in (engine, small_engine(dtype=dtype))
    )
    assert actual.dtype == torch.float32
    assert (actual - expected).norm() < tolerance * expected.norm()
