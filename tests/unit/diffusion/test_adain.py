"""Start statistics against NumPy statements of the same maths."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from stylus_ops.dials import Steering
from stylus_ops.diffusion.adain import adain, efdm, match_statistics

SEEDS = st.integers(0, 2**31)


def latents(seed: int, *shape: int, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    """Noise whose channels differ in mean and deviation."""
    noise = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    channel = torch.arange(shape[1], dtype=torch.float64)[:, None, None]
    return noise * (scale + 0.3 * channel) + shift - 0.2 * channel


def channel(x: Tensor, c: int) -> np.ndarray:
    return x[:, c].numpy().ravel()


@settings(deadline=None, derandomize=True, max_examples=30)
@given(SEEDS, st.integers(1, 3), st.integers(1, 3))
def test_adain_moves_every_channel_to_the_styles_mean_and_deviation(seed, windows, style_windows):
    content = latents(seed, windows, 4, 6, 8)
    style = latents(seed + 1, style_windows, 4, 6, 11, scale=2.5, shift=1.5)
    out = adain(content, [style], [1.0])
    assert out.shape == content.shape
    for c in range(4):
        x, s = channel(content, c), channel(style, c)
        expected = (x - x.mean()) / x.std(ddof=1) * s.std(ddof=1) + s.mean()
        np.testing.assert_allclose(channel(out, c), expected, rtol=1e-10, atol=1e-12)


def test_statistics_are_of_the_whole_clip_not_of_each_window():
    content = torch.cat([latents(0, 1, 4, 6, 8, shift=5), latents(1, 1, 4, 6, 8, shift=-5)])
    out = adain(content, [latents(2, 1, 4, 6, 8)], [1.0])
    assert (out[0].mean((1, 2)) - out[1].mean((1, 2)) > 1).all()


@settings(deadline=None, derandomize=True, max_examples=30)
@given(SEEDS, st.floats(0, 1))
def test_styles_blend_their_means_and_deviations(seed, beta):
    content = latents(seed, 2, 4, 5, 6)
    a, b = latents(seed + 1, 1, 4, 5, 6, scale=3), latents(seed + 2, 2, 4, 5, 9, shift=-4)
    out = adain(content, [a, b], [1 - beta, beta])
    for c in range(4):
        xa, xb, result = channel(a, c), channel(b, c), channel(out, c)
        np.testing.assert_allclose(result.mean(), (1 - beta) * xa.mean() + beta * xb.mean(), atol=1e-10)
        np.testing.assert_allclose(result.std(ddof=1), (1 - beta) * xa.std(ddof=1) + beta * xb.std(ddof=1), rtol=1e-10)


@pytest.mark.parametrize("restyle", [adain, efdm])
def test_content_as_its_own_style_stays(restyle):
    content = latents(3, 2, 4, 6, 8)
    torch.testing.assert_close(restyle(content, [content], [1.0]), content, rtol=0, atol=1e-12)


def test_adain_survives_a_constant_channel():
    content = latents(4, 1, 4, 6, 8)
    content[:, 2] = 0.25
    style = latents(5, 1, 4, 6, 8)
    out = adain(content, [style], [1.0])
    torch.testing.assert_close(out[:, 2], style[:, 2].mean().expand_as(out[:, 2]))
    assert torch.isfinite(out).all()


@settings(deadline=None, derandomize=True, max_examples=30)
@given(SEEDS)
def test_efdm_gives_each_channel_the_styles_values_in_the_contents_order(seed):
    content, style = latents(seed, 2, 4, 5, 6), latents(seed + 1, 1, 4, 6, 10, scale=2)
    out = efdm(content, [style], [1.0])
    for c in range(4):
        x, s = channel(content, c), channel(style, c)
        expected = np.empty_like(x)
        expected[np.argsort(x)] = np.sort(s)
        np.testing.assert_array_equal(channel(out, c), expected)


def test_efdm_interpolates_between_ranks_where_counts_differ():
    content, style = latents(6, 1, 4, 5, 6), latents(7, 1, 4, 5, 17, shift=3)
    out = efdm(content, [style], [1.0])
    for c in range(4):
        x, s = channel(content, c), np.sort(channel(style, c))
        ranks = np.argsort(np.argsort(x)) / (x.size - 1) * (s.size - 1)
        np.testing.assert_allclose(channel(out, c), np.interp(ranks, np.arange(s.size), s), rtol=1e-5)


def test_efdm_blends_the_styles_ordered_values():
    content, a, b = (latents(seed, 1, 4, 4, 5, shift=seed) for seed in (8, 9, 10))
    out = efdm(content, [a, b], [0.3, 0.7])
    for c in range(4):
        blended = 0.3 * np.sort(channel(a, c)) + 0.7 * np.sort(channel(b, c))
        np.testing.assert_allclose(np.sort(channel(out, c)), blended, rtol=1e-12)


@pytest.mark.parametrize(("mode", "restyle"), [("adain", adain), ("efdm", efdm)])
@pytest.mark.parametrize("strength", [0.0, 0.4, 1.0])
def test_strength_runs_from_the_content_to_the_full_effect(mode, restyle, strength):
    content, style = latents(11, 2, 4, 5, 6), latents(12, 2, 4, 5, 6, scale=2, shift=1)
    out = match_statistics(content, [style], [1.0], Steering(adain_mode=mode, adain=strength))
    expected = (1 - strength) * content + strength * restyle(content, [style], [1.0])
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)


def test_defaults_are_adain_at_full_strength_and_none_leaves_the_content():
    content, style = latents(13, 1, 4, 5, 6), latents(14, 1, 4, 5, 6, shift=2)
    assert torch.equal(match_statistics(content, [style], [1.0], Steering()), adain(content, [style], [1.0]))
    assert torch.equal(match_statistics(content, [style], [1.0], Steering(adain_mode="none")), content)
