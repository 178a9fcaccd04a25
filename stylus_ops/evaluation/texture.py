"""Statistics of sound textures (McDermott & Simoncelli, "Sound texture perception via statistics of the auditory periphery",
Neuron 71, 2011): rain and fire are heard by time averages of their cochlear envelopes, not by when each drop falls.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.signal import resample_poly
from scipy.stats import kurtosis, skew
from torch import Tensor

from ..audio.backend import resample
from ..audio.metrics import closed_share

RATE = 20000
LOWEST, HIGHEST, BANDS = 52.0, 8844.0, 30  # Hz; centres are evenly spaced in ERB numbers
COMPRESSION = 0.3  # of the cochlea
ENVELOPE_RATE = 400  # Hz
MODULATIONS = np.geomspace(0.5, 200.0, 20)  # Hz
QUALITY = 2.0  # centre frequency over bandwidth of a modulation filter
NEIGHBOURS = (1, 2, 3, 5, 8, 11, 16, 21)  # distances, in bands, at which envelopes are correlated


class Texture(NamedTuple):
    """Time averages of a clip, independent of its level."""

    envelopes: tuple[np.ndarray, ...]
    """Mean, deviation over mean, skewness and kurtosis of each band's envelope, each [30]."""
    modulation: tuple[np.ndarray, ...]
    """Power of each band's envelope within each modulation filter over its variance, [30, 20]."""
    correlations: tuple[np.ndarray, ...]
    """Between the envelopes of bands so far apart, one vector for all of `NEIGHBOURS`."""


def texture(waveform: Tensor, sample_rate: int) -> Texture:
    """Of a waveform [C, T]; channels are averaged. Raises ValueError if it is silent."""
    samples = resample(waveform.detach().cpu().float().mean(0, keepdim=True), sample_rate, RATE)[0].numpy()
    envelopes = cochlear_envelopes(samples)
    mean = envelopes.mean(1)
    if not mean.any():
        raise ValueError("the clip is silent: there is no texture to describe")
    deviation = envelopes.std(1)
    sounding = np.maximum(deviation, 1e-3 * mean.max())  # a band without sound has no shape
    centred = (envelopes - mean[:, None]) / sounding[:, None]
    moments = (mean / np.linalg.norm(mean), deviation / np.maximum(mean, 1e-3 * mean.max()))
    shapes = tuple(np.nan_to_num(moment(envelopes, axis=1)) for moment in (skew, kurtosis))
    correlation = centred @ centred.T / centred.shape[1]
    neighbours = np.concatenate([np.diagonal(correlation, offset) for offset in NEIGHBOURS])
    return Texture((*moments, shapes[0], 3 + shapes[1]), (_modulation_power(centred),), (neighbours,))


def cochlear_envelopes(samples: np.ndarray) -> np.ndarray:
    """Compressed Hilbert envelopes [30, frames] at 400 Hz of samples at 20 kHz, through half-cosine filters on the ERB
    scale (Glasberg & Moore 1990), each reaching to its neighbours' centres, so that their squares sum to 1."""
    spectrum = np.fft.fft(samples)
    frequencies = np.fft.fftfreq(len(samples), 1 / RATE)
    lowest, highest = _erb_number(np.array([LOWEST, HIGHEST]))
    edges = np.linspace(lowest, highest, BANDS)
    position = (_erb_number(np.maximum(frequencies, 0)) - edges[0]) / (edges[1] - edges[0])
    envelopes = []
    for band in range(BANDS):
        gain = np.cos(np.clip(position - band, -1, 1) * np.pi / 2) * (frequencies > 0)
        analytic = np.fft.ifft(2 * gain * spectrum)
        envelopes.append(resample_poly(np.abs(analytic) ** COMPRESSION, ENVELOPE_RATE, RATE))
    return np.maximum(envelopes, 0)


def _modulation_power(envelopes: np.ndarray) -> np.ndarray:
    """Power of envelopes [bands, frames] (mean 0, variance 1) within each modulation filter, [bands, 20]."""
    power = np.abs(np.fft.rfft(envelopes)) ** 2
    power[:, 1:] *= 2
    frequencies = np.fft.rfftfreq(envelopes.shape[1], 1 / ENVELOPE_RATE)
    width = MODULATIONS[:, None] / QUALITY
    filters = np.cos(np.clip((frequencies - MODULATIONS[:, None]) / width, -1, 1) * np.pi / 2)
    return power @ np.square(filters).T / envelopes.shape[1] ** 2


def texture_distances(a: Texture, b: Texture) -> dict[str, float]:
    """Distance of `b` from `a` for each field of `Texture`: the size of the difference over the size of `a`, root mean square
    over the statistics of the field. 0 is the same texture; twice as far is twice the number."""
    distances = {}
    for field, of_a, of_b in zip(Texture._fields, a, b, strict=True):
        shares = [np.square(x - y).sum() / np.square(x).sum() for x, y in zip(of_a, of_b, strict=True)]
        distances[field] = float(np.sqrt(np.mean(shares)))
    return distances


def closed_textures(content: Texture, style: Texture, output: Texture) -> dict[str, float]:
    """`closed_share` of the distance to the style, for each field of `Texture`."""
    before, after = (texture_distances(style, clip) for clip in (content, output))
    return {name: closed_share(before[name], after[name]) for name in before}


def _erb_number(hertz: np.ndarray) -> np.ndarray:
    return 21.4 * np.log10(1 + 0.00437 * hertz)
