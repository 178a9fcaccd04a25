"""The passes over a network small enough to say what every row should be."""

import pytest
import torch
from torch import Tensor

from stylus_ops.dials import Schedule, Steering
from stylus_ops.diffusion.attention import Capture
from stylus_ops.diffusion.features import Inversion, Style, blend
from stylus_ops.diffusion.recorder import Recorder
from stylus_ops.diffusion.recorder import record as write
from stylus_ops.diffusion.sampling import sample
from stylus_ops.diffusion.stylizer import Stylizer
from tests.small_net import CONTENT, FINE, SIGMAS, SITES, STYLE_A, STYLE_B, WIDTH, SmallNet, latents, record


def transfer(
    net: SmallNet,
    content: Inversion,
    style: Style,
    steering: Steering,
    per_pass: int = 8,
    mask: Tensor | None = None,
) -> Tensor:
    stylizer = Stylizer(content, style, steering, mask)
    return sample(lambda x, sigma: stylizer(net, x, sigma, per_pass), stylizer.start_latents(), content.sigmas)


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


@pytest.fixture(scope="module")
def style_b(net: SmallNet) -> Style:
    return Style((record(net, STYLE_B),), (1.0,))


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
    result = transfer(net, split[0], Style((split[1],), (1.0,)), Steering(), per_pass=per_pass)
    assert max(call.windows for call in net.calls) <= per_pass
    close(result, transfer(net, whole[0], Style((whole[1],), (1.0,)), Steering()))


@pytest.mark.parametrize("per_pass", [1, 2, 5])
def test_every_window_is_evaluated_with_its_own_conditioning(per_pass):
    """Each row of a conditioned batch equals that clip alone, under its own prompt."""
    prompts = torch.randn(5, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
    conditioned = record(SmallNet(prompts), CONTENT, per_pass)
    for b in range(5):
        alone = record(SmallNet(prompts[b : b + 1]), CONTENT[b : b + 1])
        close(conditioned.noise[b : b + 1], alone.noise)
        for together, single in zip(conditioned.bank or (), alone.bank or (), strict=True):
            close(together[1][b : b + 1], single[1])


@pytest.mark.parametrize("corrections", [1, 3])
def test_features_are_those_of_each_nodes_last_evaluation(net, corrections):
    clip = record(net, CONTENT, per_pass=2, corrections=corrections)
    assert clip.bank is not None
    assert len(clip.bank) == len(SIGMAS)
    for point, sigma, kept in zip(clip.trajectory, SIGMAS, clip.bank, strict=True):
        hook = Capture(SITES)
        net(point, sigma, None, hook)
        for site, features in zip(SITES, kept, strict=True):
            close(features, hook.features[site])
    assert clip.bank[0][0].shape == (5, 6, WIDTH)
    assert clip.bank[0][1].shape == (5, 24, WIDTH)


@pytest.mark.parametrize("corrections", [1, 3])
def test_nothing_is_recorded_of_evaluations_that_are_corrected(net, corrections):
    net.calls.clear()
    record(net, CONTENT, per_pass=5, corrections=corrections)
    recorded = [call.hook is not None for call in net.calls]
    assert recorded == ([False] * (corrections - 1) + [True]) * len(SIGMAS)


def test_the_banks_dtype_is_the_one_asked_for(net, content, style_a):
    half = record(net, CONTENT, features="cache_fp16"), record(net, STYLE_A, features="cache_fp16")
    assert {kept.dtype for node in half[0].bank or () for kept in node} == {torch.float16}
    result, wanted = (
        transfer(net, half[0], Style((half[1],), (1.0,)), Steering()),
        transfer(net, content, style_a, Steering()),
    )
    close(result, wanted, 0.02)
    assert not torch.equal(result, wanted)


def test_recompute_keeps_no_features_and_gives_the_cached_result(net, content, style_a, style_b):
    bare = [record(net, clip, features="recompute") for clip in (CONTENT, STYLE_A, STYLE_B)]
    assert [clip.bank for clip in bare] == [None] * 3
    for steering in (Steering(), Steering(alpha=1, gamma=0.3, temperature=1.5)):
        wanted = transfer(net, content, blend([style_a, style_b], [0.6, 0.4]), steering)
        styles = [Style((clip,), (1.0,)) for clip in bare[1:]]
        close(transfer(net, bare[0], blend(styles, [0.6, 0.4]), steering, 2), wanted)
        close(transfer(net, bare[0], blend([style_a, styles[1]], [0.6, 0.4]), steering), wanted)


def test_features_on_disk_give_the_cached_result_to_the_bit(net, content, style_a, tmp_path):
    kept = [record(net, clip, features="disk", folder=tmp_path) for clip in (CONTENT, STYLE_A)]
    for clip, cached in zip(kept, (content, style_a.captures[0]), strict=True):
        assert all(map(torch.equal, tensors(clip), tensors(cached)))
    result = transfer(net, kept[0], Style((kept[1],), (1.0,)), Steering())
    assert torch.equal(result, transfer(net, content, style_a, Steering()))


def test_cached_features_cost_one_evaluation_a_step_whatever_the_dials(net, content, style_a, style_b):
    for steering in (Steering(), Steering(0.2, 0.1, 2.0)):
        for beta in (0.3, 0.8):
            net.calls.clear()
            transfer(net, content, blend([style_a, style_b], [1 - beta, beta]), steering)
            assert [call.windows for call in net.calls] == [len(CONTENT)] * len(SIGMAS)


@pytest.mark.parametrize(
    ("steering", "content_windows", "style_windows"),
    [(Steering(), 5, 3), (Steering(alpha=0), 5, 0), (Steering(alpha=1), 5, 3), (Steering(alpha=1, gamma=0), 0, 3)],
)
@pytest.mark.parametrize("chunks", [1, 2])
def test_recompute_evaluates_once_what_the_dials_read(
    net, content, style_a, steering, content_windows, style_windows, chunks
):
    bare = [clip._replace(bank=None) for clip in (content, style_a.captures[0])]
    stylizer, x = Stylizer(bare[0], Style((bare[1],), (1.0,)), steering), latents(7, 5).repeat(chunks, 1, 1, 1)
    net.calls.clear()
    result = stylizer(net, x, SIGMAS[1], 3, chunks)
    assert sum(call.windows for call in net.calls) == content_windows + style_windows + 5 * chunks
    close(result, Stylizer(content, style_a, steering)(net, x, SIGMAS[1], 3, chunks))


def test_sampling_leaves_what_was_captured_as_it_was(net, content, style_a):
    kept = [t.clone() for clip in (content, style_a.captures[0]) for t in tensors(clip)]
    first = transfer(net, content, style_a, Steering())
    steering = Steering(alpha=0.2, gamma=0.1, temperature=3, adain_mode="efdm", adain=0.5)
    transfer(net, content, style_a, steering, mask=torch.rand(1, 32, 48))
    for before, after in zip(kept, [t for clip in (content, style_a.captures[0]) for t in tensors(clip)], strict=True):
        assert torch.equal(before, after)
    assert torch.equal(transfer(net, content, style_a, Steering()), first)


def test_an_inversion_stays_as_it_is_when_its_recorder_and_latents_are_used_again(net):
    recorder, clip = Recorder(SIGMAS, SITES), CONTENT.clone()

    def run(x: Tensor) -> Inversion:
        return write(recorder, lambda x, sigma: recorder(net, x, sigma, 8), x, Schedule())

    first = run(clip)
    kept = [t.clone() for t in tensors(first)]
    clip.zero_()
    run(clip)
    for before, after in zip(kept, tensors(first), strict=True):
        assert torch.equal(before, after)


def injected_steps(net: SmallNet, content: Inversion, style: Style, start: float, end: float) -> list[int]:
    net.calls.clear()
    transfer(net, content, style, Steering(start_percent=start, end_percent=end))
    return [step for step, call in enumerate(net.calls) if call.hook is not None]


@pytest.mark.parametrize(
    ("start", "end", "steps"),
    [
        (0, 1, [0, 1, 2, 3]),
        (0.5, 1, [2, 3]),
        (0, 0.5, [0, 1]),
        (0.25, 0.75, [1, 2]),
        (0.2, 0.3, [1]),
        (0, 0, []),
        (1, 1, []),
    ],
)
def test_start_and_end_limit_the_injected_steps(net, content, style_a, start, end, steps):
    assert injected_steps(net, content, style_a, start, end) == steps


def test_without_injected_steps_sampling_is_plain(net, content, style_a):
    stylizer = Stylizer(content, style_a, Steering())
    plain = sample(lambda x, sigma: net(x, sigma, None, None), stylizer.start_latents(), SIGMAS)
    assert torch.equal(transfer(net, content, style_a, Steering(end_percent=0)), plain)
    assert (transfer(net, content, style_a, Steering()) - plain).abs().max() > 0.05


def test_padding_stays_out_of_statistics_and_is_not_moved(net):
    """Whatever the padding holds, the valid part starts the same, with the statistics of the style's valid part."""
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


@pytest.mark.parametrize("mode", ["adain", "efdm"])
@pytest.mark.parametrize("rows", [1, 5])
def test_a_mask_blends_the_start(content, style_a, mode, rows):
    mask = torch.zeros(rows, 32, 48)
    mask[:, :8, 24:] = 1
    mask[:, 8:, 40:] = 0.25
    start = Stylizer(content, style_a, Steering(adain_mode=mode), mask).start_latents()
    full = Stylizer(content, style_a, Steering(adain_mode=mode)).start_latents()
    assert torch.equal(start[..., :3], content.noise[..., :3])
    assert torch.equal(start[:, :, 1:, :5], content.noise[:, :, 1:, :5])
    close(start[:, :, :1, 3:], full[:, :, :1, 3:])
    close(start[:, :, 1:, 5], 0.75 * content.noise[:, :, 1:, 5] + 0.25 * full[:, :, 1:, 5])


def test_each_window_has_its_own_mask(net, content, style_a):
    masks = torch.rand(5, 32, 48, generator=torch.Generator().manual_seed(0))
    together = Stylizer(content, style_a, Steering(), masks)
    x = latents(7, 5)
    for sigma in SIGMAS:
        wanted = torch.cat(
            [Stylizer(content, style_a, Steering(), masks[b : b + 1])(net, x, sigma, 5)[b : b + 1] for b in range(5)]
        )
        for per_pass in (1, 2, 5):
            close(together(net, x, sigma, per_pass), wanted, 1e-10)


def test_guidance_chunks_repeat_the_features_and_keep_their_conditioning(content, style_a):
    prompts = torch.randn(2, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
    x = latents(7, 10)
    for per_pass in (2, 5, 8):
        both = Stylizer(content, style_a, Steering())(
            SmallNet(prompts.repeat_interleave(5, 0)), x, SIGMAS[2], per_pass, chunks=2
        )
        for chunk in range(2):
            rows = slice(5 * chunk, 5 * chunk + 5)
            single = SmallNet(prompts[chunk : chunk + 1].expand(5, -1))
            close(both[rows], Stylizer(content, style_a, Steering())(single, x[rows], SIGMAS[2], 5))


def test_off_the_schedule_the_nearest_node_serves(net, content, style_a):
    """Features of the node nearest in log sigma; the evaluation itself stays at the sigma asked for."""
    x, sigma = latents(7, 5), torch.tensor(2.4, dtype=torch.float64)
    recorder = Recorder(sigma[None], SITES)
    clips = []
    for clip in (content, style_a.captures[0]):
        assert clip.bank is not None
        one_node = write(recorder, lambda x, s: recorder(net, x, s, 8), CONTENT, Schedule())
        clips.append(one_node._replace(bank=(clip.bank[2],), noise=clip.noise))
    only = Stylizer(clips[0], Style((clips[1],), (1.0,)), Steering())
    assert torch.equal(Stylizer(content, style_a, Steering())(net, x, sigma, 8), only(net, x, sigma, 8))


def test_content_that_converged_comes_back(net, style_a):
    """gamma 1, alpha 0, no AdaIN: the content's own features, so sampling undoes a converged inversion to rounding."""
    content = record(net, CONTENT, corrections=80, sigmas=SIGMAS.double())
    style = style_a.captures[0]._replace(sigmas=SIGMAS.double())
    result = transfer(net, content, Style((style,), (1.0,)), Steering(alpha=0, gamma=1, adain_mode="none"))
    close(result, CONTENT, 1e-10)


def test_with_the_content_as_style_alpha_changes_nothing(net):
    clip = record(net, STYLE_B)
    own = Style((clip,), (1.0,))
    results = [transfer(net, clip, own, Steering(alpha=alpha)) for alpha in (0, 0.5, 0.9, 1, 1.5)]
    for result in results[1:]:
        close(result, results[0])


def test_beta_0_and_1_are_the_single_styles(net, content, style_a, style_b):
    for beta, single in ((0, style_a), (1, style_b)):
        assert torch.equal(
            transfer(net, content, blend([style_a, style_b], [1 - beta, beta]), Steering()),
            transfer(net, content, single, Steering()),
        )
    halves = transfer(net, content, blend([style_a, style_a]), Steering())
    close(halves, transfer(net, content, style_a, Steering()))


def test_a_mask_of_another_number_of_windows_is_refused(content, style_a):
    with pytest.raises(ValueError, match="mask has 2 images"):
        Stylizer(content, style_a, Steering(), torch.ones(2, 32, 48))


def test_a_style_captured_otherwise_is_refused(net, content, style_a):
    for other, words in (
        (record(net, STYLE_A, sites=(FINE,)), "sites"),
        (record(net, STYLE_A, sigmas=SIGMAS[:3]), "steps"),
        (style_a.captures[0]._replace(noise=latents(0, 3)[:, :, :2]), "preset"),
    ):
        with pytest.raises(ValueError, match=f"style .*{words}"):
            Stylizer(content, Style((style_a.captures[0], other), (0.5, 0.5)), Steering())


@pytest.mark.parametrize("x", [latents(0, 5, width=8), latents(0, 4), latents(0, 10)])
def test_latents_of_another_size_are_refused(net, content, style_a, x):
    with pytest.raises(ValueError, match="latents"):
        Stylizer(content, style_a, Steering())(net, x, SIGMAS[1], 8)
