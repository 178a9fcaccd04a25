"""Make the training set: scores and textures, rendered and kept as mel spectrograms of whole recordings.

    python -m training.data --out FOLDER [--workers 2]

writes FOLDER/{train,held_out}/{music,texture}_NNNNN.npz: `values`, float16 [renderings, 256, frames], (mel amplitude) ** 0.25,
and `ensembles`, the number [renderings] of what plays each. The renderings of one music file play the same notes with other
ensembles, and each ensemble plays many files, so that a style can come from another piece. Needs the `fluidsynth` program
and FluidR3_GM.sf2 (Debian: fluidsynth, fluid-soundfont-gm). Runs that were interrupted go on where they stopped.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch

from stylus_ops.audio.mel import mel_amplitudes
from stylus_ops.disk import write_atomically

from .scores import Score, corpus_paths, corpus_score, random_score, write_midi
from .textures import RATE, texture
from .windows import PARAMS

SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
HELD_OUT = json.loads(Path(__file__).with_name("held_out.json").read_text())
SECONDS = 26.0
RENDERINGS, VOICES = 3, 4
COUNTS = {
    "held_out": {"music": HELD_OUT["music"], "texture": HELD_OUT["textures"]},
    "train": {"music": 800, "texture": 54},
}


def render(score: Score, programs: Sequence[int], wet: bool, soundfont: Path = SOUNDFONT) -> np.ndarray:
    """Play the score with fluidsynth, as `write_midi` writes it; float32 [2, SECONDS * 44100]."""
    effects = ["-R", "1" if wet else "0", "-C", "1" if wet else "0"]
    effects += ["-o", "synth.dynamic-sample-loading=1"]  # only the samples that the score needs
    with tempfile.TemporaryDirectory() as folder:
        midi, wav = f"{folder}/score.mid", f"{folder}/score.wav"
        write_midi(score, programs, SECONDS, midi)
        command = ["fluidsynth", "-ni", "-q", *effects, "-g", "0.6", "-r", str(RATE), "-F", wav, str(soundfont), midi]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        audio, _ = soundfile.read(wav, dtype="float32", always_2d=True)
    samples = int(SECONDS * RATE)
    return np.pad(audio[:samples].T, ((0, 0), (0, max(0, samples - len(audio)))))


def ensembles(held_out: bool) -> list[list[int]]:
    """Programs of four voices: each program alone, and a fifth as many mixtures; never a held-out one for training.

    Every second ensemble plays with reverberation and chorus, so that a style has the room of its target, too."""
    allowed = [p for p in range(128) if (p in HELD_OUT["programs"]) == held_out]
    rng = random.Random(held_out)
    return [[p] * VOICES for p in allowed] + [rng.choices(allowed, k=VOICES) for _ in allowed[::5]]


def choose_score(index: int, held_out: bool) -> Score:
    """Every third score is a corpus piece, the others are written by rule; held-out pieces have their own seeds."""
    seed = HELD_OUT["first_seed"] + index if held_out else index
    if index % 3:
        return random_score(seed, SECONDS)
    rng = random.Random(seed)
    by_composer: dict[str, list[Path]] = {}
    for path in corpus_paths():
        if (path.name in HELD_OUT["corpus"]) == held_out:
            by_composer.setdefault(path.parts[path.parts.index("corpus") + 1], []).append(path)
    while True:
        path = rng.choice(by_composer[rng.choice(sorted(by_composer))])
        score = corpus_score(path, seed, SECONDS)
        if sum(len(voice.notes) for voice in score) >= 12:
            return score


def performances(index: int, held_out: bool) -> Iterator[tuple[int, np.ndarray]]:
    """The renderings of one score: the ensemble's number, with drums another one than without, and float32 [2, samples]."""
    rng = random.Random(f"{index} {held_out}")
    score, choices = choose_score(index, held_out), ensembles(held_out)
    drums = any(voice.drums for voice in score)
    for number in rng.sample(range(len(choices)), RENDERINGS):
        yield number + drums * len(choices), render(score, choices[number], wet=number % 2 == 1)


def make(job: tuple[str, int, bool, Path]) -> None:
    """Write one file of the set, unless it is there."""
    kind, index, held_out, out = job
    path = out / ("held_out" if held_out else "train") / f"{kind}_{index:05d}.npz"
    if path.exists():
        return
    torch.set_num_threads(1)
    if kind == "texture":
        seed = HELD_OUT["first_seed"] + index if held_out else index
        numbers, audio = (-1,), (texture(seed, SECONDS)[None],)
    else:
        numbers, audio = zip(*performances(index, held_out), strict=True)
    mels = [mel_amplitudes(torch.from_numpy(waveform).float()[None], PARAMS)[0] for waveform in audio]
    values = np.stack([mel.pow(PARAMS.power).half().numpy() for mel in mels])
    write_atomically(path, lambda file: np.savez(file, values=values, ensembles=numbers))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    jobs = []
    for part, counts in COUNTS.items():
        (args.out / part).mkdir(parents=True, exist_ok=True)
        own = [(kind, i, part == "held_out", args.out) for kind, count in counts.items() for i in range(count)]
        jobs += random.Random(0).sample(own, len(own))
    with multiprocessing.get_context("spawn").Pool(args.workers) as pool:
        for done, _ in enumerate(pool.imap_unordered(make, jobs), 1):
            print(f"{done}/{len(jobs)}", flush=True)


if __name__ == "__main__":
    main()
