"""The hook against kept queries, keys and values and a dense softmax, both in float64."""

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from stylus_ops.dials import Steering
from stylus_ops.diffusion.attention import Capture, Injection, site_size
from stylus_ops.diffusion.host import Hook
from stylus_ops.diffusion.sites import Site

SITE: Site = (9, 0)
HEADS, WIDTH = 2, 8
LATENT_SIZE = (4, 6)
TOKENS = 24


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


TO_Q, TO_K, TO_V = (1.5 * noise(seed, WIDTH, WIDTH) / math.sqrt(WIDTH) for seed in range(3))


def host_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """What a host offers: one call, equal batches, heads folded into channels."""
    assert len(q) == len(k) == len(v)
    q, k, v = (t.unflatten(-1, (HEADS, -1)).transpose(1, 2) for t in (q, k, v))
    return scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def run(hook: Hook, hidden: Tensor, site: Site = SITE, attend=host_attention) -> Tensor:
    """A self-attention layer of a host, up to `to_out`."""
    query, source = hook.tokens(site, hidden)
    to_q, to_k, to_v = (weight.to(hidden.dtype) for weight in (TO_Q, TO_K, TO_V))
    return hook.attend(site, query @ to_q, source @ to_k, source @ to_v, attend)


def dense(q: Tensor, k: Tensor, v: Tensor, tau: float = 1.0) -> Tensor:
    """softmax(tau q k^T / sqrt(d)) v head by head, [N, C] each."""
    heads = []
    for h in range(HEADS):
        part = slice(h * WIDTH // HEADS, (h + 1) * WIDTH // HEADS)
        logits = tau * q[:, part] @ k[:, part].T / math.sqrt(WIDTH // HEADS)
        exponentials = logits.exp()
        heads.append(exponentials / exponentials.sum(1, keepdim=True) @ v[:, part])
    return torch.cat(heads, dim=1)


def expected(
    hidden: Tensor,
    content: Tensor,
    styles: Sequence[Tensor],
    weights: Sequence[float],
    steering: Steering,
    alpha: Tensor | None = None,
) -> Tensor:
    """The method row by row from q, k, v that were kept of every clip. `alpha`: [B, N, 1] in place of the dial."""
    rows = []
    for b in range(len(hidden)):
        q = steering.gamma * (content[b] @ TO_Q) + (1 - steering.gamma) * (hidden[b] @ TO_Q)
        phi_c = dense(q, content[b] @ TO_K, content[b] @ TO_V, steering.temperature)
        phi_s = torch.zeros_like(phi_c)
        for style, weight in zip(styles, weights, strict=True):
            tokens = torch.cat(list(style))
            phi_s += weight * dense(q, tokens @ TO_K, tokens @ TO_V, steering.temperature)
        strength = steering.alpha if alpha is None else alpha[b]
        rows.append(phi_c + strength * (phi_s - phi_c))
    return torch.stack(rows)


def injection(
    content: Tensor, styles: Sequence[Tensor], weights: Sequence[float], steering: Steering, mask: Tensor | None = None
) -> Injection:
    return Injection({SITE: content}, [{SITE: style} for style in styles], weights, steering, LATENT_SIZE, mask)


def assert_close(actual: Tensor, wanted: Tensor, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(actual.double(), wanted, rtol=0, atol=tolerance)


HIDDEN, CONTENT = noise(10, 3, TOKENS, WIDTH), noise(11, 3, TOKENS, WIDTH)
STYLE_A, STYLE_B = noise(12, 1, TOKENS, WIDTH), noise(13, 2, 10, WIDTH)


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
    actual = run(injection(CONTENT, styles, weights, steering), HIDDEN)
    assert_close(actual, expected(HIDDEN, CONTENT, styles, weights, steering))


def test_every_dial_moves_the_result():
    base = run(injection(CONTENT, [STYLE_A], [1.0], Steering()), HIDDEN)
    for other in (Steering(alpha=0.8), Steering(gamma=0.65), Steering(temperature=1.2)):
        assert (run(injection(CONTENT, [STYLE_A], [1.0], other), HIDDEN) - base).abs().max() > 0.01


def test_full_guidance_is_a_pure_key_value_swap():
    """alpha 1, gamma 0: the running sample's queries over the style's keys and values, as if the style were the context."""
    actual = run(injection(CONTENT, [STYLE_B], [1.0], Steering(alpha=1, gamma=0)), HIDDEN)
    tokens = STYLE_B.flatten(0, 1)
    for row, hidden in zip(actual, HIDDEN, strict=True):
        assert_close(row, dense(hidden @ TO_Q, tokens @ TO_K, tokens @ TO_V))


@pytest.mark.parametrize(("alpha", "skipped_branch"), [(0.0, "style"), (1.0, "content")])
def test_the_branch_that_weighs_nothing_is_neither_packed_nor_attended(alpha, skipped_branch):
    contexts = []

    def counting(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        contexts.append(k.shape[1])
        return host_attention(q, k, v)

    hook = injection(CONTENT, [STYLE_B], [1.0], Steering(alpha=alpha))
    run(hook, HIDDEN, attend=counting)
    assert contexts == [TOKENS if skipped_branch == "style" else 20]
    packed = hook.tokens(SITE, HIDDEN)[1]
    assert packed.shape == (1, 3 * TOKENS if skipped_branch == "style" else 20, WIDTH)


def test_skipped_branches_are_the_limits_of_the_mixture():
    for alpha, beside in ((0.0, 1e-9), (1.0, 1 - 1e-9)):
        exact, near = (run(injection(CONTENT, [STYLE_B], [1.0], Steering(a)), HIDDEN) for a in (alpha, beside))
        assert_close(exact, near, 1e-8)


def test_weights_0_and_1_are_the_single_styles():
    for weights, style in (([1.0, 0.0], STYLE_A), ([0.0, 1.0], STYLE_B)):
        both = run(injection(CONTENT, [STYLE_A, STYLE_B], weights, Steering()), HIDDEN)
        assert_close(both, run(injection(CONTENT, [style], [1.0], Steering()), HIDDEN))


def test_with_the_content_as_style_the_guidance_changes_nothing():
    """One window, whose own tokens are the style's."""
    content, hidden = CONTENT[:1], HIDDEN[:1]
    results = [run(injection(content, [content], [1.0], Steering(alpha)), hidden) for alpha in (0, 0.3, 0.9, 1, 1.7)]
    for result in results[1:]:
        assert_close(result, results[0])


def test_windows_share_a_style_and_do_not_see_each_other():
    together = run(injection(CONTENT, [STYLE_B], [1.0], Steering()), HIDDEN)
    for b in range(3):
        alone = run(injection(CONTENT[b : b + 1], [STYLE_B], [1.0], Steering()), HIDDEN[b : b + 1])
        assert_close(together[b : b + 1], alone)


def test_a_styles_windows_are_one_sequence_in_any_order():
    a, b = (run(injection(CONTENT, [style], [1.0], Steering()), HIDDEN) for style in (STYLE_B, STYLE_B.flip(0)))
    assert_close(a, b)


def test_high_temperature_attends_to_the_best_match_alone():
    swap = Steering(alpha=1, gamma=0, temperature=10)
    actual = run(injection(CONTENT[:1], [STYLE_A], [1.0], swap), 1e5 * HIDDEN[:1])[0]
    half = WIDTH // HEADS
    q, k, v = HIDDEN[0] @ TO_Q, STYLE_A[0] @ TO_K, STYLE_A[0] @ TO_V
    for part in (slice(0, half), slice(half, None)):
        assert_close(actual[:, part], v[(q[:, part] @ k[:, part].T).argmax(1)][:, part], 1e-6)


@pytest.mark.parametrize(("dtype", "bank", "tolerance"), [("float32", "float32", 1e-5), ("float32", "float16", 5e-3)])
def test_features_are_used_in_the_models_dtype(dtype, bank, tolerance):
    model_dtype, bank_dtype = getattr(torch, dtype), getattr(torch, bank)
    hook = injection(CONTENT.to(bank_dtype), [STYLE_A.to(bank_dtype), STYLE_B.to(bank_dtype)], [0.4, 0.6], Steering())
    actual = run(hook, HIDDEN.to(model_dtype))
    assert actual.dtype == model_dtype
    assert_close(actual, expected(HIDDEN, CONTENT, [STYLE_A, STYLE_B], [0.4, 0.6], Steering()), tolerance)


def area_mean(mask: Tensor, height: int, width: int) -> Tensor:
    """[B, H, W] to [B, height * width, 1], means of equal rectangles, row by row."""
    batch, full_height, full_width = mask.shape
    blocks = mask.double().reshape(batch, height, full_height // height, width, full_width // width)
    return blocks.mean((2, 4)).reshape(batch, height * width, 1)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize(("site", "grid"), [((9, 0), (4, 6)), ((6, 0), (2, 3))])
def test_a_mask_scales_alpha_over_each_sites_tokens(rows, site, grid):
    mask = torch.rand(rows, 32, 48, generator=torch.Generator().manual_seed(5))
    mask[:, :, :16] = 0
    tokens = grid[0] * grid[1]
    hidden, content = HIDDEN[:, :tokens], CONTENT[:, :tokens]
    steering = Steering(alpha=0.8)
    hook = Injection({site: content}, [{site: STYLE_A}, {site: STYLE_B}], [0.4, 0.6], steering, LATENT_SIZE, mask)
    alpha = 0.8 * area_mean(mask, *grid).expand(3, -1, -1)
    wanted = expected(hidden, content, [STYLE_A, STYLE_B], [0.4, 0.6], steering, alpha)
    assert_close(run(hook, hidden, site), wanted, 1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.9, 1.0, 1.4])
def test_a_white_mask_is_no_mask_and_a_black_one_is_the_content(alpha):
    white, black, none, content = (
        run(injection(CONTENT, [STYLE_B], [1.0], Steering(strength), mask), HIDDEN)
        for strength, mask in (
            (alpha, torch.ones(1, 32, 48)),
            (alpha, torch.zeros(1, 32, 48)),
            (alpha, None),
            (0.0, None),
        )
    )
    assert_close(white, none, 1e-6)
    assert_close(black, content, 1e-12)


@settings(deadline=None, derandomize=True)
@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 4))
def test_site_size_follows_the_models_stride_2_convolutions(height, width, halvings):
    grid = torch.empty(1, 1, height, width, device="meta")
    for _ in range(halvings):
        grid = torch.nn.Conv2d(1, 1, 3, stride=2, padding=1, device="meta")(grid)
    assert site_size(grid[0, 0].numel(), (height, width)) == grid.shape[2:]


@pytest.mark.parametrize(("tokens", "latent_size"), [(23, (4, 6)), (12, (4, 6)), (0, (4, 6)), (600, (32, 32))])
def test_tokens_that_no_halving_gives_are_refused(tokens, latent_size):
    with pytest.raises(ValueError, match=f"{tokens} tokens"):
        site_size(tokens, latent_size)


@pytest.mark.parametrize("hidden", [HIDDEN[:, :12], HIDDEN[:2], noise(1, 3, TOKENS + 1, WIDTH)])
def test_tokens_unlike_the_recorded_ones_are_refused(hidden):
    with pytest.raises(ValueError, match="decoder block 9"):
        injection(CONTENT, [STYLE_A], [1.0], Steering()).tokens(SITE, hidden)


def test_capture_keeps_hidden_states_by_site_and_changes_nothing():
    hook = Capture([(6, 0), SITE])
    actual = run(hook, HIDDEN)
    for row, hidden in zip(actual, HIDDEN, strict=True):
        assert_close(row, dense(hidden @ TO_Q, hidden @ TO_K, hidden @ TO_V))
    assert hook.sites == ((6, 0), SITE)
    assert set(hook.features) == {SITE}
    assert torch.equal(hook.features[SITE], HIDDEN)
