"""Make the recordings in the repository (CC0): `python -m training.recordings`.

The bundled ones are a melody, two styles and a short song. Those of docs/listen/index.html are three pairs, and what an equaliser
and Stylus make of them with the bundled prior and default dials.
"""

from __future__ import annotations

import tempfile
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from stylus_ops.engine.engine import Engine
from stylus_ops.evaluation.methods import Recordings, eq_matched, transferred
from stylus_ops.evaluation.pairs import Pair
from stylus_ops.pipeline.settings import Settings
from stylus_ops.tiny import RECORDINGS

from .data import HELD_OUT, render
from .scores import Note, Voice, random_score
from .textures import RATE, crackle, texture

LISTEN = Path(__file__).parents[1] / "docs" / "listen"
SECONDS, SONG_SECONDS, LISTEN_SECONDS = 5.1, 20.0, 8.0
PIANO, HARPSICHORD, GUITAR, BASS, STRINGS, CLARINET, FLUTE = 0, 6, 24, 32, 48, 71, 73
PITCHES = (62, 66, 69, 67, 66, 64, 62, 69, 71, 69, 66, 64)
LENGTHS = (1, 1, 1.5, 0.5, 1, 1, 2, 1, 1, 1.5, 0.5, 2)  # beats
BEAT = 0.36  # seconds
SONG_TUNE = (74, 77, 76, 74, 72, 70, 69, 72, 77, 76, 74, 72, 74, 70, 74, 77, 74, 70, 73, 76, 79, 76, 74)
SONG_LENGTHS = (2, 1, 1, 1.5, 0.5, 2, 1, 1, 2, 1.5, 0.5, 2, 1, 1, 2, 1.5, 0.5, 2, 1, 1, 1, 1, 4)  # beats
SONG_CHORDS = (
    *((50, 53, 57), (46, 50, 53), (53, 57, 60), (48, 52, 55)),
    *((43, 46, 50), (46, 50, 53), (45, 49, 52), (50, 53, 57)),
)
BAR = 2.4  # seconds, of four beats
ARPEGGIO, WATER = HELD_OUT["first_seed"] + 5, HELD_OUT["first_seed"] + 10


def tune(pitches: tuple[int, ...], lengths: tuple[float, ...], beat: float) -> Voice:
    placed = zip(accumulate(lengths, initial=0.0), lengths, pitches, strict=False)
    return Voice(tuple(Note(start * beat, 0.95 * length * beat, pitch, 96) for start, length, pitch in placed))


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


def levelled(audio: np.ndarray, seconds: float, decibels: float) -> np.ndarray:
    """Audio [channels, samples]: cut, faded at the end, its peak at so many dBFS."""
    audio = audio[:, : int(seconds * RATE)] / np.abs(audio).max() * 10 ** (decibels / 20)
    audio[:, -RATE // 20 :] *= np.linspace(1, 0, RATE // 20)
    return audio


def bundled() -> None:
    def write(name: str, audio: np.ndarray, seconds: float = SECONDS, **how: Any) -> None:
        soundfile.write(RECORDINGS / name, levelled(audio, seconds, -3).T, RATE, **how)

    melody = render((tune(PITCHES, LENGTHS, BEAT),), [CLARINET], wet=True)
    write("melody.flac", melody.mean(0, keepdims=True))
    arpeggio = render(random_score(ARPEGGIO, SECONDS + 1), [HARPSICHORD], wet=True)
    write("style_a.flac", arpeggio.mean(0, keepdims=True))
    write("style_b.flac", texture(WATER, SECONDS + 1)[None])
    lossy: dict[str, Any] = {"bitrate_mode": "CONSTANT", "compression_level": 0.7}
    write("song.mp3", render(song(), [CLARINET, GUITAR, BASS], wet=True), SONG_SECONDS, **lossy)


def compared() -> None:
    """The sounds of docs/listen."""
    phrase = (tune(PITCHES + PITCHES, LENGTHS + LENGTHS, BEAT),)
    fire = crackle(np.random.default_rng(HELD_OUT["first_seed"]), int(LISTEN_SECONDS * RATE))[None]
    another = random_score(HELD_OUT["first_seed"] + 21, LISTEN_SECONDS + 1)
    pairs = {
        "flute-fire": (render(phrase, [FLUTE], wet=True), fire),
        "piano-strings": (render(phrase, [PIANO], wet=True), render(another, [STRINGS], wet=True)),
        "clarinet-guitar": (render(phrase, [CLARINET], wet=True), render(another, [GUITAR], wet=True)),
    }
    engine = Engine.load("tiny")
    for pair, clips in pairs.items():
        with tempfile.TemporaryDirectory() as folder:
            for name, audio in zip(("content", "style"), clips, strict=True):
                soundfile.write(f"{folder}/{name}.wav", levelled(audio, LISTEN_SECONDS, -6).T, RATE, subtype="FLOAT")
            recordings = Recordings(Pair(pair, Path(folder, "content.wav"), Path(folder, "style.wav")), engine)
            made = {"content": recordings.content, "style": recordings.style}
            made["equaliser"] = eq_matched(recordings, Settings(alpha=1.0))
            made["stylus"] = transferred(recordings, Settings())
        for name, waveform in made.items():
            path, samples = LISTEN / f"{pair}-{name}.mp3", waveform.t().numpy()
            soundfile.write(path, samples, RATE, bitrate_mode="VARIABLE", compression_level=0.4)


if __name__ == "__main__":
    bundled()
    compared()
