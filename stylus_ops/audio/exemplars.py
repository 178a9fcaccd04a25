"""Exemplars: frames of the style that sound the content's notes show how these look together.

A model of an instrument is smooth and knows single notes alone. Where the style plays the very notes, its own frames know more: their
noise, how partials beat, what a chord does. As in musaicing (Driedger, Prätzlich & Müller, ISMIR 2015) they are found by likeness;
but here only mels are taken from them, and a frame depends on no other frame of the content.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..copies import to_device
from .detail import EMPTY, blur, ramp

SAME = 2.0  # quarters of a semitone: deviation of the Gaussian within which notes of two frames are the same
ALIKE = (0.7, 0.95)  # cosine of two frames' notes: up to here they are others, from there on the same
SEEN = 0.8  # share of such frames in what notes look like
SPREAD = 0.06  # of that cosine, by which a frame may be less alike than another and count 1 / e as much
QUIETEST = 1e-4  # of the loudest frame's power; quieter frames show nothing
DEEPEST = 1e-5  # of a frame's amplitude


class Exemplars(NamedTuple):
    """The frames of a style."""

    notes: Tensor
    """`[notes, frames]`, see `direction`."""
    mel: Tensor
    """`[n_mels, frames]`, logarithms of amplitudes whose power is 1."""
    weight: float
    """Of the style among all, 0 to 1."""

    @classmethod
    def of(cls, mel: Tensor, notes: Tensor, weight: float) -> Exemplars:
        """Of a style's mel `[n_mels, frames]` and activations `[notes, frames]`."""
        loud = power(mel) > QUIETEST * power(mel).max()
        mel = mel[:, loud] / power(mel[:, loud]).sqrt()
        return cls(direction(notes[:, loud]), mel.clamp(min=DEEPEST).log(), weight)

    def alike(self, notes: Tensor) -> tuple[Tensor, Tensor]:
        """The mean in dB of the frames whose notes are most like these activations `[notes, frames]`, a mel `[n_mels, frames]` of power 1
        or less; and its share in what these look like, 0 to 1, `[frames]`."""
        likeness = direction(notes).T @ self.notes
        nearest = torch.softmax(likeness / SPREAD, 1)
        return (self.mel @ nearest.T).exp(), SEEN * self.weight * ramp(likeness.amax(1), ALIKE)

    def on(self, device: torch.device) -> Exemplars:
        return self._replace(notes=to_device(self.notes, device), mel=to_device(self.mel, device))


def as_seen(modelled: Tensor, notes: Tensor, styles: Sequence[Exemplars]) -> Tensor:
    """What notes `[notes, frames]` look like, `[n_mels, frames]` at any level: a model's mel, mixed in dB with each style's own frames by
    its weight and as far as it sounds the same notes."""
    mels, shares = zip(*(style.alike(notes) for style in styles), strict=True)
    mixed = (modelled / power(modelled).clamp(min=EMPTY).sqrt()) ** (1 - sum(shares))
    for mel, share in zip(mels, shares, strict=True):
        mixed = mixed * mel**share
    return mixed


def direction(notes: Tensor) -> Tensor:
    """Activations as unit vectors, whose products are cosines: `[notes, frames]`, as they were."""
    near = (blur(len(notes), SAME, notes.device) @ notes).sqrt()
    return near / near.norm(dim=0).clamp(min=EMPTY)


def power(mel: Tensor) -> Tensor:
    """Of each frame: `[n_mels, frames]` -> `[frames]`"""
    return mel.square().sum(0)
