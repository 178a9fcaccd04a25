"""Highs: above the images a transfer sounds as bright as its style.

The images end at 10 kHz. A dull flute stays dull above it under a harpsichord, and a harpsichord keeps its brilliance under a flute. So where
the upper octave of the images has changed, what lies above it is replaced by that octave, moved up and at levels that are measured in
the style: spectral band replication (Dietz, Liljeryd, Kjörling & Kunz, AES Convention 112, 2002).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .detail import EMPTY
from .dynamics import BLOCK, block_power, changed
from .edges import keep_edges
from .geometry import SpectrogramParams
from .lazy import Filtered, Mixed, Scaled, Sum, Waveform, bounds
from .tone import Numbers, Reference, linear_phase

TOP = SpectrogramParams.f_max
SHIFTS = (TOP / 2, TOP)  # Hz by which its upper octave is moved up
HERTZ = np.arange(TOP + 25, TOP + SHIFTS[1], 50)  # where levels are measured
BELOW = (HERTZ.reshape(2, -1) - np.array(SHIFTS)[:, None]).ravel()  # from where that is moved
N_FFT, AROUND = 2048, 47  # samples, and bins over which a level is averaged
LAST = 0.45  # of a style's sample rate: above it nothing can be measured, and the level stays
MOST = 20.0  # dB by which a part of the octave is amplified
REPLACED = (0.2, 0.4)  # power of the octave's change: up to here an autoencoder's error, from there a transfer


def levels_above(styles: Sequence[Reference]) -> np.ndarray:
    """How much louder styles are at HERTZ than BELOW, in dB, the mean by weight."""
    window, gains = torch.hann_window(N_FFT), np.zeros(len(HERTZ))
    for waveform, rate, weight in styles:
        spectra = torch.stft(waveform[:, :], N_FFT, window=window, pad_mode="constant", return_complex=True)
        power = F.avg_pool1d(spectra.abs().square().mean((0, 2))[None], AROUND, 1, AROUND // 2)[0].clamp(min=EMPTY)
        bins = np.rint(N_FFT * np.minimum(np.stack([HERTZ, BELOW]) / rate, LAST)).astype(int)
        above, below = 10 * power.log10().numpy()[bins]
        gains += weight * (above - below)
    return np.minimum(gains / sum(weight for _, _, weight in styles), MOST)


def with_highs(waveform: Waveform, content: Waveform, sample_rate: int, gains: np.ndarray) -> Waveform:
    """A waveform `[C, T]` that above the images has its own upper octave under `gains`, as `levels_above` gives them, where that is
    not its content's; at rates below 40 kHz the waveform itself."""
    if sample_rate < 2 * (TOP + SHIFTS[1]):
        return waveform

    def within(hertz: Numbers, decibels: Numbers) -> np.ndarray:
        return linear_phase([hertz[0] - 50, *hertz, hertz[-1] + 50], [-120, *decibels, -120], sample_rate)

    block, octave = round(BLOCK * sample_rate), within(SHIFTS, [0, 0])
    top, own, mean = (Filtered(sound, octave) for sound in (waveform, content, Mixed(waveform, content, 0.5)))
    powers = (block_power(sound, block) for sound in (top, own, mean))
    raised = Filtered(Raised(top, sample_rate), within(HERTZ, gains))
    left = Filtered(waveform, -within([TOP, sample_rate / 2], [0, 0]))
    replaced = Sum(waveform, Scaled(Sum(raised, left), changed(*powers, between=REPLACED), block))
    return keep_edges(replaced, waveform, sample_rate)


class Raised:
    """A waveform moved up, and down, by each of SHIFTS."""

    def __init__(self, waveform: Waveform, sample_rate: int):
        self.waveform, self.sample_rate, self.shape = waveform, sample_rate, waveform.shape

    def __getitem__(self, index: tuple[slice, slice]) -> Tensor:
        radians = 2 * torch.pi / self.sample_rate * torch.arange(*bounds(index[1], self.shape[-1]), dtype=torch.float64)
        carriers = 2 * sum((shift * radians).cos() for shift in SHIFTS)
        return self.waveform[index] * torch.as_tensor(carriers).float()
