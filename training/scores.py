"""Scores to render: written here from random rules, or public-domain pieces of the music21 corpus.

A score knows nothing of instruments, so that the same notes can be rendered with any: pairs of renderings that
differ in timbre alone are what the prior learns style transfer from.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mido

SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "pentatonic": (0, 2, 4, 7, 9),
}
PROGRESSIONS = ((0, 3, 4, 0), (0, 5, 3, 4), (0, 4, 5, 3), (1, 4, 0, 0), (0, 2, 3, 4), (5, 3, 0, 4), (0, 6, 3, 4))
CORPUS_COMPOSERS = ("bach", "haydn", "mozart", "beethoven", "palestrina", "monteverdi", "josquin", "airdsAirs")
SUFFIXES = (".mxl", ".xml", ".krn", ".musicxml")
DRUM_CHANNEL = 9
TICKS_PER_SECOND = 960  # at the file's fixed 120 beats a minute and 480 ticks a beat


@dataclass(frozen=True)
class Note:
    start: float  # seconds
    duration: float  # seconds
    pitch: int  # MIDI key
    velocity: int  # 1..127


@dataclass(frozen=True)
class Voice:
    notes: tuple[Note, ...]
    drums: bool = False


Score = tuple[Voice, ...]


def random_score(seed: int, seconds: float) -> Score:
    """One to four voices (melody, chords, arpeggio, bass) and at times drums, sharing a key, a tempo and harmony."""
    rng = random.Random(seed)
    beat = 60.0 / rng.uniform(60, 168)
    tonic, scale = rng.randrange(12), rng.choice(list(SCALES.values()))
    degrees = [degree for _ in range(64) for degree in rng.choice(PROGRESSIONS)]
    beats_per_chord = rng.choice((1, 2, 2, 4))
    loudness = rng.randint(55, 110)

    def pitch(degree: int, octave: int) -> int:
        return 12 * octave + tonic + scale[degree % len(scale)] + 12 * (degree // len(scale))

    def degree_at(time: float) -> int:
        return degrees[int(time / (beat * beats_per_chord)) % len(degrees)]

    def velocity() -> int:
        return max(20, min(127, loudness + rng.randint(-18, 18)))

    def melody(octave: int) -> Voice:
        notes, time, degree = [], 0.0, rng.randrange(7)
        legato, rest = rng.uniform(0.4, 1.05), rng.uniform(0.0, 0.25)
        lengths = rng.choice(((0.5, 1.0, 1.0, 2.0), (0.25, 0.5, 0.5, 1.0), (1.0, 2.0, 3.0), (0.25, 0.25, 0.5)))
        while time < seconds:
            length = beat * rng.choice(lengths)
            if rng.random() >= rest:
                notes.append(Note(time, length * legato, pitch(degree, octave), velocity()))
            degree = max(-3, min(10, degree + rng.choice((-2, -1, -1, 1, 1, 2, 3, -3))))
            if rng.random() < 0.25:
                degree = degree_at(time) + rng.choice((0, 2, 4))
            time += length
        return Voice(tuple(notes))

    def block_chords(octave: int) -> Voice:
        notes, time = [], 0.0
        length = beat * rng.choice((0.5, 1.0, 2.0, 4.0))
        hold, size = rng.choice((0.4, 0.9, 1.0)), rng.choice((2, 3, 3, 4))
        while time < seconds:
            loud = velocity()
            notes += [Note(time, length * hold, pitch(degree_at(time) + 2 * k, octave), loud) for k in range(size)]
            time += length
        return Voice(tuple(notes))

    def arpeggio(octave: int) -> Voice:
        notes, time, step = [], 0.0, 0
        length = beat * rng.choice((0.25, 1 / 3, 0.5))
        pattern = rng.choice(((0, 2, 4, 7), (0, 4, 2, 4), (0, 2, 4, 7, 9, 7, 4, 2), (4, 2, 0)))
        ring = rng.choice((0.8, 1.0, 3.0))
        while time < seconds:
            degree = degree_at(time) + pattern[step % len(pattern)]
            notes.append(Note(time, length * ring, pitch(degree, octave), velocity()))
            time, step = time + length, step + 1
        return Voice(tuple(notes))

    def drums() -> Voice:
        notes, time, step = [], 0.0, 0
        kick, snare = rng.choice((35, 36)), rng.choice((38, 40, 39, 37))
        cymbal = rng.choice((42, 46, 51, 54, 70, 69))
        extra, fill = rng.randint(41, 81), rng.uniform(0.0, 0.5)
        hits = [(rng.random() < 0.4, rng.random() < 0.25) for _ in range(16)]
        while time < seconds:
            if step % 8 == 0 or (hits[step % 16][0] and step % 4 == 2):
                notes.append(Note(time, 0.1, kick, velocity()))
            if step % 8 == 4 or hits[step % 16][1]:
                notes.append(Note(time, 0.1, snare, velocity()))
            if step % 2 == 0:
                notes.append(Note(time, 0.1, cymbal, velocity()))
            if rng.random() < fill * 0.5:
                notes.append(Note(time, 0.1, extra, velocity()))
            time, step = time + beat / 4, step + 1
        return Voice(tuple(notes), drums=True)

    kinds = [
        lambda: melody(rng.choice((4, 5, 5, 6))),
        lambda: block_chords(rng.choice((3, 4, 4, 5))),
        lambda: arpeggio(rng.choice((3, 4, 5))),
        lambda: melody(rng.choice((2, 2, 3))),
    ]
    voices = [make() for make in rng.sample(kinds, rng.choice((1, 1, 1, 2, 2, 3, 4)))]
    if rng.random() < 0.2:
        voices.append(drums())
    if rng.random() < 0.04:
        voices = [drums()]
    return tuple(voices)


@cache
def corpus_paths(composers: Sequence[str] = CORPUS_COMPOSERS, suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """The music21 files of composers long in the public domain, in a fixed order."""
    from music21 import corpus

    paths = [Path(path) for composer in composers for path in corpus.getComposer(composer)]
    return sorted((path for path in paths if path.suffix in suffixes), key=lambda path: path.as_posix())


def corpus_score(path: Path, seed: int, seconds: float) -> Score:
    """The opening of a corpus piece at a random tempo, one voice a part (four at most)."""
    from music21 import converter

    rng = random.Random(seed)
    beat = 60.0 / rng.uniform(66, 132)
    loudness, shift = rng.randint(60, 105), rng.randint(-4, 4)
    piece: Any = converter.parse(path)
    voices = []
    for part in list(piece.parts)[:4]:
        notes = []
        for element in part.flatten().notes:
            start, duration = float(element.offset) * beat, float(element.quarterLength) * beat
            if start >= seconds or duration <= 0:
                continue
            loud = max(20, min(127, loudness + rng.randint(-12, 12)))
            notes += [Note(start, duration * 0.97, max(12, min(115, p.midi + shift)), loud) for p in element.pitches]
        if notes:
            voices.append(Voice(tuple(notes)))
    return tuple(voices)


def write_midi(score: Score, programs: Sequence[int], seconds: float, path: str) -> None:
    """Write the score with one General MIDI program a voice, a single one for all; drum voices go to the percussion channel."""
    events: list[tuple[float, int, mido.Message]] = []
    channels = [channel for channel in range(16) if channel != DRUM_CHANNEL]
    for index, voice in enumerate(score):
        channel = DRUM_CHANNEL if voice.drums else channels[index]
        if not voice.drums:
            program = programs[index % len(programs)]
            events.append((0.0, 0, mido.Message("program_change", channel=channel, program=program)))
        for note in voice.notes:
            on = mido.Message("note_on", channel=channel, note=note.pitch, velocity=note.velocity)
            off = mido.Message("note_off", channel=channel, note=note.pitch)
            events += [(note.start, 2, on), (min(note.start + note.duration, seconds), 1, off)]
    track, now = mido.MidiTrack(), 0
    for time, _, message in sorted(events, key=lambda event: event[:2]):
        tick = round(time * TICKS_PER_SECOND)
        track.append(message.copy(time=tick - now))
        now = tick
    mido.MidiFile(ticks_per_beat=480, tracks=[track]).save(path)
