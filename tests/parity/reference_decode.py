"""The paper's way from a mel back to sound once more, as plainly as it can be said, to compare with.

One transform of the whole clip, dense, in float64. It knows nothing of stylus_ops.
"""

import numpy as np
import pyloudnorm
from scipy.signal import resample


def triangles(bins: int, mels: int, highest: float, rate: int) -> np.ndarray:
    """`[bins, mels]`, HTK's scale, each of peak 1."""
    points = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + highest / 700), mels + 2) / 2595) - 1)
    hertz = np.linspace(0, rate / 2, bins)[:, None]
    rising = (hertz - points[:-2]) / np.diff(points)[:-1]
    falling = (points[2:] - hertz) / np.diff(points)[1:]
    return np.maximum(0, np.minimum(rising, falling))


def decode_pinv(
    waveform: np.ndarray, mel: np.ndarray, rate: int, n_fft: int, window: int, hop: int, highest: float
) -> np.ndarray:
    """`[C, T]` with the smallest magnitudes that have the mel `[mels, frames]`, its own phase and edges, as loud as it was.

    A true peak beyond the larger of -1 dBFS and the recording's own turns the whole clip down.
    """
    samples, frames, half = waveform.shape[1], mel.shape[1], window // 2
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    filters = triangles(n_fft // 2 + 1, len(mel), highest, rate)
    smallest = np.maximum(0, mel.T @ np.linalg.pinv(filters))
    band = filters.sum(1) > 0
    padded = np.pad(waveform.astype(np.float64), ((0, 0), (half, window + frames * hop)))
    changed, weight = np.zeros_like(padded), np.zeros(padded.shape[1])
    for frame in range(frames):
        under = slice(frame * hop, frame * hop + window)
        spectrum = np.fft.rfft(padded[:, under] * hann, n_fft)
        magnitude = np.sqrt(np.mean(np.abs(spectrum) ** 2, 0))
        change = np.where(band, smallest[frame] / np.maximum(magnitude, 1e-30) - 1, 0)
        changed[:, under] += np.fft.irfft(spectrum * change, n_fft)[:, :window] * hann
        weight[under] += hann**2
    output = waveform + changed[:, half : half + samples] / weight[half : half + samples]
    fade_edges(output, waveform, round(0.005 * rate))
    power = np.square(output).sum(1)
    stray = 10 * np.log10(power / np.square(waveform).sum(1))
    stray -= np.average(stray, weights=power)
    output *= 10 ** ((np.clip(stray, -0.5, 0.5) - stray) / 20)[:, None]  # no channel 1 dB off the balance it had
    meter = pyloudnorm.Meter(rate)
    gain = meter.integrated_loudness(waveform.T) - meter.integrated_loudness(output.T)
    output = output * 10 ** (gain / 20)
    ceiling = max(10 ** (-1 / 20), peak(waveform))
    return output * min(1, ceiling / peak(output))


def fade_edges(output: np.ndarray, waveform: np.ndarray, samples: int) -> None:
    """Fade the ends of the output into the waveform, at the output's level beside them."""
    share = 0.5 - 0.5 * np.cos(np.pi * (np.arange(samples) + 0.5) / samples)
    head, tail = slice(samples), slice(-samples, None)
    besides = slice(samples, 10 * samples), slice(-10 * samples, -samples)
    for end, beside, rise in zip((head, tail), besides, (share, share[::-1]), strict=True):
        level = np.linalg.norm(output[:, beside]) / np.linalg.norm(waveform[:, beside])
        output[:, end] = rise * output[:, end] + (1 - rise) * level * waveform[:, end]


def peak(waveform: np.ndarray) -> float:
    return float(max(np.abs(waveform).max(), np.abs(resample(waveform, 4 * waveform.shape[1], axis=1)).max()))
