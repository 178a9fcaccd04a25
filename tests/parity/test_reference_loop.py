"""The whole loop on a UNet of Stable Diffusion's topology against a plain statement of the method, and its properties."""

from typing import Any, NamedTuple

import pytest
import torch
from diffusers.models import UNet2DConditionModel
from torch import Tensor

from stylus_ops.dials import Schedule, Steering
from stylus_ops.diffusion.features import Inversion, Style, blend
from stylus_ops.diffusion.sampling import sample
from stylus_ops.diffusion.schedule import sigmas_from_alphas_cumprod
from stylus_ops.diffusion.stylizer import Stylizer
from tests.parity import reference
from tests.small_unet import record, restyle, single, small_engine, small_sd_unet

STEPS = 4
TOLERANCE = 1e-5  # relative; float32 against float64


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


CONTENT, STYLE_A, STYLE_B = noise(0, 2, 4, 8, 12), 1.5 * noise(1, 2, 4, 8, 12) + 0.3, 0.7 * noise(2, 2, 4, 8, 12)
SHORT_STYLE = noise(3, 1, 4, 8, 20)


class Host:
    """stylus_ops with its own engine on the diffusers UNet, in float32 as on any CPU."""

    def __init__(self, prediction_type: str = "epsilon"):
        self.engine = small_engine(small_sd_unet(prediction_type=prediction_type))
        sigmas = sigmas_from_alphas_cumprod(reference.alpha_bar())
        self.engine.model = self.engine.model._replace(sigmas=sigmas)

    def record(self, latents: Tensor, method: str = "fixed_point", corrections: int = 1) -> Inversion:
        schedule = Schedule(steps=STEPS, inversion=method, corrections=corrections)
        return record(self.engine, latents.float(), "cache", schedule)

    def transfer(self, content: Inversion, style: Style, steering: Steering, mask: Tensor | None = None) -> Tensor:
        return restyle(self.engine, Stylizer(content, style, steering, mask))


CONTEXT = Host().engine.model.context.double()


def difference(a: Tensor, b: Tensor) -> float:
    """Relative to the size of b."""
    return float((a.double() - b.double()).norm() / b.double().norm())


class Setting(NamedTuple):
    alpha: float = 0.9
    gamma: float = 0.75
    tau: float = 1.0
    beta: float = 0.0
    mode: str = "adain"
    strength: float = 1.0


SETTINGS = [
    Setting(),
    Setting(alpha=0),
    Setting(alpha=1, gamma=0, strength=0),
    Setting(alpha=1, gamma=1, beta=0.4),
    Setting(alpha=0.5, gamma=0.3, tau=1.6, beta=0.7),
    Setting(alpha=1.4, tau=0.6, beta=1, strength=0.5),
    Setting(beta=0.5, mode="efdm"),
]


class Pair(NamedTuple):
    """The same clips inverted by both sides."""

    host: Host
    unet: UNet2DConditionModel
    clips: dict[str, Inversion]
    plain: dict[str, reference.Clip]


LATENTS = {"content": CONTENT, "a": STYLE_A, "b": STYLE_B}


def invert_both(latents: dict[str, Tensor], prediction_type: str = "epsilon", **method: Any) -> Pair:
    unet = small_sd_unet(prediction_type=prediction_type)
    host = Host(prediction_type)
    clips = {name: host.record(clip, **method) for name, clip in latents.items()}
    plain = {name: reference.invert(unet, clip, CONTEXT, STEPS, **method) for name, clip in latents.items()}
    return Pair(host, unet, clips, plain)


@pytest.fixture(scope="module")
def pair() -> Pair:
    return invert_both({**LATENTS, "short": SHORT_STYLE})


def our_result(pair: Pair, setting: Setting, mask: Tensor | None = None) -> Tensor:
    alpha, gamma, tau, beta, mode, strength = setting
    large = None if mask is None else mask.repeat_interleave(8, 0).repeat_interleave(8, 1)[None]
    style = blend([single(pair.clips["a"]), single(pair.clips["b"])], [1 - beta, beta])
    return pair.host.transfer(pair.clips["content"], style, Steering(alpha, gamma, tau, strength, mode), large)


def assert_agree(pair: Pair, setting: Setting, mask: Tensor | None = None) -> None:
    beta, dials = setting.beta, setting._asdict()
    del dials["beta"]
    styles = [pair.plain["a"], pair.plain["b"]]
    plain = reference.transfer(pair.unet, pair.plain["content"], styles, CONTEXT, [1 - beta, beta], **dials, mask=mask)
    assert difference(our_result(pair, setting, mask), plain) < TOLERANCE


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_the_final_latent_is_the_plain_references(pair, setting):
    assert_agree(pair, setting)


@pytest.mark.parametrize(
    "method", [{"method": "ddim"}, {"corrections": 2}, {"prediction_type": "v_prediction"}], ids=str
)
def test_other_inversions_and_predictions_agree_too(method):
    assert_agree(invert_both(LATENTS, **method), Setting(beta=0.3))


def test_a_mask_agrees(pair):
    mask = torch.zeros(8, 12, dtype=torch.float64)
    mask[:4, 5:] = 1
    mask[6:, :3] = 0.5
    assert_agree(pair, Setting(beta=0.3), mask)


def test_a_style_of_another_length_agrees(pair):
    """20 columns in one window against twice 12."""
    ours = pair.host.transfer(pair.clips["content"], single(pair.clips["short"]), Steering())
    plain = reference.transfer(pair.unet, pair.plain["content"], [pair.plain["short"]], CONTEXT, [1.0])
    assert difference(ours, plain) < TOLERANCE


def test_every_dial_moves_the_result_far_more_than_the_tolerance(pair):
    """Without this, agreement with the reference would say little."""
    base = Setting(beta=0.5)
    moved: dict[str, Any] = {"alpha": 0.8, "gamma": 0.65, "tau": 1.2, "beta": 0.6, "strength": 0.8, "mode": "efdm"}
    results = [our_result(pair, base), *(our_result(pair, base._replace(**{k: v})) for k, v in moved.items())]
    for other in results[1:]:
        assert difference(other, results[0]) > 200 * TOLERANCE


RECONSTRUCTION_BOUNDS = {("ddim", 1): 0.6, ("fixed_point", 1): 0.36, ("fixed_point", 8): 0.026}
"""Relative, for 4 steps up and back: as measured on these random weights (0.57, 0.34, 0.024), which are no denoiser and make
hard steps."""


def test_content_comes_back_within_the_inversion_error(pair):
    """gamma 1, alpha 0, no AdaIN is no worse than inversion and plain sampling back, whose error has a bound."""
    content_itself = Steering(alpha=0, gamma=1, adain_mode="none")
    for (method, corrections), bound in RECONSTRUCTION_BOUNDS.items():
        clip = pair.host.record(CONTENT[:1], method, corrections)
        plain = difference(sample(pair.host.engine.evaluate, clip.noise, clip.sigmas), CONTENT[:1])
        injected = difference(pair.host.transfer(clip, single(pair.clips["a"]), content_itself), CONTENT[:1])
        assert injected <= max(plain, 1e-6) <= bound, (method, corrections, injected, plain)


def test_with_the_content_as_style_alpha_changes_nothing(pair):
    content = pair.host.record(CONTENT[:1])
    results = [pair.host.transfer(content, single(content), Steering(alpha)) for alpha in (0, 0.5, 0.9, 1)]
    for result in results[1:]:
        assert difference(result, results[0]) < 1e-5


def test_equal_inputs_give_equal_bits():
    results = []
    for _ in range(2):
        host = Host()
        results.append(host.transfer(host.record(CONTENT), single(host.record(STYLE_A)), Steering()))
    assert torch.equal(*results)
