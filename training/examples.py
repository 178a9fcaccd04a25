"""Training examples: a window, the same window as another recording would sound, and a window of that other recording.

Plain denoising leaves timbre to the convolutions, which see it in the noisy image itself. Here the image that enters
the network may carry another timbre than the one asked for, and the only place to learn the latter from is a second
window of the wanted recording, read through self-attention.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from stylus_ops.audio.detail import blur

from .processing import random_processing
from .windows import WIDTH, Integers, Recordings, equalisers, mix, on_device

KINDS = {"same": 0.08, "equalised": 0.1, "processed": 0.12, "replayed": 0.25, "rolled": 0.25, "matched": 0.2}
Kinds = Mapping[str, float]  # probability of each kind of example
OTHER_PIECE = 0.6
"""Share of styles that another piece of the same ensemble gives; others are of another place of the same piece."""
SHUFFLED, CHUNKS = 0.25, (4, 8)
"""Share of styles in which chunks of so many frames stand in any order: nothing but timbre can be read (AFTER, Demerle et al. 2024)."""
SMOOTHING = 10.0  # bands
LAYERED = 0.25  # share of examples, but for rolled and matched ones, that sound together with something else


class Examples(NamedTuple):
    """Windows [P, 256, WIDTH], or their latents [P, 4, h, w]."""

    content: Tensor  # the notes of `target`, with a timbre that may differ
    target: Tensor
    style: Tensor  # other notes as `target` sounds


def random_examples(recordings: Recordings, rng: np.random.Generator, count: int, kinds: Kinds) -> Examples:
    """Examples of random kinds.

    same: content is target. equalised: content went through another equaliser. processed: target and style, or the content,
    got other decays, valleys or dynamics. replayed: content was played by other instruments. rolled: the same, and the style is
    the target itself, rolled in time so that no place can be copied blindly. matched: target is a window of one recording
    given the spectral statistics of any other recording.
    """
    device = recordings.device
    drawn = rng.choice(list(kinds), size=count, p=list(kinds.values()))
    kind = {name: drawn == name for name in KINDS}
    replayed = kind["replayed"] | kind["rolled"]

    def where(chosen: np.ndarray, first: Tensor, second: Tensor) -> Tensor:
        return torch.where(on_device(chosen, device)[:, None, None], first, second)

    pieces = recordings.pieces(rng, np.where(replayed, 0.0, 0.15), count)
    wanted = rng.integers(recordings.renderings, size=count)
    another = (wanted + rng.integers(1, recordings.renderings, size=count)) % recordings.renderings
    given = np.where(replayed, another, wanted)
    start, elsewhere = recordings.starts(rng, count)
    content = recordings.windows(pieces, given, start)
    target = recordings.windows(pieces, wanted, start)
    chosen, played = (
        np.where(rng.random(count) < OTHER_PIECE, other, own)
        for other, own in zip(recordings.alike(rng, pieces, wanted), (pieces, wanted), strict=True)
    )
    style = where(kind["rolled"], target, recordings.windows(chosen, played, elsewhere))
    order = np.where(kind["rolled"], rng.integers(WIDTH, size=count), 0)[:, None] + np.arange(WIDTH)
    order = np.where(rng.random((count, 1)) < SHUFFLED, shuffled_frames(rng, count), order % WIDTH)
    style = style.gather(2, on_device(order, device)[:, None].expand(style.shape))

    others, rendering = recordings.pieces(rng, 0.4, count), rng.integers(recordings.renderings, size=count)
    other = recordings.windows(others, rendering, recordings.starts(rng, count)[0]) * equalisers(rng, count, device)
    style = where(kind["matched"], other, style)
    target = where(kind["matched"], match_statistics(content, other), target)

    layered = (rng.random(count) < LAYERED) & ~kind["matched"] & ~kind["rolled"]
    layers, rendering = recordings.pieces(rng, 0.2, count), rng.integers(recordings.renderings, size=count)
    under, under_style = (recordings.windows(layers, rendering, at) for at in recordings.starts(rng, count))
    gains = on_device(rng.uniform(0.4, 1.0, count) * layered, device)[:, None, None]
    content, target, style = mix(content, under, gains), mix(target, under, gains), mix(style, under_style, gains)

    to_content = rng.random(count) < 0.3
    wet, dry = (random_processing(rng, kind["processed"] & chosen, device) for chosen in (~to_content, to_content))
    content, target, style = dry(content), wet(target), wet(style)

    curve = equalisers(rng, count, device)
    content = content * where(kind["equalised"], equalisers(rng, count, device), curve)
    target, style = (where(kind["matched"], values, values * curve) for values in (target, style))
    return Examples(content, target, style)


def shuffled_frames(rng: np.random.Generator, count: int) -> Integers:
    """Frames [count, WIDTH] in chunks that stay in order, the chunks in any."""
    chunk = int(rng.integers(CHUNKS[0], CHUNKS[1] + 1))
    chunks = rng.permuted(np.tile(np.arange(-(-WIDTH // chunk)), (count, 1)), axis=1)
    frames = (chunks[:, :, None] * chunk + np.arange(chunk)).reshape(count, -1)
    return frames[frames < WIDTH].reshape(count, WIDTH)


def match_statistics(content: Tensor, style: Tensor) -> Tensor:
    """The content [P, 256, W] with the mean of the style's spectral envelope and its deviation over time.
    The envelope of a frame is its values smoothed over neighbouring mel bands; what is finer, the notes, stays."""
    smoothing = blur(content.shape[1], SMOOTHING, content.device)
    envelope, style_envelope = smoothing @ content, smoothing @ style
    mean, style_mean = (e.mean(2, keepdim=True) for e in (envelope, style_envelope))
    deviation, style_deviation = (e.std(2, keepdim=True, correction=0) + 0.01 for e in (envelope, style_envelope))
    matched = (envelope - mean) * (style_deviation / deviation).clamp(0.4, 2.5) + style_mean
    return (content - envelope + matched).clamp(min=0)
