"""Tails: what rings on under the next notes, in an organ's church, a choir or a harp.

The notes of a transfer end where the content's do. Where the style's ring on, so do these: like a room's, a tail is the sound through
noise that falls (Moorer, Computer Music Journal 3(2), 1979), so it has the right pitches without being tracked. Where the content's
ring on longer, what is expected of them is subtracted (Lebart, Boucher & Denbigh, Acta Acustica 87, 2001).
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .detail import EMPTY, ramp
from .dynamics import BLOCK, block_power, changed
from .geometry import SpectrogramParams
from .lazy import Filtered, Mixed, Scaled, Sum, Waveform

FALL, LASTING = 90.0, 0.67  # dB a second, and seconds until nothing is heard
DEEPEST, LOWEST = 1e-3, 0.01  # of a mel's loudest power; quantile of what is left where tails above that are expected
SCALE = 6.25  # from that to the tail's power; chosen on triples with a known answer, at `partials` 0.8
ENDLESS = (0.08, 0.03)  # of that: at the first nothing ends, and no tail can be measured; at the second all does
DRYING, DRIEST = 3.75, 1e-2  # of a tail's power, what is subtracted; and the power that is left at least


def tail_power(mel: Tensor, params: SpectrogramParams) -> float:
    """Power of the tails in a mel `[n_mels, frames]`, that of what they follow being 1; 0 where none can be measured."""
    frames = mel.shape[1]
    half = min(-(-params.win_length // (2 * params.hop_length)), (frames - 1) // 2)
    power = mel[:, half : frames - half].square()  # where no window lies in part beyond the clip
    after = expected(power, params)
    heard = (power / after.clamp(min=EMPTY))[after > DEEPEST * power.max()]
    left = np.quantile(heard.numpy(), LOWEST) if len(heard) else 0.0
    return SCALE * float(left * ramp(torch.tensor(left), ENDLESS))


def expected(power: Tensor, params: SpectrogramParams) -> Tensor:
    """Of a mel's power `[n_mels, frames]`, what is to be heard later of tails of power 1."""
    hop = params.hop_length / params.sample_rate
    falling = 10 ** (-FALL / 10 * hop * torch.arange(int(LASTING / hop), 0, -1, device=power.device))
    return F.conv1d(F.pad(power[:, None, :-1], (len(falling), 0)), (falling / falling.sum())[None, None])[:, 0]


def dried(mel: Tensor, power: float, params: SpectrogramParams) -> Tensor:
    """Factors `[n_mels, frames]` under which a mel loses tails of this power."""
    power *= DRYING
    late = power / (1 + power) * expected(mel.square(), params)
    return (1 - late / mel.square().clamp(min=EMPTY)).clamp(min=DRIEST).sqrt()


def with_tails(waveform: Waveform, content: Waveform, sample_rate: int, power: float) -> Waveform:
    """A waveform `[C, T]` of which what differs from its content rings on, with `power` times its own power, over what a mask keeps, too."""
    if power == 0:
        return waveform
    block, samples = round(BLOCK * sample_rate), round(LASTING * sample_rate)
    powers = (block_power(sound, block) for sound in (waveform, content, Mixed(waveform, content, 0.5)))
    excited = Scaled(waveform, changed(*powers).sqrt(), block)
    falling = 10 ** (-FALL / 20 * np.arange(samples) / sample_rate) * np.random.default_rng(0).standard_normal(samples)
    spectrum = np.fft.rfft(falling * np.sqrt(power / np.square(falling).sum()))
    spectrum[round(SpectrogramParams.f_max * samples / sample_rate) :] = 0  # what the images do not show
    return Sum(waveform, Filtered(excited, np.fft.irfft(spectrum, samples), now=0))
