import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stylus_ops.diffusion.features import Inversion, Style, bank_bytes, blend, check_same_schedule, choose_policy
from stylus_ops.diffusion.sites import Site

SITES: tuple[Site, ...] = ((6, 0), (9, 0))
SIGMAS = torch.tensor([0.1, 1.0, 10.0])


def capture(
    seed: int = 0,
    sigmas: torch.Tensor = SIGMAS,
    sites: tuple[Site, ...] = SITES,
    height: int = 4,
    channels: int = 4,
    width: int = 6,
) -> Inversion:
    noise = torch.randn(1, channels, height, width, generator=torch.Generator().manual_seed(seed))
    return Inversion(sigmas, noise.expand(len(sigmas), *noise.shape), noise, sites, None, valid_width=width)


def single(seed: int = 0) -> Style:
    return Style((capture(seed),), (1.0,))


def test_statistics_leave_the_padding_out():
    clip = capture()._replace(valid_width=4)
    assert torch.equal(clip.statistics, clip.noise[:, :, :, :4])


@settings(deadline=None, derandomize=True)
@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_blends_chain_and_their_weights_sum_to_one(beta, gamma):
    a, b, c = single(1), single(2), single(3)
    style = blend(blend(a, b, beta), c, gamma)
    assert [clip.noise is single.captures[0].noise for clip, single in zip(style.captures, (a, b, c), strict=True)] == [
        True
    ] * 3
    assert style.weights == pytest.approx(((1 - gamma) * (1 - beta), (1 - gamma) * beta, gamma))
    assert sum(style.weights) == pytest.approx(1)


@pytest.mark.parametrize(("beta", "kept"), [(0, 0), (1, 1), (0.0, 0), (1.0, 1)])
def test_beta_0_and_1_are_the_single_styles(beta, kept):
    styles = single(1), single(2)
    style = blend(*styles, beta)
    assert len(style.captures) == 1
    assert style.captures[0].noise is styles[kept].captures[0].noise
    assert style.weights == (1.0,)


@pytest.mark.parametrize("beta", [-0.1, 1.1, float("nan"), float("inf")])
def test_beta_out_of_range_is_refused_in_words(beta):
    with pytest.raises(ValueError, match=r"beta is .*from 0"):
        blend(single(1), single(2), beta)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (capture(sigmas=SIGMAS[:2]), r"2 steps.*3"),
        (capture(sigmas=SIGMAS * 1.01), "noise schedule"),
        (capture(sites=((6, 0),)), "decoder blocks 6 and the content at 6, 9"),
        (capture(height=8), r"height 8.*4"),
        (capture(channels=16), "16 channels"),
    ],
)
def test_clips_taken_differently_are_refused_by_the_setting_that_differs(other, words):
    with pytest.raises(ValueError, match=f"^style .*{words}"):
        check_same_schedule(capture(), other, "style", "the content")
    with pytest.raises(ValueError, match="style_b"):
        blend(single(), Style((other,), (1.0,)), 0.5)


def test_another_length_belongs_together():
    check_same_schedule(capture(width=6), capture(width=20), "style", "the content")


def test_bank_bytes_counts_every_node_and_site():
    bank = tuple((torch.zeros(2, 24, 8), torch.zeros(2, 96, 4, dtype=torch.float16)) for _ in range(3))
    assert bank_bytes(bank) == 3 * (2 * 24 * 8 * 4 + 2 * 96 * 4 * 2)
    assert bank_bytes(None) == 0


@pytest.mark.parametrize("policy", ["cache", "cache fp16", "recompute"])
def test_a_policy_asked_for_is_taken(policy):
    assert choose_policy(policy, needed=10**12, free=0) == policy
    assert choose_policy(policy, needed=0, free=10**12) == policy


@pytest.mark.parametrize(("needed", "policy"), [(0, "cache"), (99, "cache"), (101, "recompute"), (10**9, "recompute")])
def test_auto_caches_within_a_quarter_of_the_free_memory(needed, policy):
    assert choose_policy("auto", needed, free=400) == policy
