"""Which pitches sound at once, by summed harmonics (Klapuri, "Multiple fundamental frequency estimation by summing harmonic
amplitudes", ISMIR 2006): the pitch whose harmonics are strongest in the whitened spectrum is taken, its harmonics are taken
away, and so on while that explains more of the spectrum.
"""

from __future__ import annotations

import librosa
import numpy as np

N_FFT = 4096
PADDED = 16384  # bins of 1.3 Hz at 22.05 kHz: a quarter of a semitone at 92 Hz
LOWEST, HIGHEST = 36, 96  # MIDI keys
STEPS_PER_SEMITONE = 4
HARMONICS = 20
MOST_VOICES = 6
ALPHA, BETA = 27.0, 320.0  # Hz; weights of the harmonics, as trained by Klapuri for windows of 93 ms
WHITENING = 0.33
CANCELLED = 0.89
POLYPHONY = 0.7
QUIET = 1e-2  # of the loudest frame's amplitude, -40 dB: frames below it have no pitch


def multipitch(samples: np.ndarray, sample_rate: int, hop: int) -> np.ndarray:
    """Bool [128, frames]: whether the MIDI key sounds; none in frames more than 40 dB under the loudest.

    Args:
        samples: [T] at `sample_rate` Hz.
        hop: samples from frame to frame.
    """
    magnitude = np.abs(librosa.stft(samples, n_fft=PADDED, win_length=N_FFT, hop_length=hop)).T
    level = np.sqrt(np.square(magnitude).sum(1))
    roll = np.zeros((128, len(magnitude)), bool)
    sounding = np.flatnonzero(level > QUIET * level.max())
    if not sounding.size:
        return roll
    residue = _whitened(magnitude[sounding], sample_rate)
    keys = np.arange(LOWEST * STEPS_PER_SEMITONE, HIGHEST * STEPS_PER_SEMITONE + 1) / STEPS_PER_SEMITONE
    hertz = librosa.midi_to_hz(keys)[:, None]
    number = np.arange(1, HARMONICS + 1)
    weights = (hertz + ALPHA) / (number * hertz + BETA) * (number * hertz < sample_rate / 2)
    bins = np.minimum(np.round(number * hertz * PADDED / sample_rate).astype(int), residue.shape[1] - 1)
    lobe = 2 * PADDED // N_FFT  # half of a Hann window's main lobe
    best, explained = np.zeros(len(residue)), np.zeros(len(residue))
    searching = np.ones(len(residue), bool)
    rows = np.arange(len(residue))
    for voice in range(1, MOST_VOICES + 1):
        salience = (residue[:, bins] * weights).sum(-1)
        found = salience.argmax(1)
        explained += salience[rows, found]
        score = explained / voice**POLYPHONY
        searching &= score > best
        best = np.maximum(best, score)
        roll[np.round(keys[found]).astype(int)[searching], sounding[searching]] = True
        for offset in range(-lobe, lobe + 1):
            at = np.clip(bins[found] + offset, 0, residue.shape[1] - 1)
            residue[rows[:, None], at] *= 1 - CANCELLED * np.minimum(1, weights[found])
    return roll


def _whitened(magnitude: np.ndarray, sample_rate: int) -> np.ndarray:
    """The spectrum [frames, bins] with the level of broad bands compressed, so that timbre counts less."""
    frequencies = np.fft.rfftfreq(PADDED, 1 / sample_rate)
    centres = 229 * (10 ** (np.arange(1, 32) / 21.4) - 1)
    centres = centres[centres < sample_rate / 2]
    bands = [
        np.clip(1 - np.abs(frequencies - centre) / width, 0, None)
        for centre, width in zip(centres, np.gradient(centres), strict=True)
    ]
    level = np.sqrt(np.square(magnitude) @ np.array(bands).T / magnitude.shape[1])
    level = np.maximum(level, 1e-6 * level.max())
    factors = np.array([np.interp(frequencies, centres, row ** (WHITENING - 1)) for row in level])
    return magnitude * factors
