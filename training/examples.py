"""Training examples: a window, the same window as another recording would sound, and a window of that other recording.

Plain denoising leaves timbre to the convolutions, which see it in the noisy image itself. Here the image that enters
the network may carry another timbre than the one asked for, and the only place to learn the latter from is a second
window of the wanted recording, read through self-attention.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d

from .windows import WIDTH, Recordings, Values, equaliser, mix, random_start

KINDS = {"same": 0.1, "equalised": 0.15, "replayed": 0.25, "rolled": 0.3, "matched": 0.2}
REPLAYED = ("replayed", "rolled")


class Example(NamedTuple):
    """Three windows [256, WIDTH]."""

    content: Values
    """The notes of `target`, with a timbre that may differ."""
    target: Values
    style: Values
    """Other notes of the recording that `target` comes from."""


def random_example(recordings: Recordings, rng: np.random.Generator, kind: str) -> Example:
    """An example of one kind.

    same: content is target. equalised: content went through another equaliser. replayed: content was played by other
    instruments. rolled: the same, and the style is the target itself, rolled in time so that no place can be copied blindly.
    matched: target is a window of one recording given the spectral statistics of any other recording.
    """
    piece = recordings.piece(rng, textures=0.0 if kind in REPLAYED else 0.15)
    renderings = rng.permutation(len(piece))
    wanted, given = renderings[0], renderings[-1] if kind in REPLAYED else renderings[0]
    start, elsewhere = _two_starts(rng, piece)
    content, target, style = (
        piece[rendering, :, at : at + WIDTH].astype(np.float32)
        for rendering, at in ((given, start), (wanted, start), (wanted, elsewhere))
    )
    if kind == "rolled":
        style = np.roll(target, int(rng.integers(WIDTH)), axis=1)
    if kind == "matched":
        other = recordings.piece(rng, textures=0.4)
        at = random_start(rng, other)
        style = other[rng.integers(len(other)), :, at : at + WIDTH].astype(np.float32)
        style *= equaliser(rng)
        target = match_statistics(content, style)
    elif kind != "rolled" and rng.random() < 0.25:
        layer = recordings.piece(rng)
        rendering, gain = rng.integers(len(layer)), rng.uniform(0.4, 1.0)
        first, second = _two_starts(rng, layer)
        under, under_style = (layer[rendering, :, at : at + WIDTH].astype(np.float32) for at in (first, second))
        content, target, style = mix(content, under, gain), mix(target, under, gain), mix(style, under_style, gain)
    curve = equaliser(rng)
    if kind != "matched":
        target, style = target * curve, style * curve
    return Example(content * (equaliser(rng) if kind == "equalised" else curve), target, style)


def match_statistics(content: Values, style: Values, smoothing: float = 10.0) -> Values:
    """The content with the mean of the style's spectral envelope and its deviation over time.

    The envelope of a frame is its values smoothed over neighbouring mel bands; what is finer, the notes, stays.
    """
    envelope, style_envelope = (gaussian_filter1d(v, smoothing, axis=0, mode="nearest") for v in (content, style))
    mean, style_mean = (e.mean(1, keepdims=True) for e in (envelope, style_envelope))
    livelier = (style_envelope.std(1, keepdims=True) + 0.01) / (envelope.std(1, keepdims=True) + 0.01)
    matched = (envelope - mean) * livelier.clip(0.4, 2.5) + style_mean
    return (content - envelope + matched).clip(0)


def _two_starts(rng: np.random.Generator, piece: np.ndarray) -> tuple[int, int]:
    """Starts of two windows of a recording that do not overlap."""
    start = random_start(rng, piece)
    elsewhere = [s for s in range(piece.shape[-1] - WIDTH + 1) if abs(s - start) >= WIDTH]
    return start, int(rng.choice(elsewhere))
