"""Render triples with a known answer: content is tune X on instrument A, style tune Y on instrument B, truth tune X on B.

    python -m training.truth_triples --out FOLDER

writes FOLDER/dev with 40 triples to develop on and FOLDER/test with 20 for the final table alone, each with `triples.csv`
and `truth_as_style.csv`, in which the truth itself stands as the style; both are tables for `python -m stylus_ops evaluate`.
The test is that of Cifka, Ozerov, Simsekli & Richard (ICASSP 2021). Tunes and sounds are none that the bundled prior was
trained with: music21's fiddle tunes and, for every third triple, pieces of several voices by composers whom
`scores.CORPUS_COMPOSERS` lacks, played from MuseScore's soundfont without reverberation. Needs `fluidsynth` and
MuseScore_General_Lite.sf3 (Debian: fluidsynth, musescore-general-soundfont-small).
"""

from __future__ import annotations

import argparse
import random
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from stylus_ops.audio.loudness import integrated_loudness
from stylus_ops.audio.write import write_audio
from stylus_ops.evaluation.results import write_table

from .data import render
from .evaluation_pairs import BLOCKS, LENGTH, SCORE_SECONDS, STEP, loudest_part
from .scores import SUFFIXES, Score, Voice, corpus_paths, corpus_score
from .textures import RATE

SOUNDFONT = Path("/usr/share/sounds/sf3/MuseScore_General_Lite.sf3")
COUNTS = {"dev": 40, "test": 20}
POLYPHONIC_EVERY = 3
FIDDLE_TUNES = ("ryansMammoth",)
COMPOSERS = (
    *("beach", "chopin", "ciconia", "corelli", "cpebach", "handel", "johnson_j_r", "joplin", "liliuokalani", "luca"),
    *("lusitano", "schubert", "schumann_clara", "schumann_robert", "trecento", "verdi", "weber"),
)
COLUMNS = ("content", "style", "truth", "monophonic")
LOUDNESS = -23.0  # LUFS
CEILING = 10 ** (-1 / 20)
QUIETEST = 10 ** (-30 / 10)  # power of a clip's quietest half second, of its loudest
READ_SECONDS = 60.0  # of a piece at the tempo that corpus_score gives it
PACE = (2.0, 5.0)  # onsets a second
INSTRUMENT_DRAWS = 12


class Instrument(NamedTuple):
    program: int  # General MIDI, from 0
    lowest: int
    highest: int  # MIDI keys


FAMILIES = {
    "keys": (Instrument(0, 28, 96), Instrument(4, 36, 91), Instrument(6, 36, 86)),
    "mallets": (Instrument(8, 60, 96), Instrument(11, 53, 89), Instrument(12, 45, 88)),
    "organs": (Instrument(16, 36, 96), Instrument(19, 36, 96), Instrument(21, 48, 91)),
    "guitars": (Instrument(24, 40, 81), Instrument(25, 40, 83), Instrument(27, 40, 83)),
    "plucked": (Instrument(46, 36, 96), Instrument(104, 48, 79), Instrument(105, 48, 84), Instrument(107, 48, 88)),
    "bowed": (Instrument(40, 55, 96), Instrument(41, 48, 86), Instrument(42, 36, 76), Instrument(48, 36, 96)),
    "brass": (Instrument(56, 54, 84), Instrument(57, 40, 72), Instrument(60, 41, 77), Instrument(61, 41, 84)),
    "reeds": (Instrument(65, 49, 81), Instrument(68, 58, 91), Instrument(70, 34, 74), Instrument(71, 50, 91)),
    "flutes": (Instrument(73, 60, 96), Instrument(74, 60, 94), Instrument(75, 55, 91)),
    "voices": (Instrument(52, 43, 81),),
}
"""Instruments that play melodies, with the ranges in which they are written for."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    first = 0
    for part, count in COUNTS.items():
        folder = args.out / part
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        for number in range(first, first + count):
            clips = triple(number)
            files = [f"{number:02d}-{name}.flac" for name in clips]
            for file, clip in zip(files, clips.values(), strict=True):
                write_audio(folder / file, torch.from_numpy(clip), RATE, bit_depth="16")
            rows.append(dict(zip(COLUMNS, (*files, "no" if is_polyphonic(number) else "yes"), strict=True)))
            print(f"{part} {len(rows)}/{count}: {', '.join(clips)}", flush=True)
        write_table(folder / "triples.csv", COLUMNS, rows)
        write_table(folder / "truth_as_style.csv", COLUMNS, [row | {"style": row["truth"]} for row in rows])
        first += count


def triple(number: int) -> dict[str, np.ndarray]:
    """The triple of that number, of all parts' together; the first draw that fits and sounds throughout.

    By name content, style and truth, float32 [1, LENGTH]; content and truth are the same part of the same notes."""
    rng = random.Random(f"truth {number}")
    tunes = tunes_of(number)
    while True:
        paths = rng.sample(tunes, 2)
        scores = [corpus_score(path, rng.randrange(1 << 30), READ_SECONDS) for path in paths]
        if is_polyphonic(number) != (min(map(len, scores)) > 1):
            continue
        scores = [paced(score, rng.uniform(*PACE)) for score in scores]
        for _ in range(INSTRUMENT_DRAWS):
            given, wanted = (rng.choice(FAMILIES[family]) for family in rng.sample(sorted(FAMILIES), 2))
            aligned = _clips(scores[0], (given, wanted))
            other = aligned and _clips(scores[1], (wanted,))
            if aligned and other:
                content, style = (path.stem for path in paths)
                return {
                    f"content-{content}-program-{given.program}": aligned[0],
                    f"style-{style}-program-{wanted.program}": other[0],
                    f"truth-{content}-program-{wanted.program}": aligned[1],
                }


def is_polyphonic(number: int) -> bool:
    return number % POLYPHONIC_EVERY == POLYPHONIC_EVERY - 1


def tunes_of(number: int) -> list[Path]:
    """The pieces that this triple alone may use."""
    alike = [n for n in range(sum(COUNTS.values())) if is_polyphonic(n) == is_polyphonic(number)]
    paths = [*corpus_paths(COMPOSERS if is_polyphonic(number) else FIDDLE_TUNES, (*SUFFIXES, ".abc"))]
    random.Random(0).shuffle(paths)
    return paths[alike.index(number) :: len(alike)]


def paced(score: Score, onsets_per_second: float) -> Score:
    """The first SCORE_SECONDS of the score at a tempo that gives it so many onsets a second on the average."""
    notes = [note for voice in score for note in voice.notes]
    onsets, end = {round(note.start, 2) for note in notes}, max(note.start + note.duration for note in notes)
    factor = len(onsets) / end / onsets_per_second
    voices = (
        tuple(replace(note, start=note.start * factor, duration=note.duration * factor) for note in voice.notes)
        for voice in score
    )
    cut = (Voice(tuple(note for note in notes if note.start < SCORE_SECONDS)) for notes in voices)
    return tuple(voice for voice in cut if voice.notes)


def in_range(score: Score, instruments: tuple[Instrument, ...]) -> Score | None:
    """The score, moved by as few octaves as bring all its notes into the range of all instruments; None if none do."""
    pitches = [note.pitch for voice in score for note in voice.notes]
    lowest, highest = max(i.lowest for i in instruments), min(i.highest for i in instruments)
    for shift in (0, -12, 12, -24, 24):  # semitones
        if lowest <= min(pitches) + shift and max(pitches) + shift <= highest:
            return tuple(Voice(tuple(replace(n, pitch=n.pitch + shift) for n in voice.notes)) for voice in score)
    return None


def _clips(score: Score, instruments: tuple[Instrument, ...]) -> list[np.ndarray] | None:
    """The score on each instrument, [1, LENGTH] each at the common loudness, cut where the quietest half second of all
    is loudest; None if it is out of their range, or some part of a clip is silent or too loud."""
    if not (fitting := in_range(score, instruments)):
        return None
    played = [render(fitting, [i.program], wet=False, soundfont=SOUNDFONT).mean(0) for i in instruments]
    usable = int(SCORE_SECONDS * RATE) // STEP * STEP
    power = np.array([np.square(clip[:usable]).reshape(-1, STEP).mean(1) for clip in played])
    power /= power.mean(1, keepdims=True)
    first = loudest_part(power)
    part = power[:, first : first + BLOCKS]
    clips = [clip[None, first * STEP :][:, :LENGTH].astype(np.float32) for clip in played]
    levels = [integrated_loudness(torch.from_numpy(clip), RATE) for clip in clips]
    clips = [clip * np.float32(10 ** ((LOUDNESS - level) / 20)) for clip, level in zip(clips, levels, strict=True)]
    sounds = (part.min(1) >= QUIETEST * part.max(1)).all() and max(np.abs(clip).max() for clip in clips) <= CEILING
    return clips if sounds else None


if __name__ == "__main__":
    main()
