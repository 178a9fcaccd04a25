"""Make the bundled example recordings, a melody, two styles and a short song (CC0): `python -m training.recordings`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from stylus_ops.tiny import RECORDINGS

from .data import HELD_OUT, render
from .scores import Note, Voice, random_score
from .textures import RATE, texture

SECONDS, SONG_SECONDS = 5.1, 20.0
CLARINET, HARPSICHORD, GUITAR, BASS = 71, 6, 24, 32
PITCHES = (62, 66, 69, 67, 66, 64, 62, 69, 71, 69, 66, 64)
LENGTHS = (1, 1, 1.5, 0.5, 1, 1, 2, 1, 1, 1.5, 0.5, 2)  # beats
BEAT = 0.36  # seconds
SONG_TUNE = (74, 77, 76, 74, 72, 70, 69, 72, 77, 76, 74, 72, 74, 70, 74, 77, 74, 70, 73, 76, 79, 76, 74)
SONG_LENGTHS = (2, 1, 1, 1.5, 0.5, 2, 1, 1, 2, 1.5, 0.5, 2, 1, 1, 2, 1.5, 0.5, 2, 1, 1, 1, 1, 4)  # beats
SONG_CHORDS = (
    (50, 53, 57),
    (46, 50, 53),
    (53, 57, 60),
    (48, 52, 55),
    (43, 46, 50),
    (46, 50, 53),
    (45, 49, 52),
    (50, 53, 57),
)
BAR = 2.4  # seconds, of four beats
ARPEGGIO, WATER = HELD_OUT["first_seed"] + 5, HELD_OUT["first_seed"] + 10


def played(voices: tuple[Voice, ...], *programs: int) -> np.ndarray:
    """Audio [2, samples]; a single program is every voice's."""
    with tempfile.TemporaryDirectory() as folder:
        return render(voices, list(programs) * (len(voices) // len(programs)), Path(folder), wet=True)


def tune(pitches: tuple[int, ...], lengths: tuple[float, ...], beat: float) -> Voice:
    notes, now = [], 0.0
    for pitch, length in zip(pitches, lengths, strict=True):
        notes.append(Note(now * beat, 0.95 * length * beat, pitch, 96))
        now += length
    return Voice(tuple(notes))


def song() -> tuple[Voice, Voice, Voice]:
    """Eight bars: a tune, broken chords below it, and a bass."""
    chords = [(bar * BAR, chord) for bar, chord in enumerate(SONG_CHORDS)]
    eighth = BAR / 8
    broken = [
        Note(start + step * eighth, 2 * eighth, 12 + chord[(0, 1, 2, 1)[step % 4]], 84)
        for start, chord in chords
        for step in range(8)
    ]
    bass = [
        Note(start + half * BAR / 2, 0.45 * BAR, chord[2 * half] - 12, 92) for start, chord in chords for half in (0, 1)
    ]
    return tune(SONG_TUNE, SONG_LENGTHS, BAR / 4), Voice(tuple(broken)), Voice(tuple(bass))


def write(name: str, audio: np.ndarray, seconds: float = SECONDS, **how: Any) -> None:
    """Audio [channels, samples]: cut, faded at the end and normalised to -3 dBFS."""
    audio = audio[:, : int(seconds * RATE)] / np.abs(audio).max() * 10 ** (-3 / 20)
    audio[:, -RATE // 20 :] *= np.linspace(1, 0, RATE // 20)
    soundfile.write(RECORDINGS / name, audio.T, RATE, **how)


def main() -> None:
    RECORDINGS.mkdir(exist_ok=True)
    lossless: dict[str, Any] = {"subtype": "PCM_16"}
    write("melody.flac", played((tune(PITCHES, LENGTHS, BEAT),), CLARINET).mean(0, keepdims=True), **lossless)
    arpeggio = played(random_score(ARPEGGIO, SECONDS + 1), HARPSICHORD)
    write("style_a.flac", arpeggio.mean(0, keepdims=True), **lossless)
    write("style_b.flac", texture(WATER, SECONDS + 1)[None], **lossless)
    write(
        "song.mp3", played(song(), CLARINET, GUITAR, BASS), SONG_SECONDS, bitrate_mode="CONSTANT", compression_level=0.7
    )


if __name__ == "__main__":
    main()
