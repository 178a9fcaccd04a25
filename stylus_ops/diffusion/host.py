"""What a host must supply, and what it is given: the method knows nothing else of ComfyUI or diffusers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from torch import Tensor

from .sites import Site

Denoise = Callable[[Tensor, Tensor], Tensor]
"""`denoise(x, sigma)`: latents [B, C, h, w] and a scalar sigma, in host memory, to the denoised prediction D(x, sigma), same
shape. Reading a scalar that lies on a GPU would wait for all the work that is queued there."""

LATENT_PIXELS = 8
"""Rows and columns of an image in one of its latents', in every autoencoder of Stable Diffusion's shape."""

OnStep = Callable[[int, Tensor, Tensor], None]
"""`on_step(i, x, denoised)`, called after each node; used for progress, previews and interrupts."""

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""The host's own attention: q [B, Nq, C], k and v [B, Nk, C] with heads still folded into C, to [B, Nq, C]."""


class Hook(Protocol):
    """What is done at self-attention layers, the `sites`, during one evaluation."""

    @property
    def sites(self) -> Sequence[Site]: ...

    def tokens(self, site: Site, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Normed hidden states [B, N, C] to the inputs of `to_q` and of `to_k`/`to_v`."""

    def attend(self, site: Site, q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> Tensor:
        """Projected q, k, v to the attention's output, before `to_out`."""


class Evaluate(Protocol):
    def __call__(self, x: Tensor, sigma: Tensor, rows: slice | None, hook: Hook | None, /) -> Tensor:
        """Denoised prediction of latents [B, C, h, w] at a scalar sigma.

        `rows` says which rows of the caller's batch the last of these latents are, for conditioning that differs by row;
        latents before them, or all if it is None, are not of that batch. The hook is called at its sites.
        """


def passes(count: int, per_pass: int) -> Iterator[slice]:
    """Consecutive slices of at most `per_pass` rows."""
    for start in range(0, count, per_pass):
        yield slice(start, min(start + per_pass, count))
