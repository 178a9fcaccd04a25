"""The passes over a network small enough to say what every row should be."""

import pytest
import torch
from torch import Tensor

from stylus_ops.dials import Steering
from stylus_ops.diffusion.features import Inversion, Style
from stylus_ops.diffusion.stylizer import Stylizer
from tests.small_net import CONTENT, FINE, SIGMAS, STYLE_A, STYLE_B, WIDTH, SmallNet, latents, record, transfer


def close(actual: Tensor, wanted: Tensor, tolerance: float = 1e-11) -> None:
    torch.testing.assert_close(actual, wanted, rtol=0, atol=tolerance)


@pytest.fixture(scope="module")
def net() -> SmallNet:
    return SmallNet()


@pytest.fixture(scope="module")
def content(net: SmallNet) -> Inversion:
    return record(net, CONTENT)


@pytest.fixture(scope="module")
def style_a(net: SmallNet) -> Style:
    return Style((record(net, STYLE_A),), (1.0,))


def tensors(clip: Inversion) -> list[Tensor]:
    return [clip.sigmas, clip.trajectory, clip.noise, *(kept for node in clip.bank or () for kept in node)]


@pytest.mark.parametrize("per_pass", [1, 2, 3])
@pytest.mark.parametrize("features", ["cache", "recompute"])
def test_windows_per_pass_never_change_the_result(net, per_pass, features):
    whole = record(net, CONTENT, features=features), record(net, STYLE_A, features=features)
    split = record(net, CONTENT, per_pass, features), record(net, STYLE_A, per_pass, features)
    for clip, part in zip(whole, split, strict=True):
        for a, b in zip(tensors(clip), tensors(part), strict=True):
            close(a, b)
    net.calls.clear()
    result = transfer(net, split[0], Style((split[1],), (1.0,)), per_pass)
    assert max(windows for windows, _ in net.calls) <= per_pass
    close(result, transfer(net, whole[0], Style((whole[1],), (1.0,))))


@pytest.mark.parametrize("per_pass", [1, 2, 5])
def test_every_window_is_evaluated_with_its_own_conditioning(per_pass):
    prompts = torch.randn(5, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
    conditioned = record(SmallNet(prompts), CONTENT, per_pass)
    for b in range(5):
        alone = record(SmallNet(prompts[b : b + 1]), CONTENT[b : b + 1])
        close(conditioned.noise[b : b + 1], alone.noise)
        for together, single in zip(conditioned.bank or (), alone.bank or (), strict=True):
            close(together[1][b : b + 1], single[1])


def test_padding_stays_out_of_statistics_and_is_not_moved(net):
    clips = []
    for padding in (0.0, 50.0):
        content, style = record(net, CONTENT, valid_width=4), record(net, STYLE_A, valid_width=7)
        for clip in (content, style):
            clip.noise[..., clip.valid_width :] += padding
        start = Stylizer(content, Style((style,), (1.0,)), Steering()).start_latents()
        assert torch.equal(start[..., 4:], content.noise[..., 4:])
        clips.append(start[..., :4])
        valid = style.noise[..., :7]
        close(start[..., :4].mean((0, 2, 3)), valid.mean((0, 2, 3)))
        close(start[..., :4].std((0, 2, 3)), valid.std((0, 2, 3)))
    assert torch.equal(*clips)


def test_each_window_has_its_own_mask(net, content, style_a):
    masks = torch.rand(5, 32, 48, generator=torch.Generator().manual_seed(0))
    together = Stylizer(content, style_a, Steering(), masks)
    x = latents(7, 5)
    for sigma in SIGMAS:
        alone = [Stylizer(content, style_a, Steering(), masks[b : b + 1])(net, x, sigma, 5)[b] for b in range(5)]
        for per_pass in (1, 2, 5):
            close(together(net, x, sigma, per_pass), torch.stack(alone), 1e-10)


def test_guidance_chunks_repeat_the_features_and_keep_their_conditioning(content, style_a):
    prompts = torch.randn(2, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
    x, guided = latents(7, 10), SmallNet(prompts.repeat_interleave(5, 0))
    for per_pass in (2, 5, 8):
        both = Stylizer(content, style_a, Steering())(guided, x, SIGMAS[2], per_pass, chunks=2)
        for chunk in range(2):
            rows = slice(5 * chunk, 5 * chunk + 5)
            single = SmallNet(prompts[chunk : chunk + 1].expand(5, -1))
            close(both[rows], Stylizer(content, style_a, Steering())(single, x[rows], SIGMAS[2], 5))


def test_content_that_converged_comes_back(net, style_a):
    """gamma 1, alpha 0, no AdaIN: the content's own features, so sampling undoes a converged inversion to rounding."""
    content = record(net, CONTENT, corrections=80, sigmas=SIGMAS.double())
    style = style_a.captures[0]._replace(sigmas=SIGMAS.double())
    result = transfer(net, content, Style((style,), (1.0,)), alpha=0, gamma=1, adain_mode="none")
    close(result, CONTENT, 1e-10)


@pytest.mark.parametrize("steering", [Steering(), Steering(alpha=0), Steering(alpha=1), Steering(alpha=1, gamma=0)])
@pytest.mark.parametrize(("chunks", "per_pass"), [(1, 3), (2, 3), (1, 16)])
def test_features_evaluated_again_are_the_kept_ones(net, content, steering, chunks, per_pass):
    """One after the other, or, where one pass has room, content, style and sample together."""
    style = record(net, STYLE_B)
    x = latents(7, 5).repeat(chunks, 1, 1, 1)
    kept, again = (
        Stylizer(clips[0], Style((clips[1],), (1.0,)), steering)(net, x, SIGMAS[1], per_pass, chunks)
        for clips in ((content, style), (content._replace(bank=None), style._replace(bank=None)))
    )
    close(again, kept)


@pytest.mark.parametrize(
    ("start", "end", "steps"),
    [(0, 1, [0, 1, 2, 3]), (0.5, 1, [2, 3]), (0.25, 0.75, [1, 2]), (0.2, 0.3, [1]), (0, 0, []), (1, 1, [])],
)
def test_start_and_end_limit_the_injected_steps(net, content, style_a, start, end, steps):
    net.calls.clear()
    transfer(net, content, style_a, start_percent=start, end_percent=end)
    assert [step for step, (_, hook) in enumerate(net.calls) if hook is not None] == steps


def test_what_does_not_belong_together_is_refused(net, content, style_a):
    with pytest.raises(ValueError, match="mask"):
        Stylizer(content, style_a, Steering(), torch.ones(2, 32, 48))
    other = record(net, STYLE_A, sites=(FINE,))
    with pytest.raises(ValueError, match="style"):
        Stylizer(content, Style((style_a.captures[0], other), (0.5, 0.5)), Steering())
    for x in (latents(0, 5, width=8), latents(0, 4), latents(0, 10)):
        with pytest.raises(ValueError, match="latents"):
            Stylizer(content, style_a, Steering())(net, x, SIGMAS[1], 8)


@pytest.mark.parametrize("chunks", [1, 2])
@pytest.mark.parametrize("nodes", [[3, 2, 2, 1, 1, 0, 0], [3, 3, 1, 2, 0, 3, 0]])  # heun; one that goes back
def test_a_sampler_that_jumps_gets_the_features_of_its_own_node(net, content, style_a, nodes, chunks):
    x, stylizer = latents(7, 5).repeat(chunks, 1, 1, 1), Stylizer(content, style_a, Steering())
    for sigma in SIGMAS[nodes] * 1.1:
        bare = Stylizer(content, style_a, Steering())(net, x, sigma, 5, chunks)
        close(stylizer(net, x, sigma, 2, chunks), bare)
