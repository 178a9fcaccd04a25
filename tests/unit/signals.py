"""Synthetic recordings, each `[1, C, T]` float32."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor


def seconds(duration: float, rate: int) -> Tensor:
    return torch.arange(round(duration * rate), dtype=torch.float64) / rate


def sine(frequency: float, duration: float, rate: int, amplitude: float = 1.0, phase: float = 0.0) -> Tensor:
    """`[1, T]`."""
    return (amplitude * torch.sin(2 * math.pi * frequency * seconds(duration, rate) + phase)).float()[None]


def tones(duration: float, rate: int, channels: int = 2) -> Tensor:
    """Five steady sines of a singing range, panned differently."""
    time = seconds(duration, rate)
    sides = torch.linspace(0.2, 1.0, channels, dtype=torch.float64)[:, None]
    waves = [
        torch.sin(2 * math.pi * frequency * time + frequency) * sides.roll(index, 0)
        for index, frequency in enumerate((110.0, 220.5, 441.3, 660.0, 880.0))
    ]
    return (0.1 * torch.stack(waves).sum(0))[None].float()


def clicks(duration: float, rate: int) -> Tensor:
    wave = torch.zeros(1, 1, round(duration * rate))
    wave[..., rate // 3 :: rate // 2] = 0.5
    return wave


def noise(duration: float, rate: int, channels: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(1, channels, round(duration * rate), generator=generator)


def melody(duration: float, rate: int) -> Tensor:
    """A plucked string: three notes a second, eight harmonics that fade the faster the higher they are."""
    return _melody(duration, rate).clone()


@functools.cache
def _melody(duration: float, rate: int) -> Tensor:
    wave = torch.zeros(1, 2, round(duration * rate))
    pitches = (57, 60, 64, 69, 67, 64, 62, 59)
    for index in range(int(3 * duration)):
        start = round(index * rate / 3)
        time = seconds((wave.shape[-1] - start) / rate, rate)
        frequency = 440 * 2 ** ((pitches[index % len(pitches)] - 69) / 12)
        attack = (time / 0.005).clamp(max=1)
        note = sum(
            torch.sin(2 * math.pi * frequency * k * time) * torch.exp(-time * (2 + k)) / k
            for k in range(1, 9)
            if frequency * k < rate / 2
        )
        pan = torch.tensor([0.3, 1.0] if index % 2 else [1.0, 0.5])
        wave[0, :, start:] += (0.2 * attack * note).float() * pan[:, None]
    return wave


def mix(duration: float, rate: int) -> Tensor:
    """Melody, tones, clicks and a little noise at once."""
    return melody(duration, rate) + 0.3 * tones(duration, rate) + clicks(duration, rate) + 0.1 * noise(duration, rate)


def snr(wanted: Tensor, got: Tensor) -> float:
    """Decibels of `wanted` over the difference; infinite when equal."""
    error = float((wanted.double() - got.double()).square().sum())
    return 10 * math.log10(float(wanted.double().square().sum()) / error) if error else math.inf


def below(waveform: Tensor, rate: int, frequency: float) -> Tensor:
    """The waveform without what lies above `frequency`."""
    spectrum = torch.fft.rfft(waveform.double())
    spectrum[..., int(frequency * waveform.shape[-1] / rate) :] = 0
    return torch.fft.irfft(spectrum, n=waveform.shape[-1])
