"""The whole loop on a UNet of Stable Diffusion's topology against a plain statement of the method, and its properties."""

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from stylus_ops.dials import Schedule, Steering
from stylus_ops.diffusion.features import Inversion, blend
from stylus_ops.diffusion.schedule import sigmas_from_alphas_cumprod
from stylus_ops.diffusion.stylizer import Stylizer
from stylus_ops.engine.engine import Engine
from tests.parity import reference
from tests.small_unet import latents, record, restyle, single, small_engine, small_sd_unet

STEPS = 3
TOLERANCE = 1e-5  # relative; float32 against float64
CLIPS = {
    "content": latents(0, 2),
    "a": 1.5 * latents(1, 2) + 0.3,
    "b": 0.7 * latents(2, 2),
    "short": latents(3, width=20),
}


def engine_of(prediction_type: str = "epsilon") -> Engine:
    """The command line's host on the diffusers UNet, in float32 as on any CPU, and with the reference's noise levels."""
    engine = small_engine(small_sd_unet(prediction_type))
    engine.model = engine.model._replace(sigmas=sigmas_from_alphas_cumprod(reference.alpha_bar()))
    return engine


def invert(engine: Engine, clip: Tensor, method: str = "fixed_point", corrections: int = 1) -> Inversion:
    schedule = Schedule(steps=STEPS, inversion=method, corrections=corrections)
    return record(engine, clip, "cache", schedule)


def difference(a: Tensor, b: Tensor) -> float:
    """Relative to the size of b."""
    return float((a.double() - b.double()).norm() / b.double().norm())


class Pair(NamedTuple):
    """The same clips inverted by both sides."""

    engine: Engine
    unet: Any
    clips: dict[str, Inversion]
    plain: dict[str, reference.Clip]

    def transfer(self, shares: dict[str, float], mask: Tensor | None = None, **dials: Any) -> Tensor:
        """By the engine, from the styles with these shares."""
        large = None if mask is None else mask.repeat_interleave(8, 0).repeat_interleave(8, 1)[None]
        style = blend([single(self.clips[name]) for name in shares], [*shares.values()])
        return restyle(self.engine, Stylizer(self.clips["content"], style, Steering(**dials), large))

    def error(self, shares: dict[str, float], mask: Tensor | None = None, **dials: Any) -> float:
        """Of the engine's result against the reference's."""
        styles = [self.plain[name] for name in shares]
        context, content = self.engine.model.context.double(), self.plain["content"]
        plain = reference.transfer(self.unet, content, styles, context, [*shares.values()], mask, **dials)
        return difference(self.transfer(shares, mask, **dials), plain)


def invert_both(*names: str, prediction_type: str = "epsilon", **method: Any) -> Pair:
    engine, unet = engine_of(prediction_type), small_sd_unet(prediction_type)
    clips = {name: invert(engine, CLIPS[name], **method) for name in names}
    context = engine.model.context.double()
    plain = {name: reference.invert(unet, CLIPS[name].double(), context, STEPS, **method) for name in names}
    return Pair(engine, unet, clips, plain)


@pytest.fixture(scope="module")
def pair() -> Pair:
    return invert_both(*CLIPS)


@pytest.mark.parametrize(
    ("shares", "dials"),
    [
        ({"a": 1, "b": 0}, {}),
        ({"a": 1, "b": 0}, {"alpha": 0}),
        ({"a": 1, "b": 0}, {"alpha": 1, "gamma": 0, "adain": 0}),
        ({"a": 0.6, "b": 0.4}, {"alpha": 1, "gamma": 1}),
        ({"a": 0.3, "b": 0.7}, {"alpha": 0.5, "gamma": 0.3, "temperature": 1.6}),
        ({"a": 0, "b": 1}, {"alpha": 1.4, "temperature": 0.6, "adain": 0.5}),
        ({"a": 0.5, "b": 0.5}, {"adain_mode": "efdm"}),
        ({"short": 1}, {}),  # a style of another length
    ],
)
def test_the_final_latent_is_the_plain_references(pair, shares, dials):
    assert pair.error(shares, **dials) < TOLERANCE


@pytest.mark.parametrize(
    "method", [{"method": "ddim"}, {"corrections": 2}, {"prediction_type": "v_prediction"}], ids=str
)
def test_other_inversions_and_predictions_agree_too(method):
    assert invert_both("content", "short", **method).error({"short": 1}) < TOLERANCE


def test_a_mask_agrees(pair):
    mask = torch.zeros(8, 12, dtype=torch.float64)
    mask[:4, 5:] = 1
    mask[6:, :3] = 0.5
    assert pair.error({"a": 0.7, "b": 0.3}, mask) < TOLERANCE


def test_every_dial_moves_the_result_far_more_than_the_tolerance(pair):
    """Without this, agreement with the reference would say little."""
    halves = {"a": 0.5, "b": 0.5}
    moved = {"alpha": 0.8, "gamma": 0.65, "temperature": 1.2, "adain": 0.8, "adain_mode": "efdm"}
    results = [pair.transfer(halves, **{name: value}) for name, value in moved.items()]
    plain = pair.transfer(halves)
    for result in (*results, pair.transfer({"a": 0.4, "b": 0.6})):
        assert difference(result, plain) > 200 * TOLERANCE


def test_with_the_content_as_style_alpha_changes_nothing(pair):
    content = invert(pair.engine, CLIPS["content"][:1])
    results = [restyle(pair.engine, Stylizer(content, single(content), Steering(alpha))) for alpha in (0, 0.5, 0.9, 1)]
    for result in results[1:]:
        assert difference(result, results[0]) < 1e-5


def test_equal_inputs_give_equal_bits(pair):
    again = {name: invert(engine_of(), CLIPS[name]) for name in ("content", "a")}
    assert torch.equal(pair._replace(engine=engine_of(), clips=again).transfer({"a": 1}), pair.transfer({"a": 1}))
