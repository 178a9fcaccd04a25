"""Grain: what the images ask for and the content can't supply is played by the style's own residual.

The residual is the style without its steady tones: crackle, drops, breath, strokes. It is looped over the content; but where the style keeps
a beat, its strokes are played where the content's notes begin. It is filtered by a gain that varies slowly, so that its bursts survive:
a gain frame by frame would level them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..copies import to_device, to_host
from .detail import EMPTY, blur, change, envelope, ramp
from .geometry import SpectrogramParams
from .mel import channel_rms, mel_amplitudes, mel_scale
from .onsets import beat, onsets
from .stft import hann_window, stft
from .strokes import strokes_at
from .tone import Reference

FADE = 0.05  # seconds that a loop's end and beginning share
WINDOW, HOP = 4096, 1024  # samples of the transform that tells tones from the rest
STEADY, BROAD = 31, 31  # frames and bins of its medians
MUSIC = (0.35, 0.55)  # share of steady tones: what has no notes is a texture up to here, and music from there on
MARGIN = 2.0  # a tone is louder than what is broad there by this factor
REACH = (1.0, 30.0)  # dB that the content is amplified by at most, under a style of noise and one of tones or a beat
BANDS, TIME = 4 / 256, 0.16  # of the mel axis, seconds: deviations of the Gaussian over which the gain is smooth
PAUSE = 10 ** (-12 / 10)  # of a band's mean power: what is quieter is a pause, which is not amplified further
QUIET = 1e-20  # power
CHANGED = (4.0, 8.0)  # dB that images change an envelope by: up to here a texture is not asked for, from there it is
GROUND = 10 ** (4.5 / 10)  # power of a texture beside that of the content over it
ABOVE = 10 ** (15 / 10)  # the same in one band at most, beside content or images, whichever is louder there
MOST = 10 ** (36 / 10)  # power by which any other residual may be louder still


class Loop(NamedTuple):
    """A style without its tones, over and over from the content's first sample on."""

    sound: Tensor
    """`[C, n]`, at the mel's sample rate and the style's share of the power; the end leads into the beginning."""
    strokes: Tensor
    """Samples in which they begin."""
    free: float
    """0 to 1: how far it sounds at times of its own, not at the content's onsets."""


class Residual(NamedTuple):
    """The styles without their tones."""

    loops: tuple[Loop, ...]
    reach_db: float
    """How far the content's envelope is amplified before the residual takes over."""
    level: Tensor
    """`[n_mels]`, the mean power of the mel of all loops together."""
    ground: float
    """0 to 1: how far the styles are textures or drums, which sound beside the content whatever it lacks."""
    bound: float
    """0 to 1: how far they are textures, which are never louder than that."""

    @classmethod
    def of(
        cls, styles: Sequence[Reference], channels: int, params: SpectrogramParams, ground: float = 0.0
    ) -> Residual | None:
        """The residual of some styles, or None where none of them sounds.

        Args:
            styles: waveforms `[C, T]` at the mel's sample rate; only the proportions of their weights matter.
            channels: of the content. A style with as many keeps its own, another is averaged.
            ground: how far no notes are heard in them, 0 to 1.
        """
        loops, tones, textures, drums, total = [], 0.0, 0.0, 0.0, 0.0
        for waveform, _, weight in styles:
            style = waveform[:, :]
            style = style if len(style) == channels else style.mean(0, keepdim=True).expand(channels, -1)
            rest = without_tones(style)
            power, tonal, left = (sound.square().mean() for sound in (style, style - rest, rest))
            if weight > 0 and left > QUIET:
                loop = seamless((weight / left) ** 0.5 * rest, round(FADE * params.sample_rate))
                regular = beat(style, params.sample_rate)
                loops.append(Loop(loop, onsets(loop, params.sample_rate), 1 - regular))
                share, drum = tonal / power, ground * regular
                tones, drums, total = tones + weight * max(float(share), drum), drums + weight * drum, total + weight
                textures += weight * ground * (1 - regular) * (1 - float(ramp(share, MUSIC)))
        if not loops:
            return None
        level = torch.stack([mel_amplitudes(loop.sound[None], params)[0].square().mean(1) for loop in loops]).sum(0)
        reach_db = REACH[0] + (REACH[1] - REACH[0]) * tones / total
        return cls(tuple(loops), reach_db, level, (textures + drums) / total, textures / total)

    def part(self, content: Tensor, first: int, sample_rate: int) -> Tensor:
        """What is played along a content `[C, n]` that begins at sample `first` of its recording: `[C, n]` in host memory."""
        samples, played = slice(first, first + content.shape[-1]), torch.zeros(1)
        at, beaten = torch.arange(samples.start, samples.stop), any(loop.free < 1 for loop in self.loops)
        begins = first + onsets(to_host(content), sample_rate) if beaten else at[:0]
        for sound, strokes, free in self.loops:
            if free > 0:
                played = played + free**0.5 * sound[:, at % sound.shape[-1]]
            if free < 1:
                played = played + (1 - free) ** 0.5 * strokes_at(begins, sound, strokes, samples, sample_rate)
        return played


class Grain:
    """The residual as a section of the content plays it, a block of frames after another.

    Args:
        content: `[C, T]` at `params.sample_rate`.
        first_frame: of the section in the recording.
        share: of the power that lies beyond the content's reach, 0 to 1, which the residual plays.
    """

    def __init__(self, residual: Residual, content: Tensor, first_frame: int, share: float, params: SpectrogramParams):
        self.residual, self.share, self.params, device = residual, share, params, content.device
        self.scale = mel_scale(params, device)
        played = residual.part(content, first_frame * params.hop_length, params.sample_rate)
        self.played = to_device(played, device) * panning(content, params)
        size = 4, params.n_mels, params.count_frames(content.shape[-1])
        self.wanted, self.own, self.most, self.least = torch.empty(size, device=device)
        self.blur = blur(params.n_mels, BANDS * params.n_mels, device)
        self.level = (self.blur @ residual.level.to(device)).clamp(min=QUIET / PAUSE)[:, None]

    def split(self, wanted: Tensor, own: Tensor, frames: slice) -> Tensor:
        """How much of what is asked for the content plays, as a factor `[n_mels, frames]` of its amplitude.

        Its envelope is amplified by at most the residual's reach; of what lies beyond, the residual plays `share`. A texture
        plays at GROUND wherever the envelopes differ, whatever the content lacks, and never louder, to cover no notes.

        Args:
            wanted: mel amplitudes of the images without what partials took away, `[n_mels, frames]`.
            own: those of the content.
        """
        over, around = envelope(wanted), envelope(own)
        within = (10 ** (self.residual.reach_db / 20) * around / over.clamp(min=EMPTY)).clamp(max=1)
        surplus = self.share * (1 - within.square())
        self.wanted[:, frames] = surplus * wanted.square()
        bound, texture = self.residual.bound, GROUND * own.square().sum(0) / self.residual.level.sum()
        texture = torch.lerp(texture, texture.minimum(ABOVE * over.maximum(around).square() / self.level), bound)
        self.most[:, frames] = self.share * texture * MOST ** (1 - bound)
        under = self.share * self.residual.ground * ramp(change(over, around, BANDS), CHANGED)
        self.least[:, frames] = under.square() * texture
        return (1 - surplus).sqrt()

    def added(self, spectra: Iterable[tuple[slice, Tensor]]) -> Iterator[tuple[slice, Tensor]]:
        """Spectra `[C, frames, band_bins]` of consecutive frames, with that of the residual added once all that its gain
        depends on is known."""
        waiting = deque[tuple[slice, Tensor, Tensor]]()
        for frames, spectrum in spectra:
            residual = stft(self.played, frames, self.params)
            self.own[:, frames] = self.scale.amplitudes(channel_rms(residual)).square()
            waiting.append((frames, spectrum, residual))
            while waiting and waiting[0][0].stop + reach(self.params) <= frames.stop:
                yield self._sum(*waiting.popleft())
        yield from (self._sum(*block) for block in waiting)

    def _sum(self, frames: slice, spectrum: Tensor, residual: Tensor) -> tuple[slice, Tensor]:
        around = slice(max(frames.start - reach(self.params), 0), frames.stop + reach(self.params))
        inside = slice(frames.start - around.start, frames.stop - around.start)
        wanted, own, most, least = (
            over_time(self.blur @ power[:, around], self.params)[:, inside]
            for power in (self.wanted, self.own, self.most, self.least)
        )
        gain = (wanted / own.maximum(PAUSE * self.level)).minimum(most).maximum(least).sqrt()
        return frames, spectrum + residual * self.scale.spread(gain)


def without_tones(waveform: Tensor) -> Tensor:
    """What is left of a waveform when its steady tones are taken away: medians of its magnitudes over time and over frequency
    tell both apart (Fitzgerald, DAFx 2010; with the margin of Driedger, Mueller & Disch, ISMIR 2014).

    Shape: `[C, T]` -> `[C, T]`
    """
    from scipy.ndimage import median_filter

    window = hann_window(WINDOW, waveform.device)
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


def panning(waveform: Tensor, params: SpectrogramParams) -> Tensor:
    """How loud each channel is beside the others from moment to moment: factors `[C, T]` with a mean square of 1."""
    power = over_time(F.avg_pool1d(waveform.square(), params.hop_length, ceil_mode=True), params) + QUIET
    factors = (power / power.mean(0)).sqrt()
    length = factors.shape[-1] * params.hop_length
    return F.interpolate(factors[None], size=length, mode="linear")[0, :, : waveform.shape[-1]]


def over_time(power: Tensor, params: SpectrogramParams) -> Tensor:
    """Power averaged over neighbouring frames, without a frame before the first or after the last: `[n, frames]`, as it was."""
    deviation, around = TIME * params.sample_rate / params.hop_length, reach(params)
    weights = torch.exp(-0.5 * (torch.arange(-around, around + 1, device=power.device) / deviation).square())
    power = F.pad(power[:, None], (around, around), mode="replicate")
    return F.conv1d(power, (weights / weights.sum())[None, None])[:, 0]


def reach(params: SpectrogramParams) -> int:
    """Frames before and after one that `over_time` averages."""
    return round(4 * TIME * params.sample_rate / params.hop_length)
