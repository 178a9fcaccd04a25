"""Random training windows from the rendered recordings.

Values are (mel amplitude) ** 0.25 with low frequencies first, [256, frames]; `to_images` makes the images of the
`tiny-256` preset from them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stylus_ops.audio.geometry import PRESETS

PARAMS = PRESETS["tiny-256"]
WIDTH = PARAMS.width
Values = NDArray[np.float32]


class Recordings:
    """The renderings in a folder of `training.data`, held in memory as float16; each is at least three windows long."""

    def __init__(self, folder: Path):
        self.music = [np.load(path) for path in sorted(folder.glob("music_*.npy"))]
        self.textures = [np.load(path) for path in sorted(folder.glob("texture_*.npy"))]
        if not self.music or not self.textures:
            raise ValueError(f"{folder} holds no training data: run `python -m training.data` first")

    def piece(self, rng: np.random.Generator, textures: float = 0.2) -> NDArray[np.float16]:
        """All renderings of one piece [renderings, 256, frames]; a texture with the given probability."""
        pool = self.textures if rng.random() < textures else self.music
        return pool[rng.integers(len(pool))]


def random_start(rng: np.random.Generator, piece: NDArray[np.float16]) -> int:
    return int(rng.integers(piece.shape[-1] - WIDTH + 1))


def equaliser(rng: np.random.Generator, strength: float = 1.0) -> Values:
    """A random smooth equaliser curve with a tilt, [256, 1], about +-15 dB: a factor on (mel amplitude) ** 0.25."""
    knots = rng.normal(0, 6 * strength, int(rng.integers(4, 10)))
    curve = np.interp(np.linspace(0, 1, PARAMS.n_mels), np.linspace(0, 1, len(knots)), knots)
    decibels = curve + rng.normal(0, 8 * strength) * np.linspace(-1, 1, PARAMS.n_mels)
    return (10 ** (decibels / 20 * PARAMS.power)).astype(np.float32)[:, None]


def mix(first: Values, second: Values, gain: float) -> Values:
    """Two sounds at once: their powers add."""
    power = 2 / PARAMS.power
    return ((first**power + (gain * second) ** power) ** (1 / power)).astype(np.float32)


def to_images(values: Values) -> Tensor:
    """Values [B, 256, W] to images [B, 3, 256, W] in -1..1, each normalised by its own peak."""
    v = torch.from_numpy(values)
    v = v / v.amax((1, 2), keepdim=True).clamp(min=1e-4)
    return (1 - 2 * v.flip(1))[:, None].expand(-1, 3, -1, -1)
