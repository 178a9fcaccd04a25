"""Cached, recomputed and shared features on a U-Net of Stable Diffusion's topology, in the diffusers host."""

import gc
import weakref

import pytest
import torch
from torch import Tensor

from stylus_ops.diffusion.attention import Steering
from stylus_ops.diffusion.features import Inversion, Style, blend, choose_policy
from stylus_ops.diffusion.host import Hook
from stylus_ops.diffusion.recorder import Recorder
from stylus_ops.diffusion.recorder import record as write
from stylus_ops.diffusion.sampling import sample
from stylus_ops.diffusion.schedule import ddim_sigmas
from stylus_ops.diffusion.sites import resolve_sites
from stylus_ops.diffusion.stylizer import Stylizer
from stylus_ops.engine.engine import Engine
from stylus_ops.engine.loading import LoadedModel, sd_sigmas
from tests.small_unet import CONTEXT_WIDTH, small_sd_unet

STEPS = 2
HALF_BANK = 2e-3
"""Relative tolerance of a float16 bank under a float32 model."""


@pytest.fixture(scope="module")
def engine() -> Engine:
    context = torch.randn(1, 5, CONTEXT_WIDTH, generator=torch.Generator().manual_seed(9))
    no_autoencoder: object = None
    model = LoadedModel(small_sd_unet().float(), no_autoencoder, context, sd_sigmas(), "epsilon", "tiny-256")  # type: ignore[arg-type]
    return Engine("small", model, torch.device("cpu"), torch.float32)


def latents(seed: int, windows: int = 1) -> Tensor:
    return torch.randn(windows, 4, 8, 12, generator=torch.Generator().manual_seed(seed))


def record(engine: Engine, clip: Tensor, features: str, method: str = "fixed_point", corrections: int = 1) -> Inversion:
    sigmas = ddim_sigmas(engine.model.sigmas, STEPS)
    recorder = Recorder(sigmas, resolve_sites("auto", engine.decoder), features)
    return write(recorder, lambda x, sigma: recorder(engine.evaluate, x, sigma, 2), clip, method, corrections)


def styled(engine: Engine, *clips: Inversion) -> Style:
    styles = [Style((clip,), (1.0,)) for clip in clips]
    return styles[0] if len(styles) == 1 else blend(styles, [0.7, 0.3])


def restyle(engine: Engine, stylizer: Stylizer, per_pass: int = 2) -> Tensor:
    return sample(
        lambda x, sigma: stylizer(engine.evaluate, x, sigma, per_pass),
        stylizer.start_latents(),
        stylizer.content.sigmas,
    )


def assert_close(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    assert float((actual - expected).norm() / expected.norm()) < tolerance


@pytest.mark.parametrize(
    ("method", "corrections", "windows", "styles", "masked"),
    [
        ("ddim", 1, 1, 1, False),
        ("ddim", 1, 3, 2, True),
        ("fixed_point", 1, 1, 2, False),
        ("fixed_point", 1, 3, 1, True),
        ("fixed_point", 3, 3, 2, False),
        ("fixed_point", 3, 1, 1, True),
    ],
)
def test_every_policy_gives_the_same_result(engine, method, corrections, windows, styles, masked):
    mask = torch.rand(windows, 64, 96, generator=torch.Generator().manual_seed(5)) if masked else None
    results = {}
    for features, per_pass in (("cache", 2), ("recompute", 2), ("recompute", 16), ("cache_fp16", 2)):
        content, *others = (
            record(engine, latents(seed, windows), features, method, corrections) for seed in range(1 + styles)
        )
        stylizer = Stylizer(content, styled(engine, *others), Steering(mask=mask))
        results[features, per_pass] = restyle(engine, stylizer, per_pass)
    assert_close(results["recompute", 2], results["cache", 2], 1e-5)
    assert_close(results["recompute", 16], results["cache", 2], 1e-5)
    assert_close(results["cache_fp16", 2], results["cache", 2], HALF_BANK)


def test_content_and_style_may_have_different_policies(engine):
    clips = {
        features: [record(engine, latents(seed), features) for seed in (0, 1)] for features in ("cache", "recompute")
    }
    expected = restyle(engine, Stylizer(clips["cache"][0], styled(engine, clips["cache"][1]), Steering()))
    for content, style in (("cache", "recompute"), ("recompute", "cache")):
        result = restyle(engine, Stylizer(clips[content][0], styled(engine, clips[style][1]), Steering()))
        assert_close(result, expected, 1e-5)


CONTENT, STYLE = 3, 2
"""Windows evaluated in one step for the sample, and by `recompute` for the features of content and style."""


@pytest.mark.parametrize(
    ("steering", "span", "evaluations"),
    [
        (Steering(), (0, 1), STEPS * (2 * CONTENT + STYLE)),
        (Steering(alpha=1), (0, 1), STEPS * (2 * CONTENT + STYLE)),
        (Steering(alpha=0), (0, 1), STEPS * 2 * CONTENT),
        (Steering(alpha=1, gamma=0), (0, 1), STEPS * (CONTENT + STYLE)),
        (Steering(alpha=1, gamma=0, mask=torch.ones(1, 64, 96)), (0, 1), STEPS * (2 * CONTENT + STYLE)),
        (Steering(), (0, 0), STEPS * CONTENT),
        (Steering(), (0.5, 1), STEPS * CONTENT + CONTENT + STYLE),
    ],
)
def test_recompute_evaluates_only_what_the_dials_need(engine, steering, span, evaluations):
    content, style = record(engine, latents(0, CONTENT), "recompute"), record(engine, latents(1, STYLE), "recompute")
    before = engine.evaluations
    restyle(engine, Stylizer(content, styled(engine, style), steering, *span))
    assert engine.evaluations - before == evaluations


@pytest.mark.parametrize(("room", "batches"), [(8, [8]), (7, [2, 3, 3]), (3, [2, 3, 3]), (2, [2, 2, 2, 1, 1])])
def test_recompute_is_one_batch_where_a_pass_has_room(engine, room, batches):
    """Without room: the style, then the content's and the sample's rows pass by pass."""
    content, style = record(engine, latents(0, CONTENT), "recompute"), record(engine, latents(1, STYLE), "recompute")
    seen: list[int] = []

    def evaluate(x: Tensor, sigma: Tensor, rows: slice | None, hook: Hook | None) -> Tensor:
        seen.append(len(x))
        return engine.evaluate(x, sigma, rows, hook)

    Stylizer(content, styled(engine, style), Steering())(evaluate, latents(2, CONTENT), content.sigmas[0], room)
    assert sorted(seen) == sorted(batches)


def test_off_the_schedule_recompute_takes_features_at_the_nearest_node(engine):
    content, style = record(engine, latents(0), "cache"), record(engine, latents(1), "cache")
    x, sigma = latents(2), 1.1 * content.sigmas[1]
    cached = Stylizer(content, styled(engine, style), Steering())
    recomputed = Stylizer(content._replace(bank=None), styled(engine, style._replace(bank=None)), Steering())
    assert_close(recomputed(engine.evaluate, x, sigma, 8), cached(engine.evaluate, x, sigma, 8), 1e-5)


@pytest.mark.parametrize("steering", [Steering(alpha=0), Steering(alpha=1, gamma=0), Steering(alpha=1)])
def test_leaving_a_branch_out_changes_nothing(engine, steering):
    """A white mask asks for both branches and the content's features, and multiplies by one."""
    content, style = record(engine, latents(0), "cache"), record(engine, latents(1), "cache")
    short, full = (
        restyle(engine, Stylizer(content, styled(engine, style), steering._replace(mask=mask)))
        for mask in (None, torch.ones(1, 64, 96))
    )
    assert_close(short, full, 1e-5)


def test_a_bank_is_frozen(engine):
    content, style = record(engine, latents(0), "cache"), record(engine, latents(1), "cache")
    tensors = [t for clip in (content, style) for step in clip.bank or () for t in step]
    before = [t.clone() for t in tensors]
    for steering in (Steering(), Steering(alpha=0.2, gamma=0.1, temperature=2.0), Steering(mask=torch.rand(1, 64, 96))):
        restyle(engine, Stylizer(content, styled(engine, style), steering))
    assert all(torch.equal(now, then) for now, then in zip(tensors, before, strict=True))


def test_features_are_freed_with_what_holds_them(engine):
    content, style = record(engine, latents(0), "cache"), record(engine, latents(1), "cache")
    alive = [weakref.ref(t) for clip in (content, style) for step in clip.bank or () for t in step]
    stylizer = Stylizer(content, styled(engine, style), Steering())
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
    content, style = record(engine, latents(0), "cache"), record(engine, latents(1), "cache")
    plain = engine.evaluate(latents(2), torch.tensor(1.0))
    processors = [layer.processor for layer in engine.attention.values()]

    def interrupt(*_: object) -> None:
        raise Interrupted

    def run() -> None:
        if when == "inversion":
            record(engine, latents(0), "cache")
        else:
            restyle(engine, Stylizer(content, styled(engine, style), Steering()))

    before = 0
    for i in range(20):
        with monkeypatch.context() as patch:
            # in the middle of an evaluation: at the projection of the last injected site
            patch.setattr(engine.attention[11, 0].to_out[0], "forward", interrupt)
            with pytest.raises(Interrupted):
                run()
        if i == 0:
            before = live_tensors()
    assert live_tensors() == before
    assert [layer.processor for layer in engine.attention.values()] == processors
    assert torch.equal(engine.evaluate(latents(2), torch.tensor(1.0)), plain)


@pytest.mark.parametrize(
    ("requested", "needed", "free", "chosen"),
    [
        ("auto", 100, 401, "cache"),
        ("auto", 100, 400, "recompute"),
        ("cache", 100, 50, "cache"),
        ("cache_fp16", 100, 50, "cache_fp16"),
        ("recompute", 1, 1000, "recompute"),
    ],
)
def test_auto_decides_by_free_memory_and_says_why(caplog, requested, needed, free, chosen):
    with caplog.at_level("INFO"):
        assert choose_policy(requested, needed * 10**6, free * 10**6) == chosen
    if requested == "auto":
        assert f"features {chosen}" in caplog.text
        assert f"{needed}.0 MB" in caplog.text
        assert f"{free} MB" in caplog.text
    else:
        assert not caplog.records
