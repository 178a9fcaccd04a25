"""The hook against kept queries, keys and values and the plain reference's softmax, both in float64."""

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from stylus_ops.dials import Steering
from stylus_ops.diffusion.attention import Injection, site_size
from stylus_ops.diffusion.sites import Site
from tests.parity.reference import softmax_attention

SITE: Site = (9, 0)
HEADS, WIDTH, TOKENS = 2, 8, 24
LATENT_SIZE = (4, 6)


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


TO_Q, TO_K, TO_V = (1.5 * noise(seed, WIDTH, WIDTH) / math.sqrt(WIDTH) for seed in range(3))


def host_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """What a host offers: one call, equal batches, heads folded into channels."""
    assert len(q) == len(k) == len(v)
    q, k, v = (t.unflatten(-1, (HEADS, -1)).transpose(1, 2) for t in (q, k, v))
    return scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def expected(
    hidden: Tensor, content: Tensor, styles: Sequence[Tensor], weights: Sequence[float], steering: Steering
) -> Tensor:
    """The method from q, k, v that were kept of every clip."""
    q = steering.temperature * (steering.gamma * (content @ TO_Q) + (1 - steering.gamma) * (hidden @ TO_Q))
    phi_c = softmax_attention(q, content @ TO_K, content @ TO_V, HEADS)
    phi_s = torch.zeros_like(phi_c)
    for style, weight in zip(styles, weights, strict=True):
        tokens = style.flatten(0, 1).expand(len(q), -1, -1)
        phi_s += weight * softmax_attention(q, tokens @ TO_K, tokens @ TO_V, HEADS)
    return phi_c + steering.alpha * (phi_s - phi_c)


def injection(content: Tensor, styles: Sequence[Tensor], weights: Sequence[float], steering: Steering) -> Injection:
    return Injection({SITE: content}, [{SITE: style} for style in styles], weights, steering, LATENT_SIZE)


HIDDEN, CONTENT = noise(10, 3, TOKENS, WIDTH), noise(11, 3, TOKENS, WIDTH)
STYLE_A = noise(12, 1, TOKENS, WIDTH)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    gamma=st.sampled_from([0.0, 0.75, 1.0]) | st.floats(0, 1),
    alpha=st.sampled_from([0.0, 0.9, 1.0]) | st.floats(0, 2),
    tau=st.floats(0.1, 4),
    beta=st.sampled_from([0.0, 1.0]) | st.floats(0, 1),
    style_windows=st.integers(1, 3),
    style_tokens=st.integers(1, 40),
)
def test_hidden_states_give_the_attention_of_kept_queries_keys_and_values(
    gamma, alpha, tau, beta, style_windows, style_tokens
):
    steering = Steering(alpha, gamma, tau)
    styles, weights = [STYLE_A, noise(14, style_windows, style_tokens, WIDTH)], [1 - beta, beta]
    hook = injection(CONTENT, styles, weights, steering)
    query, source = hook.tokens(SITE, HIDDEN)
    actual = hook.attend(SITE, query @ TO_Q, source @ TO_K, source @ TO_V, host_attention)
    torch.testing.assert_close(actual, expected(HIDDEN, CONTENT, styles, weights, steering), rtol=0, atol=1e-12)


@settings(deadline=None, derandomize=True)
@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 4))
def test_site_size_follows_the_models_stride_2_convolutions(height, width, halvings):
    grid = torch.empty(1, 1, height, width, device="meta")
    for _ in range(halvings):
        grid = torch.nn.Conv2d(1, 1, 3, stride=2, padding=1, device="meta")(grid)
    assert site_size(grid[0, 0].numel(), (height, width)) == grid.shape[2:]


@pytest.mark.parametrize(("tokens", "latent_size"), [(23, (4, 6)), (0, (4, 6)), (600, (32, 32))])
def test_tokens_that_no_halving_gives_are_refused(tokens, latent_size):
    with pytest.raises(ValueError, match=f"{tokens} tokens"):
        site_size(tokens, latent_size)


@pytest.mark.parametrize("hidden", [HIDDEN[:, :12], HIDDEN[:2], noise(1, 3, TOKENS + 1, WIDTH)])
def test_tokens_unlike_the_recorded_ones_are_refused(hidden):
    with pytest.raises(ValueError, match="decoder block 9"):
        injection(CONTENT, [STYLE_A], [1.0], Steering()).tokens(SITE, hidden)
