"""What a host may choose for speed: half precision, channels-last memory, torch.compile. None may change the result by more
than README says."""

from typing import Any

import pytest
import torch
from diffusers.models import UNet2DConditionModel
from torch import Tensor, nn

from stylus_ops.dials import Schedule, Steering
from stylus_ops.diffusion.attention import Capture, Injection
from stylus_ops.diffusion.sites import Site
from stylus_ops.diffusion.stylizer import Stylizer
from stylus_ops.engine.engine import Engine
from tests.small_unet import CONTEXT_WIDTH, latents, record, restyle, single, small_engine, small_sd_unet


def transferred(engine: Engine, alpha: float = 0.9) -> Tensor:
    content, style = (record(engine, latents(seed), "cache", Schedule(steps=3)) for seed in (0, 1))
    return restyle(engine, Stylizer(content, single(style), Steering(alpha)))


def relative(actual: Tensor, expected: Tensor) -> float:
    assert actual.dtype == torch.float32
    return float((actual - expected).norm() / expected.norm())


@pytest.fixture(scope="module")
def expected() -> Tensor:
    return transferred(small_engine())


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 0.01), (torch.bfloat16, 0.05)])
def test_half_precision(expected, dtype, tolerance):
    assert relative(transferred(small_engine(dtype=dtype)), expected) < tolerance


def test_channels_last(expected):
    unet: nn.Module = small_sd_unet()
    channels_last = unet.to(memory_format=torch.channels_last)
    assert relative(transferred(small_engine(channels_last)), expected) < 1e-4


def test_a_compiled_unet_runs_the_hook_of_every_evaluation():
    """A graph that was traced without a hook, or with another one, must not serve for this one."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        unet = UNet2DConditionModel(
            down_block_types=("DownBlock2D",),
            mid_block_type=None,
            up_block_types=("CrossAttnUpBlock2D",),
            block_out_channels=(16,),
            layers_per_block=1,
            attention_head_dim=2,
            cross_attention_dim=CONTEXT_WIDTH,
            norm_num_groups=8,
        )
    for block in unet.up_blocks[0].attentions:
        block.transformer_blocks[0].attn1.to_out[0].weight.data.mul_(8)
    graphs = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    compiled_unet: Any = torch.compile(unet, backend=backend)
    plain, compiled = small_engine(unet), small_engine(compiled_unet)
    for expected, actual in zip(evaluations(plain), evaluations(compiled), strict=True):
        assert relative(actual, expected) < 1e-3
    assert graphs


def evaluations(engine: Engine) -> list[Tensor]:
    """Without a hook, recording two clips, injecting either into the other, and without a hook again."""
    sigma, sites = engine.model.sigmas[500], tuple(engine.attention)
    results = [engine.evaluate(latents(2), sigma)]
    clips: list[dict[Site, Tensor]] = []
    for seed in (0, 1):
        capture = Capture(sites)
        results.append(engine.evaluate(latents(seed), sigma, None, capture))
        clips.append(capture.features)
    for content, style in (clips, reversed(clips)):
        hook = Injection(content, [style], [1.0], Steering(), (8, 12))
        results.append(engine.evaluate(latents(2), sigma, None, hook))
    results.append(engine.evaluate(latents(2), sigma))
    unhooked, *_, first, second, again = results
    assert torch.equal(unhooked, again)
    assert relative(first, unhooked) > 0.05
    assert relative(second, first) > 0.05
    return results
