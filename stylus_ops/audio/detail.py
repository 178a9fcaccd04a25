"""Detail: the images say how loud each region of the spectrum is; where its partials are, the content knows better.

Images of a diffusion model are blurred. Taken at their word they fill the valleys between partials with a haze. But the notes are
the content's, and so are the valleys.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

WIDTH = 6 / 256  # of the mel axis: standard deviation of the Gaussian that takes several partials for one envelope
EMPTY = 1e-30  # an amplitude or deviation below it is none
DEEPEST = 1e-6  # of the envelope, -120 dB: no valley is deeper
HEARD = 10 ** (-40 / 20)  # of the content's envelope at its loudest in a frame; far below it nothing counts
APART = 0.25  # of the content's deviation: fine structures that differ by so much and more are mended in full


def with_own_detail(wanted: Tensor, own: Tensor, detail: float) -> Tensor:
    """What the images ask for, with part of its fine structure replaced by the content's.

    Args:
        wanted, own: mel amplitudes of the images and of the content, `[n_mels, frames]`.
        detail: how much of the fine structure comes from the images, 0 to 1; 1 is `wanted` itself, 0 the content under the
            envelope of the images.
    """
    # The logarithm of a mel is its envelope's plus a fine structure f, around 0. With weights d and 1 - d, two that agree in
    # part give one that is flatter than either: haze again. With d and (1 - d)(1 + d) it is not. Where they agree altogether
    # nothing has to be mended, and an image that was not changed gives back the content.
    if detail == 1:
        return wanted
    (over, fine), (_, own_fine) = parts(wanted), parts(own)
    apart = deviation(fine - own_fine) / deviation(own_fine).clamp(min=EMPTY)
    mended = (apart / APART).clamp(max=1)
    return over * torch.exp(detail * fine + (1 - detail) * (1 + detail * mended) * own_fine)


def change(over: Tensor, around: Tensor, near: float) -> Tensor:
    """How far apart the envelopes of images and content are `near` each place, the standard deviation of a Gaussian as a share of
    the mel axis: root mean square in dB, `[n_mels, frames]`."""
    floor = (HEARD * around.amax(0)).clamp(min=EMPTY)
    over, around = over + floor, around + floor
    weight, mean = over + around, blur(len(over), near * len(over), over.device)
    return (mean @ (weight * (20 * (over / around).log10()).square()) / (mean @ weight)).sqrt()


def ramp(value: Tensor, between: tuple[float, float]) -> Tensor:
    """0 up to the first bound, 1 from the second on."""
    return ((value - between[0]) / (between[1] - between[0])).clamp(0, 1)


def parts(mel: Tensor) -> tuple[Tensor, Tensor]:
    """The envelope of a mel, and the logarithm of what it is times that."""
    over = envelope(mel).clamp(min=EMPTY)
    return over, (mel / over).clamp(min=DEEPEST).log()


def deviation(fine: Tensor) -> Tensor:
    """Its standard deviation over neighbouring bands."""
    return (blur(len(fine), WIDTH * len(fine), fine.device) @ fine.square()).sqrt()


def envelope(mel: Tensor) -> Tensor:
    """Amplitudes averaged over neighbouring bands; their square roots, so that a loud partial does not hide a valley.

    Shape: `[n_mels, frames]` -> `[n_mels, frames]`
    """
    return (blur(len(mel), WIDTH * len(mel), mel.device) @ mel.sqrt()).square()


@lru_cache
def blur(size: int, deviation: float, device: torch.device) -> Tensor:
    """Weights of a Gaussian of this standard deviation around each of `size` places: `[size, size]`, rows sum to 1."""
    place = torch.arange(size, dtype=torch.float32, device=device)
    weights = torch.exp(-0.5 * ((place[:, None] - place) / deviation).square())
    return weights / weights.sum(1, keepdim=True)
