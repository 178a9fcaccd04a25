"""torchaudio's resampler and filterbank against those that stand in for them, soxr's and librosa's.

`python -m benchmarks.resamplers` prints a line for each pair of rates: CPU seconds for 30 s of stereo, what is left in the stop
band, the gain at 0.9 and 0.95 of the lower Nyquist rate, and how far apart both are below 0.8 of it; then the largest difference
between the filterbanks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks.common import cpu_seconds
from benchmarks.roundtrip import below, snr
from stylus_ops.audio.backend import mel_filterbank, mel_filterbank_with_librosa, resample, resample_with_soxr

RATES = ((48000, 44100), (44100, 48000), (96000, 44100), (22050, 44100), (44100, 22050), (44100, 176400))
SECONDS = 30
EDGE = slice(2000, -2000)
Resampler = Callable[[Tensor, int, int], Tensor]


def sine(frequency: float, rate: int) -> Tensor:
    return torch.sin(2 * math.pi * frequency * torch.arange(4 * rate, dtype=torch.float64) / rate).float()[None]


def gain_db(resampler: Resampler, frequency: float, from_rate: int, to_rate: int) -> float:
    output = resampler(sine(frequency, from_rate), from_rate, to_rate)[:, EDGE].double()
    return 10 * math.log10(2 * float(output.square().mean()))


def stop_band_db(resampler: Resampler, from_rate: int, to_rate: int) -> float:
    """What is left of sines beyond the new Nyquist rate, or of the images of one below the old."""
    nyquist = min(from_rate, to_rate) / 2
    if to_rate < from_rate:
        beyond = (f for f in (1.02 * nyquist, 1.05 * nyquist, 1.3 * nyquist) if f < from_rate / 2)
        return max(gain_db(resampler, frequency, from_rate, to_rate) for frequency in beyond)
    output = resampler(sine(0.8 * nyquist, from_rate), from_rate, to_rate)[0, EDGE].double()
    power = torch.fft.rfft(output * torch.hann_window(len(output), dtype=torch.float64)).abs().square()
    elsewhere = (torch.fft.rfftfreq(len(output), 1 / to_rate) - 0.8 * nyquist).abs() > 50
    return 10 * math.log10(float(power[elsewhere].max() / power.max()))


def main() -> None:
    resamplers: dict[str, Resampler] = {"torchaudio": resample, "soxr": resample_with_soxr}
    for rates in RATES:
        noise = 0.1 * torch.randn(2, SECONDS * rates[0], generator=torch.Generator().manual_seed(0))
        low = below(noise, rates[0], 0.4 * min(rates)).float()
        apart = snr(*(resampler(low, *rates)[None, :, EDGE] for resampler in resamplers.values()))
        columns = [f"{rates[0]} to {rates[1]}", f"apart {-apart:.0f} dB"]
        for name, resampler in resamplers.items():
            edges = "/".join(f"{gain_db(resampler, share * min(rates) / 2, *rates):.2f}" for share in (0.9, 0.95))
            seconds, stop = cpu_seconds(partial(resampler, noise, *rates)), stop_band_db(resampler, *rates)
            columns.append(f"{name} {seconds:.2f} s, stop band {stop:.0f} dB, edge {edges} dB")
        print("; ".join(columns), flush=True)
    for n_mels in (256, 512):
        arguments = (8821, 0.0, 10000.0, n_mels, 44100)
        apart = float((mel_filterbank(*arguments) - mel_filterbank_with_librosa(*arguments)).abs().max())
        print(f"filterbank of {n_mels} mels: largest difference {apart:.1e}")


if __name__ == "__main__":
    main()
