"""Exemplars: frames of the style that sound the content's notes show how these look together.

A model of an instrument is smooth and knows single notes alone. Where the style plays the very notes, its own frames know more: their
noise, how partials beat, what a chord does. As in musaicing (Driedger, Prätzlich & Müller, ISMIR 2015) they are found by likeness;
but here only mels are taken from them, and a frame depends on no other frame of the content.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .detail import EMPTY, blur, ramp

SAME = 2.0  # quarters of a semitone: deviation of the Gaussian within which notes of two frames are the same
ALIKE = (0.7, 0.95)  # cosine of two frames' notes: up to here they are others, from there on the same
SPREAD = 0.06  # of that cosine, by which a frame may be less alike than another and count 1 / e as much
QUIETEST = 1e-4  # of the loudest frame's power; quieter frames show nothing
DEEPEST = 1e-5  # of a frame's amplitude


class Exemplars(NamedTuple):
    """Frames of one style or several."""

    notes: Tensor
    """`[notes, frames]`, see `direction`."""
    mel: Tensor
    """`[n_mels, frames]`, logarithms of amplitudes whose power is 1."""
    odds: Tensor
    """`[frames]`, logarithms of how much each counts."""

    @classmethod
    def of(cls, mel: Tensor, notes: Tensor, weight: float) -> Exemplars:
        """Of a style's mel `[n_mels, frames]` and activations `[notes, frames]`."""
        loud = power(mel) > QUIETEST * power(mel).max()
        mel = mel[:, loud] / power(mel[:, loud]).sqrt()
        odds = torch.full_like(mel[0], weight / mel.shape[1]).log()
        return cls(direction(notes[:, loud]), mel.clamp(min=DEEPEST).log(), odds)

    def alike(self, notes: Tensor) -> tuple[Tensor, Tensor]:
        """The mean in dB of the frames whose notes are most like these activations `[notes, frames]`, a mel `[n_mels, frames]` of power 1
        or less; and how far they are the same notes, 0 to 1, `[frames]`."""
        likeness = direction(notes).T @ self.notes
        nearest = torch.softmax(likeness / SPREAD + self.odds, 1)
        return (self.mel @ nearest.T).exp(), ramp(likeness.amax(1), ALIKE)


def direction(notes: Tensor) -> Tensor:
    """Activations as unit vectors, whose products are cosines: `[notes, frames]`, as they were."""
    near = (blur(len(notes), SAME, notes.device) @ notes).sqrt()
    return near / near.norm(dim=0).clamp(min=EMPTY)


def power(mel: Tensor) -> Tensor:
    """Of each frame: `[n_mels, frames]` -> `[frames]`"""
    return mel.square().sum(0)
