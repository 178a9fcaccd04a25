"""Grain: what the images ask for and the content can't supply is played by the style's own residual.

The residual is the style without its steady tones: crackle, drops, breath, strokes. It is looped over the content and filtered
by a gain that varies slowly, so that its bursts survive: a gain frame by frame would level them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .backend import resample
from .detail import EMPTY, blur, envelope
from .geometry import SpectrogramParams
from .mel import channel_rms, interpolation, mel_amplitudes
from .stft import filter_stft, hann_window
from .tone import Reference

SECONDS = 20  # of each style that are kept
FADE = 0.05  # seconds that a loop's end and beginning share
WINDOW, HOP = 4096, 1024  # samples of the transform that tells tones from the rest
STEADY, BROAD = 31, 31  # frames and bins of its medians
MARGIN = 2.0  # a tone is louder than what is broad there by this factor
REACH = (6.0, 30.0)  # dB that the content is amplified by at most, under a style of noise and one of tones
BANDS, TIME = 4 / 256, 0.16  # of the mel axis, seconds: deviations of the Gaussian over which the gain is smooth
MOST = 10 ** (36 / 20)  # amplification of the residual
PAUSE = 10 ** (-12 / 10)  # of a band's mean power: what is quieter is a pause, which is not amplified further
QUIET = 1e-20  # power


class Residual(NamedTuple):
    """The styles without their tones, each played over and over from the content's first sample on."""

    loops: tuple[Tensor, ...]
    """`[C, n]` each, at the mel's sample rate and the style's share of the power; the end leads into the beginning."""
    reach_db: float
    """How far the content's envelope is amplified before the residual takes over."""
    level: Tensor
    """`[n_mels]`, the mean power of the mel of all loops together."""

    @classmethod
    def of(cls, styles: Sequence[Reference], channels: int, params: SpectrogramParams) -> Residual | None:
        """The residual of the first seconds of some styles, or None where none of them sounds.

        Args:
            styles: waveforms `[C, T]`; only the proportions of their weights matter.
            channels: of the content. A style with as many keeps its own, another is averaged.
        """
        loops, tones, total = [], 0.0, 0.0
        for waveform, rate, weight in styles:
            style = resample(waveform[:, : SECONDS * rate], rate, params.sample_rate)
            style = style if len(style) == channels else style.mean(0, keepdim=True).expand(channels, -1)
            rest = without_tones(style)
            power, tonal, left = (float(sound.square().mean()) for sound in (style, style - rest, rest))
            if weight > 0 and left > QUIET:
                loops.append(seamless((weight / left) ** 0.5 * rest, round(FADE * params.sample_rate)))
                tones, total = tones + weight * tonal / power, total + weight
        if not loops:
            return None
        level = torch.stack([mel_amplitudes(loop[None], params)[0].square().mean(1) for loop in loops]).sum(0)
        return cls(tuple(loops), REACH[0] + (REACH[1] - REACH[0]) * tones / total, level)

    def part(self, first: int, samples: int) -> Tensor:
        """What is played from the content's sample `first` on: `[C, samples]`."""
        at = torch.arange(first, first + samples)
        return torch.stack([loop[:, at % loop.shape[-1]] for loop in self.loops]).sum(0)


def without_tones(waveform: Tensor) -> Tensor:
    """What is left of a waveform when its steady tones are taken away: medians of its magnitudes over time and over frequency
    tell both apart (Fitzgerald, DAFx 2010; with the margin of Driedger, Mueller & Disch, ISMIR 2014).

    Shape: `[C, T]` -> `[C, T]`
    """
    from scipy.ndimage import median_filter

    window = hann_window(WINDOW)
    spectrum = torch.stft(waveform, WINDOW, HOP, window=window, pad_mode="constant", return_complex=True)
    magnitude = channel_rms(spectrum).numpy()
    steady, broad = (torch.from_numpy(median_filter(magnitude, size)) for size in ((1, STEADY), (BROAD, 1)))
    tones = steady.square() / (steady.square() + (MARGIN * broad).square()).clamp(min=QUIET)
    return torch.istft(spectrum * (1 - tones), WINDOW, HOP, window=window, length=waveform.shape[-1])


def seamless(waveform: Tensor, fade: int) -> Tensor:
    """A waveform that can be repeated: its last `fade` samples are faded into its first ones.

    Shape: `[C, T]` -> `[C, T - fade]`; no more than half of a short one is faded.
    """
    fade = min(fade, waveform.shape[-1] // 2)
    rise = torch.sin(torch.pi / 2 * (torch.arange(fade) + 0.5) / max(fade, 1))
    loop = waveform[:, : waveform.shape[-1] - fade].clone()
    loop[:, :fade] = rise * loop[:, :fade] + rise.flip(0) * waveform[:, waveform.shape[-1] - fade :]
    return loop


def split(wanted: Tensor, own: Tensor, reach_db: float, grain: float) -> tuple[Tensor, Tensor]:
    """What the images ask for in two parts: the content's, as a factor, and the residual's, as a mel.

    Args:
        wanted, own: mel amplitudes of the images and of the content, `[n_mels, frames]`.
        reach_db: the content's envelope is amplified by at most this much, where the residual does all that lies beyond.
        grain: share of its power that it does, 0 to 1.

    Returns:
        both `[n_mels, frames]`; the power of `factor * wanted` and of the mel sum to that of `wanted`.
    """
    within = (10 ** (reach_db / 20) * envelope(own) / envelope(wanted).clamp(min=EMPTY)).clamp(max=1)
    surplus = grain * (1 - within.square())
    return (1 - surplus).sqrt(), surplus.sqrt() * wanted


def shaped(residual: Tensor, level: Tensor, mel: Tensor, params: SpectrogramParams) -> Tensor:
    """The residual with the mel, as far as a gain gives it that varies slowly.

    Args:
        level: mean power of each band of the residual, `[n_mels]`.

    Shape: residual `[C, T]` at `params.sample_rate`, mel `[n_mels, frames]` -> `[C, T]`
    """

    def smooth(mel: Tensor) -> Tensor:
        return over_time(blur(params.n_mels, BANDS * params.n_mels) @ mel.square(), params)

    own = mel_amplitudes(residual[None], params)[0]
    least = (PAUSE * (blur(params.n_mels, BANDS * params.n_mels) @ level)).clamp(min=QUIET)[:, None]
    gain = (smooth(mel) / smooth(own).maximum(least)).sqrt().clamp(max=MOST)
    return filter_stft(
        residual, lambda spectrum, frames: spectrum * (gain[:, frames].t() @ interpolation(params)), params
    )


def panning(waveform: Tensor, params: SpectrogramParams) -> Tensor:
    """How loud each channel is beside the others from moment to moment: factors `[C, T]` with a mean square of 1."""
    power = over_time(F.avg_pool1d(waveform.square(), params.hop_length, ceil_mode=True), params) + QUIET
    factors = (power / power.mean(0)).sqrt()
    length = factors.shape[-1] * params.hop_length
    return F.interpolate(factors[None], size=length, mode="linear")[0, :, : waveform.shape[-1]]


def over_time(power: Tensor, params: SpectrogramParams) -> Tensor:
    """Power averaged over neighbouring frames, without a frame before the first or after the last: `[n, frames]`, as it was."""
    deviation = TIME * params.sample_rate / params.hop_length
    reach = round(4 * deviation)
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / deviation).square())
    return F.conv1d(power[:, None], (weights / weights.sum())[None, None], padding=reach)[:, 0]
