"""Make the sounds of docs/listen/index.html: three pairs of recordings, and what an equaliser and Stylus make of them.

`python -m training.listen` renders contents and styles (CC0) and transfers with the bundled prior and default dials.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch

from stylus_ops.audio.read import read_audio
from stylus_ops.engine.engine import Engine
from stylus_ops.evaluation.baselines import eq_match
from stylus_ops.pipeline.settings import Settings
from stylus_ops.pipeline.transfer import transfer_files

from .data import HELD_OUT
from .recordings import BEAT, LENGTHS, PITCHES, played, tune
from .scores import random_score
from .textures import RATE, crackle

FOLDER = Path(__file__).parents[1] / "docs" / "listen"
SECONDS = 8.0
PIANO, GUITAR, STRINGS, FLUTE, CLARINET = 0, 24, 48, 73, 71
PHRASE = (tune(PITCHES + PITCHES, LENGTHS + LENGTHS, BEAT),)


class Pair(NamedTuple):
    name: str
    content: np.ndarray
    style: np.ndarray
    """Audio [channels, samples] at RATE."""


def pairs() -> list[Pair]:
    fire = crackle(np.random.default_rng(HELD_OUT["first_seed"]), int(SECONDS * RATE))
    another = random_score(HELD_OUT["first_seed"] + 21, SECONDS + 1)
    return [
        Pair("flute-fire", played(PHRASE, FLUTE), fire[None]),
        Pair("piano-strings", played(PHRASE, PIANO), played(another, STRINGS)),
        Pair("clarinet-guitar", played(PHRASE, CLARINET), played(another, GUITAR)),
    ]


def main() -> None:
    engine = Engine.load("tiny")
    for pair in pairs():
        made = {}
        with tempfile.TemporaryDirectory() as folder:
            paths = {name: Path(folder, f"{name}.wav") for name in ("content", "style", "stylus")}
            for name, audio in (("content", pair.content), ("style", pair.style)):
                audio = audio[:, : int(SECONDS * RATE)] / np.abs(audio).max() * 10 ** (-6 / 20)
                audio[:, -RATE // 20 :] *= np.linspace(1, 0, RATE // 20)
                soundfile.write(paths[name], audio.T, RATE, subtype="FLOAT")
                made[name] = torch.from_numpy(audio).float()
            made["equaliser"] = eq_match(made["content"], made["style"], RATE).waveform
            transfer_files(engine, paths["content"], [paths["style"]], [], paths["stylus"], Settings())
            made["stylus"] = read_audio(paths["stylus"])[0][0]
        for name, waveform in made.items():
            samples = waveform.t().numpy()
            soundfile.write(
                FOLDER / f"{pair.name}-{name}.mp3", samples, RATE, bitrate_mode="VARIABLE", compression_level=0.4
            )


if __name__ == "__main__":
    main()
