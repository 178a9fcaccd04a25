"""Start statistics against NumPy statements of the same maths."""

import numpy as np
import torch
from torch import Tensor

from stylus_ops.diffusion.adain import adain, efdm


def latents(seed: int, *shape: int, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    """Noise whose channels differ in mean and deviation."""
    noise = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    channel = torch.arange(shape[1], dtype=torch.float64)[:, None, None]
    return noise * (scale + 0.3 * channel) + shift - 0.2 * channel


def channel(x: Tensor, c: int) -> np.ndarray:
    return x[:, c].numpy().ravel()


def test_adain_survives_a_constant_channel():
    content = latents(4, 1, 4, 6, 8)
    content[:, 2] = 0.25
    style = latents(5, 1, 4, 6, 8)
    out = adain(content, [style], [1.0])
    torch.testing.assert_close(out[:, 2], style[:, 2].mean().expand_as(out[:, 2]))
    assert torch.isfinite(out).all()


def test_efdm_interpolates_between_ranks_where_counts_differ():
    content, style = latents(6, 1, 4, 5, 6), latents(7, 1, 4, 5, 17, shift=3)
    out = efdm(content, [style], [1.0])
    for c in range(4):
        x, s = channel(content, c), np.sort(channel(style, c))
        ranks = np.argsort(np.argsort(x)) / (x.size - 1) * (s.size - 1)
        np.testing.assert_allclose(channel(out, c), np.interp(ranks, np.arange(s.size), s), rtol=1e-5)
