"""Start statistics against NumPy statements of the same maths, where `tests/parity` has no reference."""

import numpy as np
import torch

from stylus_ops.diffusion.adain import adain, efdm
from tests.small_net import latents


def test_adain_survives_a_constant_channel():
    content, style = latents(4, 1), latents(5, 1)
    content[:, 2] = 0.25
    out = adain(content, [style], [1.0])
    torch.testing.assert_close(out[:, 2], style[:, 2].mean().expand_as(out[:, 2]))
    assert torch.isfinite(out).all()


def test_efdm_interpolates_between_ranks_where_counts_differ():
    content, style = latents(6, 1), 2 * latents(7, 1, width=17) + 3
    channels = (clip[0].flatten(1).numpy() for clip in (content, style, efdm(content, [style], [1.0])))
    for x, s, restyled in zip(*channels, strict=True):
        ranks = np.argsort(np.argsort(x)) / (x.size - 1) * (s.size - 1)
        np.testing.assert_allclose(restyled, np.interp(ranks, np.arange(s.size), np.sort(s)), rtol=1e-5)
