"""Render the pairs of docs/evaluation.md: scores, instruments and textures that the bundled prior never saw in training.

    python -m training.evaluation_pairs --out FOLDER

writes 20 contents, 20 styles and FOLDER/pairs.csv, which names 40 pairs of them. Contents are the public-domain scores held
out from training (half of them as one voice alone) and a few written by rule, played by the held-out instruments; styles are
other music on those instruments, drums, and synthesised textures. Needs what `training.data` needs.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np
import torch

from stylus_ops.audio.write import write_audio
from stylus_ops.evaluation.results import write_table

from .data import HELD_OUT, render
from .scores import Score, corpus_paths, corpus_score, random_score
from .textures import RATE, TEXTURES, texture

SECONDS = 5.1  # one window of either preset
STEP, LENGTH = int(0.5 * RATE), int(SECONDS * RATE)  # samples
BLOCKS = -(-LENGTH // STEP)
SCORE_SECONDS = 20.0
PROGRAMS: list[int] = HELD_OUT["programs"]
FIRST_SEED: int = HELD_OUT["first_seed"] + 1000  # training.data takes its held-out music from the seeds before
POLYPHONIC_BY_RULE, DRUMS, TEXTURE_STYLES = 3, 4, 6
PEAK = 0.7
COLUMNS = ("content", "style", "monophonic")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    contents, styles = (
        [_music(args.out, f"{part}-{name}", score, index) for index, (name, score) in enumerate(scores)]
        for part, scores in (("content", content_scores()), ("style", style_scores()))
    )
    for kind, number in enumerate(np.linspace(0, len(TEXTURES), TEXTURE_STYLES, endpoint=False, dtype=int)):
        seed = FIRST_SEED - FIRST_SEED % len(TEXTURES) + int(number)
        name = f"style-texture-{kind}-{TEXTURES[number].__name__}.flac"
        _write(args.out / name, texture(seed, SCORE_SECONDS)[None])
        styles.append((name, None))
    write_table(args.out / "pairs.csv", COLUMNS, drawn_pairs(contents, styles))


def content_scores() -> list[tuple[str, Score]]:
    """10 melodies of one voice, then 10 pieces of several."""
    held_out = [path for path in corpus_paths() if path.name in HELD_OUT["corpus"]]
    pieces = [(path.stem, corpus_score(path, FIRST_SEED, SCORE_SECONDS)) for path in held_out]
    voices = [(f"voice-{name}-top", score[:1]) for name, score in pieces]
    voices += [(f"voice-{name}-bottom", score[-1:]) for name, score in pieces]
    seeds = range(FIRST_SEED, FIRST_SEED + 100)
    by_rule = [(f"rule-{seed}", score) for seed in seeds if len(score := _voices(seed, drums=False)) > 1]
    return voices[: len(PROGRAMS)] + [(f"score-{name}", score) for name, score in pieces] + by_rule[:POLYPHONIC_BY_RULE]


def style_scores() -> list[tuple[str, Score]]:
    """A piece for each held-out instrument, then drums."""
    seeds = range(FIRST_SEED + 100, FIRST_SEED + 400)
    drums = {seed: beaten for seed in seeds if (beaten := _voices(seed, drums=True))}
    music = [(f"rule-{seed}", random_score(seed, SCORE_SECONDS)) for seed in seeds if seed not in drums]
    return music[: len(PROGRAMS)] + [(f"drums-{seed}", beaten) for seed, beaten in drums.items()][:DRUMS]


def _voices(seed: int, drums: bool) -> Score:
    return tuple(voice for voice in random_score(seed, SCORE_SECONDS) if voice.drums == drums)


def _music(out: Path, name: str, score: Score, index: int) -> tuple[str, int | None]:
    """Render a score on the held-out instrument of that number; returns the file's name and the instrument."""
    program = None if score[0].drums else PROGRAMS[index % len(PROGRAMS)]
    name = f"{name}.flac" if program is None else f"{name}-program-{program}.flac"
    _write(out / name, render(score, [program or 0], wet=True))
    return name, program


def _write(path: Path, waveform: np.ndarray) -> None:
    """Write the part of the recording [channels, samples] whose quietest half second is loudest."""
    blocks = waveform[:, : waveform.shape[1] // STEP * STEP].reshape(len(waveform), -1, STEP)
    first = STEP * loudest_part(np.square(blocks).mean((0, 2))[None])
    part = torch.from_numpy(waveform[:, first : first + LENGTH]).float()
    write_audio(path, PEAK * part / part.abs().max(), RATE, bit_depth="16")


def loudest_part(power: np.ndarray) -> int:
    """Where to cut BLOCKS of power [recordings, blocks]: their quietest block of all recordings is loudest."""
    return max(range(power.shape[1] - BLOCKS + 1), key=lambda start: float(power[:, start : start + BLOCKS].min()))


def drawn_pairs(contents: list[tuple[str, int | None]], styles: list[tuple[str, int | None]]) -> list[dict[str, str]]:
    """Every content with two styles of other instruments, every style with two contents."""
    rng = random.Random(FIRST_SEED)
    while True:
        rounds = [rng.sample(styles, len(styles)) for _ in range(2)]
        pairs = [(content, style) for order in rounds for content, style in zip(contents, order, strict=True)]
        if len(set(pairs)) == len(pairs) and all(content[1] != style[1] for content, style in pairs):
            break
    return [
        {"content": content, "style": style, "monophonic": "yes" if content.startswith("content-voice") else "no"}
        for (content, _), (style, _) in pairs
    ]


if __name__ == "__main__":
    main()
