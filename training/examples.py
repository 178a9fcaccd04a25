"""Training examples: a window, the same window as another recording would sound, and a window of that other recording.

Plain denoising leaves timbre to the convolutions, which see it in the noisy image itself. Here the image that enters
the network may carry another timbre than the one asked for, and the only place to learn the latter from is a second
window of the wanted recording, read through self-attention.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv1d, pad

from .processing import random_processing
from .windows import WIDTH, Places, Recordings, equalisers, mix, on_device

KINDS = {"same": 0.08, "equalised": 0.1, "processed": 0.12, "replayed": 0.25, "rolled": 0.25, "matched": 0.2}
REPLAYED = ("replayed", "rolled")
LAYERED = 0.25
"""Share of examples, but for rolled and matched ones, that sound together with something else."""


class Examples(NamedTuple):
    """Windows [P, 256, WIDTH]."""

    content: Tensor
    """The notes of `target`, with a timbre that may differ."""
    target: Tensor
    style: Tensor
    """Other notes of the recording that `target` comes from."""


def random_examples(
    recordings: Recordings, rng: np.random.Generator, count: int, kinds: Mapping[str, float]
) -> Examples:
    """Examples of random kinds.

    same: content is target. equalised: content went through another equaliser. processed: target and style, or the content,
    got other decays, valleys or dynamics. replayed: content was played by other instruments. rolled: the same, and the style is
    the target itself, rolled in time so that no place can be copied blindly. matched: target is a window of one recording
    given the spectral statistics of any other recording.

    Args:
        kinds: probability of each.
    """
    device = recordings.device
    drawn = rng.choice(list(kinds), size=count, p=list(kinds.values()))
    kind = {name: drawn == name for name in KINDS}
    replayed = np.isin(drawn, REPLAYED)

    def where(chosen: np.ndarray, first: Tensor, second: Tensor) -> Tensor:
        return torch.where(on_device(chosen, device)[:, None, None], first, second)

    pieces = recordings.pieces(rng, np.where(replayed, 0.0, 0.15), count)
    wanted = rng.integers(recordings.renderings, size=count)
    given = np.where(
        replayed, (wanted + rng.integers(1, recordings.renderings, size=count)) % recordings.renderings, wanted
    )
    start, elsewhere = recordings.starts(rng, count)
    content = recordings.windows(Places(pieces, given, start))
    target = recordings.windows(Places(pieces, wanted, start))
    style = where(
        kind["rolled"],
        rolled(target, on_device(rng.integers(WIDTH, size=count), device)),
        recordings.windows(Places(pieces, wanted, elsewhere)),
    )

    others = recordings.pieces(rng, 0.4, count)
    other = recordings.windows(
        Places(others, rng.integers(recordings.renderings, size=count), recordings.starts(rng, count)[0])
    )
    other = other * equalisers(rng, count, device)
    style = where(kind["matched"], other, style)
    target = where(kind["matched"], match_statistics(content, other), target)

    layered = (rng.random(count) < LAYERED) & ~kind["matched"] & ~kind["rolled"]
    layers, rendering = recordings.pieces(rng, 0.2, count), rng.integers(recordings.renderings, size=count)
    under, under_style = (recordings.windows(Places(layers, rendering, at)) for at in recordings.starts(rng, count))
    gains = on_device(rng.uniform(0.4, 1.0, count) * layered, device)[:, None, None]
    content, target, style = mix(content, under, gains), mix(target, under, gains), mix(style, under_style, gains)

    to_content = rng.random(count) < 0.3
    wet, dry = (random_processing(rng, kind["processed"] & chosen, device) for chosen in (~to_content, to_content))
    content, target, style = dry(content), wet(target), wet(style)

    curve = equalisers(rng, count, device)
    untouched = torch.ones((), device=device)
    return Examples(
        content * where(kind["equalised"], equalisers(rng, count, device), curve),
        target * where(kind["matched"], untouched, curve),
        style * where(kind["matched"], untouched, curve),
    )


def rolled(values: Tensor, by: Tensor) -> Tensor:
    """Windows [P, 256, W] turned round in time by so many frames [P]."""
    frames = values.shape[-1]
    at = (torch.arange(frames, device=values.device) - by[:, None]) % frames
    return values.gather(2, at[:, None].expand(values.shape))


def match_statistics(content: Tensor, style: Tensor) -> Tensor:
    """The content [P, 256, W] with the mean of the style's spectral envelope and its deviation over time.

    The envelope of a frame is its values smoothed over neighbouring mel bands; what is finer, the notes, stays.
    """
    envelope, style_envelope = (envelopes(values) for values in (content, style))
    mean, style_mean = (e.mean(2, keepdim=True) for e in (envelope, style_envelope))
    deviation, style_deviation = (e.std(2, keepdim=True, correction=0) + 0.01 for e in (envelope, style_envelope))
    matched = (envelope - mean) * (style_deviation / deviation).clamp(0.4, 2.5) + style_mean
    return (content - envelope + matched).clamp(min=0)


def envelopes(values: Tensor, smoothing: float = 10.0) -> Tensor:
    """Values [P, 256, W] smoothed over the bands by a Gaussian of that many of them."""
    reach = math.ceil(4 * smoothing)
    at = torch.arange(-reach, reach + 1, device=values.device)
    kernel = torch.exp(-0.5 * (at / smoothing) ** 2)
    columns = pad(values.transpose(1, 2).flatten(0, 1)[:, None], (reach, reach), "replicate")
    smooth = conv1d(columns, (kernel / kernel.sum())[None, None])
    return smooth[:, 0].unflatten(0, (len(values), -1)).transpose(1, 2)
