"""Cached, recomputed and shared features on a U-Net of Stable Diffusion's topology, in the diffusers host."""

import gc
import weakref

import pytest
import torch
from torch import Tensor

from stylus_ops.dials import Schedule, Steering
from stylus_ops.diffusion.features import Inversion, blend
from stylus_ops.diffusion.stylizer import Stylizer
from stylus_ops.engine.engine import Engine
from tests import small_unet
from tests.small_unet import latents, restyle, single, small_engine

HALF_BANK = 2e-3
"""Relative tolerance of a float16 bank under a float32 model."""
CONTENT, STYLE = 3, 2
"""Windows."""


@pytest.fixture(scope="module")
def engine() -> Engine:
    return small_engine()


def record(engine: Engine, seed: int, features: str = "cache", windows: int = 1, corrections: int = 1) -> Inversion:
    return small_unet.record(engine, latents(seed, windows), features, Schedule(steps=2, corrections=corrections))


def assert_close(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    assert float((actual - expected).norm() / expected.norm()) < tolerance


@pytest.mark.parametrize(("corrections", "windows", "masked"), [(1, 1, False), (2, 2, True)])
def test_every_policy_gives_the_same_result(engine, corrections, windows, masked):
    mask = torch.rand(windows, 64, 96, generator=torch.Generator().manual_seed(5)) if masked else None
    results = {}
    for features, per_pass in (("cache", 2), ("recompute", 2), ("recompute", 16), ("cache_fp16", 2)):
        content, *others = (record(engine, seed, features, windows, corrections) for seed in range(3))
        stylizer = Stylizer(content, blend([single(clip) for clip in others], [0.7, 0.3]), Steering(), mask)
        results[features, per_pass] = restyle(engine, stylizer, per_pass)
    assert_close(results["recompute", 2], results["cache", 2], 1e-5)
    assert_close(results["recompute", 16], results["cache", 2], 1e-5)
    assert_close(results["cache_fp16", 2], results["cache", 2], HALF_BANK)


def test_features_are_freed_with_what_holds_them(engine):
    content, style = record(engine, 0), record(engine, 1)
    alive = [weakref.ref(t) for clip in (content, style) for step in clip.bank or () for t in step]
    stylizer = Stylizer(content, single(style), Steering())
    restyle(engine, stylizer)
    del content, style
    assert all(tensor() is not None for tensor in alive)
    del stylizer
    assert not any(tensor() is not None for tensor in alive)


def live_tensors() -> int:
    gc.collect()
    return sum(issubclass(type(thing), Tensor) for thing in gc.get_objects())


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("when", ["inversion", "sampling"])
def test_an_interrupt_leaves_nothing_behind(engine, monkeypatch, when):
    content, style = record(engine, 0), record(engine, 1)
    plain = engine.evaluate(latents(2), torch.tensor(1.0))
    processors = [layer.processor for layer in engine.attention.values()]

    def interrupt(*_: object) -> None:
        raise Interrupted

    def run() -> None:
        if when == "inversion":
            record(engine, 0)
        else:
            restyle(engine, Stylizer(content, single(style), Steering()))

    counts = []
    for _ in range(3):
        with monkeypatch.context() as patch:
            # in the middle of an evaluation: at the projection of the last injected site
            patch.setattr(engine.attention[11, 0].to_out[0], "forward", interrupt)
            with pytest.raises(Interrupted):
                run()
        counts.append(live_tensors())
    assert counts[1] == counts[2]
    assert [layer.processor for layer in engine.attention.values()] == processors
    assert torch.equal(engine.evaluate(latents(2), torch.tensor(1.0)), plain)
