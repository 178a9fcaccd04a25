"""What the inversion of a clip keeps: its trajectory, its features, and the settings and model of both."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..style_weights import normalised
from .sites import Site

Bank = tuple[tuple[Tensor, ...], ...]
"""Hidden states [B, tokens, C] in host memory, indexed [node][site]; frozen once made."""


class Inversion(NamedTuple):
    """A clip's inversion. Tuples and tensors only, in host memory; nothing changes it once made."""

    sigmas: Tensor
    """[N] ascending."""
    trajectory: Tensor
    """[N, B, C, h, w]: per node, the point whose evaluation gives the features."""
    noise: Tensor
    """[B, C, h, w] at the last node."""
    sites: tuple[Site, ...]
    bank: Bank | None
    """None: features are recomputed from the trajectory when they are needed."""
    valid_width: int
    """Latent columns that hold sound; the rest is padding and stays out of statistics."""
    conditioning: object = None
    """As the host passed it; the host compares it."""
    weights: object = None
    """The host's identity of the model's weights."""

    @property
    def statistics(self) -> Tensor:
        """The noise without its padding, [B, C, h, valid_width]."""
        return self.noise[..., : self.valid_width]


class Style(NamedTuple):
    """One or more captured clips and their weights, which sum to 1."""

    captures: tuple[Inversion, ...]
    weights: tuple[float, ...]


def choose_policy(requested: str, needed: int, free: int, disk: int = 0) -> str:
    """What "auto" comes to: `cache` while the bank takes less than a quarter of the free host memory, `disk` while it takes less
    than half of the free disk, else `recompute`. All other values of the dial `features` are taken as they are.

    Args:
        needed, free, disk: bytes of the bank in the model's dtype, of free host memory, and of disk that may be used.
    """
    if requested != "auto":
        return requested
    policy = "cache" if needed < free / 4 else "disk" if needed < disk / 2 else "recompute"
    logging.info("Stylus: features %s (a bank needs %.1f of %.0f MB of free memory)", policy, needed / 1e6, free / 1e6)
    return policy


def blend(styles: Sequence[Style], weights: Sequence[float] = ()) -> Style:
    """All the styles' captures in one, each style with its share; a style without a share is left out.

    Args:
        weights: one of 0 or more for each style; only their proportions matter. Equal shares where none are given.

    Raises ValueError: weights that `normalised` refuses, or styles captured with different settings.
    """
    weighted = []
    for number, (style, share) in enumerate(zip(styles, normalised(weights, len(styles)), strict=True), 1):
        check_same_schedule(styles[0].captures[0], style.captures[0], f"style {number}", "style 1")
        weighted += [(capture, weight * share) for capture, weight in zip(*style, strict=True) if share > 0]
    return Style(tuple(capture for capture, _ in weighted), tuple(weight for _, weight in weighted))


def check_same_schedule(reference: Inversion, other: Inversion, name: str, reference_name: str) -> None:
    """Raises ValueError, naming the setting, unless both were taken at the same steps, sites and latent height."""
    if not torch.equal(reference.sigmas.cpu(), other.sigmas.cpu()):
        raise ValueError(
            f"{name} was captured with {len(other.sigmas)} steps and {reference_name} with {len(reference.sigmas)} "
            "(or on another noise schedule): use the same steps and model for both"
        )
    if reference.sites != other.sites:
        own, wanted = (", ".join(map(str, dict(clip.sites))) for clip in (other, reference))
        raise ValueError(f"{name} was captured at blocks {own} and {reference_name} at {wanted}: use the same sites")
    if reference.noise.shape[1:3] != other.noise.shape[1:3]:
        raise ValueError(
            f"{name} has latents of {other.noise.shape[1]} channels and height {other.noise.shape[2]}, {reference_name} of "
            f"{reference.noise.shape[1]} and {reference.noise.shape[2]}: use the same spectrogram preset and VAE for both"
        )
