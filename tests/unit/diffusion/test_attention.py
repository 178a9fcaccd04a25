"""What the hook takes tokens for; `tests/parity` compares its attention with the plain reference's."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stylus_ops.dials import Steering
from stylus_ops.diffusion.attention import Injection, site_size
from stylus_ops.diffusion.sites import Site

SITE: Site = (9, 0)


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


@pytest.mark.parametrize("shape", [(3, 12, 8), (2, 24, 8), (3, 25, 8)])
def test_tokens_unlike_the_recorded_ones_are_refused(shape):
    content, style = torch.zeros(3, 24, 8), torch.zeros(1, 24, 8)
    with pytest.raises(ValueError, match="decoder block 9"):
        Injection({SITE: content}, [{SITE: style}], [1.0], Steering(), (4, 6)).tokens(SITE, torch.zeros(shape))
