import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stylus_ops.diffusion.features import Inversion, Style, blend, check_same_schedule, choose_policy
from stylus_ops.diffusion.sites import Site

SITES: tuple[Site, ...] = ((6, 0), (9, 0))
SIGMAS = torch.tensor([0.1, 1.0, 10.0])


def capture(
    seed: int = 0, sigmas: torch.Tensor = SIGMAS, sites: tuple[Site, ...] = SITES, height: int = 4, channels: int = 4
) -> Inversion:
    noise = torch.randn(1, channels, height, 6, generator=torch.Generator().manual_seed(seed))
    return Inversion(sigmas, noise.expand(len(sigmas), *noise.shape), noise, sites, None, valid_width=6)


def single(seed: int = 0) -> Style:
    return Style((capture(seed),), (1.0,))


@settings(deadline=None, derandomize=True)
@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=5), st.floats(0.01, 0.99))
def test_any_number_of_styles_share_by_their_weights_and_blends_chain(weights, share):
    styles = [single(seed) for seed in range(len(weights))]
    style = blend([blend(styles, weights), single(9)], [1 - share, share])
    expected = [(1 - share) * weight / sum(weights) for weight in weights]
    assert style.weights == pytest.approx((*expected, share))
    assert sum(style.weights) == pytest.approx(1)
    for kept, source in zip(style.captures, (*styles, single(9)), strict=True):
        assert torch.equal(kept.noise, source.captures[0].noise)


def test_a_style_without_a_share_is_left_out():
    style = blend([single(1), single(2)], [0.0, 2.0])
    assert [torch.equal(capture.noise, single(2).captures[0].noise) for capture in style.captures] == [True]
    assert style.weights == (1.0,)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (capture(sigmas=SIGMAS * 1.01), "steps"),
        (capture(sites=((6, 0),)), "sites"),
        (capture(height=8), "preset"),
        (capture(channels=16), "VAE"),
    ],
)
def test_clips_taken_differently_are_refused_by_the_setting_that_differs(other, words):
    with pytest.raises(ValueError, match=f"^style .*{words}"):
        check_same_schedule(capture(), other, "style", "the content")
    with pytest.raises(ValueError, match="style 2"):
        blend([single(), Style((other,), (1.0,))])


@pytest.mark.parametrize(("needed", "policy"), [(99, "cache"), (101, "disk"), (499, "disk"), (501, "recompute")])
def test_auto_keeps_features_where_there_is_room(needed, policy):
    """A quarter of the free memory, then half of the disk."""
    assert choose_policy("auto", needed, free=400, disk=1000) == policy
    assert choose_policy("auto", needed, free=400) == ("cache" if policy == "cache" else "recompute")
