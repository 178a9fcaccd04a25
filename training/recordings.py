"""Make the bundled example recordings, a melody and two styles (CC0): `python -m training.recordings`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import soundfile

from stylus_ops.tiny import RECORDINGS

from .data import HELD_OUT, render
from .scores import Note, Voice, random_score
from .textures import RATE, texture

SECONDS = 5.1
CLARINET, HARPSICHORD = 71, 6
PITCHES = (62, 66, 69, 67, 66, 64, 62, 69, 71, 69, 66, 64)
LENGTHS = (1, 1, 1.5, 0.5, 1, 1, 2, 1, 1, 1.5, 0.5, 2)  # beats
BEAT = 0.36  # seconds
ARPEGGIO, WATER = HELD_OUT["first_seed"] + 5, HELD_OUT["first_seed"] + 10


def played(voices: tuple[Voice, ...], program: int) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        return render(voices, [program] * len(voices), Path(folder), wet=True)


def melody() -> Voice:
    notes, beat = [], 0.0
    for pitch, length in zip(PITCHES, LENGTHS, strict=True):
        notes.append(Note(beat * BEAT, 0.95 * length * BEAT, pitch, 96))
        beat += length
    return Voice(tuple(notes))


def write(name: str, audio: np.ndarray) -> None:
    """Audio [channels, samples]: cut, faded at the end and normalised to -3 dBFS."""
    audio = audio[:, : int(SECONDS * RATE)] / np.abs(audio).max() * 10 ** (-3 / 20)
    audio[:, -RATE // 20 :] *= np.linspace(1, 0, RATE // 20)
    soundfile.write(RECORDINGS / name, audio.T, RATE, subtype="PCM_16")


def main() -> None:
    RECORDINGS.mkdir(exist_ok=True)
    write("melody.flac", played((melody(),), CLARINET).mean(0, keepdims=True))
    write("style_a.flac", played(random_score(ARPEGGIO, SECONDS + 1), HARPSICHORD).mean(0, keepdims=True))
    write("style_b.flac", texture(WATER, SECONDS + 1)[None])


if __name__ == "__main__":
    main()
