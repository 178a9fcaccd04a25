"""Random training windows from the rendered recordings.

Values are (mel amplitude) ** 0.25 with low frequencies first, [P, 256, frames]; `to_images` makes the images of the
`tiny-256` preset from them. Choices come from numpy's generator, values are tensors on one device.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stylus_ops.audio.geometry import PRESETS

PARAMS = PRESETS["tiny-256"]
WIDTH = PARAMS.width
POWER = 2 / PARAMS.power  # values to this are powers
Integers = NDArray[np.int64]


class Recordings:
    """The renderings in a folder of `training.data`, as float16 on a device; each is at least three windows long."""

    def __init__(self, folder: Path, device: torch.device | str = "cpu"):
        music, textures = ([*map(np.load, sorted(folder.glob(f"{kind}_*.npz")))] for kind in ("music", "texture"))
        if not music or not textures:
            raise ValueError(f"{folder} holds no training data: run `python -m training.data` first")
        played = [file["values"] for file in music]
        self.music, self.renderings = len(played), len(played[0])
        sounds = played + [np.broadcast_to(file["values"], played[0].shape) for file in textures]
        self.values = torch.from_numpy(np.stack(sounds)).to(device)
        """[pieces, renderings, 256, frames], the textures last."""
        self.device = self.values.device
        alone = -1 - np.arange(len(textures))[:, None].repeat(self.renderings, 1)
        self.ensembles = np.concatenate([[file["ensembles"] for file in music], alone])
        """[pieces, renderings] who plays; of each texture another number."""

    def pieces(self, rng: np.random.Generator, textures: NDArray[np.float64] | float, count: int) -> Integers:
        """[count] random pieces, which are textures with the given probability."""
        music = rng.integers(self.music, size=count)
        return np.where(rng.random(count) < textures, rng.integers(self.music, len(self.values), size=count), music)

    def starts(self, rng: np.random.Generator, count: int) -> tuple[Integers, Integers]:
        """Starts of two windows each, [count], that do not overlap."""
        last = self.values.shape[-1] - WIDTH
        first = rng.integers(last + 1, size=count)
        before, after = (first - WIDTH + 1).clip(0), (last - WIDTH - first + 1).clip(0)
        other = rng.integers(before + after)
        return first, np.where(other < before, other, first + WIDTH + other - before)

    def alike(self, rng: np.random.Generator, pieces: Integers, renderings: Integers) -> tuple[Integers, Integers]:
        """Random pieces and renderings of the same ensembles, [count] each."""
        numbers, order = self.ensembles.ravel(), self.ensembles.argsort(axis=None, kind="stable")
        wanted = self.ensembles[pieces, renderings]
        first, end = (np.searchsorted(numbers[order], wanted, side) for side in ("left", "right"))
        return np.divmod(order[rng.integers(first, end)], self.renderings)

    def windows(self, pieces: Integers, renderings: Integers, starts: Integers) -> Tensor:
        """[P, 256, WIDTH] float32."""
        piece, rendering, start = (on_device(index, self.device) for index in (pieces, renderings, starts))
        return self.values.unfold(-1, WIDTH, 1)[piece, rendering, :, start].float()


def equalisers(rng: np.random.Generator, count: int, device: torch.device) -> Tensor:
    """Random smooth equaliser curves with a tilt, [count, 256, 1], about +-15 dB: factors on (mel amplitude) ** 0.25."""
    place = np.linspace(0, 1, PARAMS.n_mels)
    knots, used = rng.normal(0, 6, (count, 9)), rng.integers(4, 10, (count, 1))
    curves = [np.interp(at, range(9), levels) for at, levels in zip(place * (used - 1), knots, strict=True)]
    decibels = np.stack(curves) + rng.normal(0, 8, (count, 1)) * (2 * place - 1)
    return on_device(10 ** (decibels / 20 * PARAMS.power), device)[:, :, None]


def on_device(values: NDArray[Any], device: torch.device) -> Tensor:
    """Numbers that were drawn, floats as float32, without waiting for the device."""
    tensor = torch.from_numpy(values)
    return (tensor.float() if tensor.is_floating_point() else tensor).to(device, non_blocking=True)


def mix(first: Tensor, second: Tensor, gains: Tensor | float) -> Tensor:
    """Two sounds at once: their powers add."""
    return (first**POWER + (gains * second) ** POWER) ** (1 / POWER)


def to_images(values: Tensor) -> Tensor:
    """Values [P, 256, W] to images [P, 3, 256, W] in -1..1, each normalised by its own peak."""
    values = values / values.amax((1, 2), keepdim=True).clamp(min=1e-4)
    return (1 - 2 * values.flip(1))[:, None].expand(-1, 3, -1, -1)
