"""Synthesised noises and textures: styles are often not instruments."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, sosfilt

RATE = 44100
Signal = NDArray[np.float64]


def _slow(rng: np.random.Generator, samples: int, hertz: float) -> Signal:
    """A random curve in 0..1 that changes about `hertz` times a second."""
    points = max(4, int(samples / RATE * hertz) + 4)
    return np.interp(np.linspace(0, points - 1, samples), np.arange(points), rng.random(points))


def _band(noise: Signal, low: float, high: float) -> Signal:
    return sosfilt(butter(2, (low, min(high, 20000.0)), "bandpass", fs=RATE, output="sos"), noise)


def _scatter(rng: np.random.Generator, samples: int, rate: float, grain: Callable[[], Signal]) -> Signal:
    """Grains at random times, `rate` a second."""
    out = np.zeros(samples)
    for start in rng.integers(0, samples, rng.poisson(rate * samples / RATE)):
        sound = grain()[: samples - start]
        out[start : start + len(sound)] += sound
    return out


def _burst(rng: np.random.Generator, shortest: float, longest: float, power: int, fall: float, gain: float) -> Signal:
    """Noise of so many seconds that dies away."""
    length = int(RATE * rng.uniform(shortest, longest))
    return rng.random() ** power * gain * rng.standard_normal(length) * np.exp(-np.arange(length) / length * fall)


def _partials(rng: np.random.Generator, base: float, ratios: Signal, decay: float) -> Signal:
    time = np.arange(int(RATE * min(4.0, 5 * decay))) / RATE
    out = np.zeros_like(time)
    for ratio in ratios:
        if base * ratio < 12000:
            level = rng.uniform(0.2, 1.0) / ratio**0.5
            out += level * np.exp(-time * ratio**0.6 / decay) * np.sin(2 * np.pi * base * ratio * time)
    return out * rng.uniform(0.2, 1.0)


def wind(rng: np.random.Generator, samples: int) -> Signal:
    noise, out = rng.standard_normal(samples), np.zeros(samples)
    for _ in range(int(rng.integers(2, 5))):
        centre = rng.uniform(150, 2500)
        out += _slow(rng, samples, rng.uniform(0.3, 1.5)) ** 2 * _band(noise, centre * 0.8, centre * 1.3)
    return out


def surf(rng: np.random.Generator, samples: int) -> Signal:
    noise = _band(rng.standard_normal(samples), rng.uniform(60, 400), rng.uniform(2000, 12000))
    return noise * _slow(rng, samples, rng.uniform(0.2, 4.0)) ** rng.uniform(1, 3)


def water(rng: np.random.Generator, samples: int) -> Signal:
    def bubble() -> Signal:
        length = int(RATE * rng.uniform(0.01, 0.12))
        time = np.arange(length) / RATE
        pitch = rng.uniform(300, 4000) * (1 + rng.uniform(0.5, 8) * time)
        return rng.random() ** 2 * np.exp(-time * rng.uniform(20, 120)) * np.sin(2 * np.pi * np.cumsum(pitch) / RATE)

    bed = 0.05 * rng.random() * _band(rng.standard_normal(samples), 400, 6000)
    return _scatter(rng, samples, rng.uniform(10, 150), bubble) + bed


def rain(rng: np.random.Generator, samples: int) -> Signal:
    centre = rng.uniform(1000, 6000)
    drops = _scatter(rng, samples, rng.uniform(100, 800), lambda: _burst(rng, 0.002, 0.02, 3, 6, 1))
    return _band(drops, centre * 0.4, centre * 2.5)


def crackle(rng: np.random.Generator, samples: int) -> Signal:
    bed = 0.02 * rng.random() * _band(rng.standard_normal(samples), 80, 800)
    return _scatter(rng, samples, rng.uniform(5, 60), lambda: _burst(rng, 0.001, 0.03, 4, 5, 4)) + bed


def bells(rng: np.random.Generator, samples: int) -> Signal:
    ratios = np.concatenate([[0.5, 1.0, 1.2, 1.5, 2.0], rng.uniform(2, 8, 6)])
    tuning, decay = rng.uniform(150, 1200, int(rng.integers(2, 9))), rng.uniform(0.3, 1.5)
    return _scatter(rng, samples, rng.uniform(1, 6), lambda: _partials(rng, float(rng.choice(tuning)), ratios, decay))


def chimes(rng: np.random.Generator, samples: int) -> Signal:
    ratios = np.array([1.0, 2.76, 5.4, 8.9])
    tuning, decay = rng.uniform(800, 4000, int(rng.integers(3, 12))), rng.uniform(0.05, 1.2)
    return _scatter(rng, samples, rng.uniform(2, 25), lambda: _partials(rng, float(rng.choice(tuning)), ratios, decay))


def knocks(rng: np.random.Generator, samples: int) -> Signal:
    ratios = np.sort(rng.uniform(1, 9, 8))
    base, decay = rng.uniform(60, 800), rng.uniform(0.01, 0.08)
    return _scatter(rng, samples, rng.uniform(2, 20), lambda: _partials(rng, base, ratios, decay))


def motor(rng: np.random.Generator, samples: int) -> Signal:
    speed = rng.uniform(15, 120) * (1 + rng.uniform(0, 0.5) * _slow(rng, samples, 0.5))
    phase = np.cumsum(speed) / RATE
    pulses = (np.diff(np.floor(phase), prepend=0.0) > 0).astype(float)
    length = int(RATE * 0.05)
    body = rng.standard_normal(length) * np.exp(-np.arange(length) / length * rng.uniform(3, 12))
    return fftconvolve(pulses, body)[:samples] + 0.1 * _band(rng.standard_normal(samples), 100, 3000)


def insects(rng: np.random.Generator, samples: int) -> Signal:
    time, out = np.arange(samples) / RATE, np.zeros(samples)
    for _ in range(int(rng.integers(1, 5))):
        pitch, rate = rng.uniform(2000, 7500), rng.uniform(5, 60)
        gate = (np.sin(2 * np.pi * rate * time) > rng.uniform(-0.5, 0.8)) * _slow(rng, samples, 1.0) ** 2
        out += gate * np.sin(2 * np.pi * pitch * time + rng.uniform(0, 3) * np.sin(2 * np.pi * rate * time))
    return out


def drone(rng: np.random.Generator, samples: int) -> Signal:
    time, base, out = np.arange(samples) / RATE, rng.uniform(40, 220), np.zeros(samples)
    for harmonic in range(1, int(rng.integers(4, 30))):
        level = _slow(rng, samples, rng.uniform(0.2, 3)) / harmonic ** rng.uniform(0.4, 1.5)
        out += level * np.sin(2 * np.pi * base * harmonic * (1 + rng.uniform(-0.003, 0.003)) * time)
    return out + 0.1 * rng.random() * _band(rng.standard_normal(samples), 200, 8000)


def hiss(rng: np.random.Generator, samples: int) -> Signal:
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequency = np.maximum(np.fft.rfftfreq(samples, 1 / RATE), 20.0)
    coloured = np.fft.irfft(spectrum * frequency ** rng.uniform(-1.2, 0.3), samples)
    return coloured * (0.3 + _slow(rng, samples, rng.uniform(0.2, 12)))


TEXTURES = (wind, surf, water, rain, crackle, bells, chimes, knocks, motor, insects, drone, hiss)


def texture(seed: int, seconds: float) -> Signal:
    """One texture of `seconds` at 44.1 kHz, shape [samples], peak 0.5; a quarter of them is a mixture of two."""
    rng = np.random.default_rng(seed)
    samples = int(seconds * RATE)
    out = np.zeros(samples)
    for _ in range(2 if rng.random() < 0.25 else 1):
        layer = TEXTURES[seed % len(TEXTURES)] if not out.any() else TEXTURES[rng.integers(len(TEXTURES))]
        sound = layer(rng, samples)
        out += rng.uniform(0.3, 1.0) * sound / (np.abs(sound).max() + 1e-9)
    return 0.5 * out / (np.abs(out).max() + 1e-9)
