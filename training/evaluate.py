"""Measure the prior on the pairs of pairs.csv, none of which it was trained on.

    python -m training.evaluate [--steps 50] [--workers 2] [--json OUT.json]

Needs the music of Debian's wesnoth-music and warzone2100-music (for testing only) and what `training.data` needs.
Numbers: PSNR in dB of the autoencoder and of inversion and back against the autoencoder's own round trip; chroma cosine of
output and content; share of the distance to the style that was closed, beside an equaliser matched to the style.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import multiprocessing
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stylus_ops.audio.backend import resample
from stylus_ops.audio.files import read_audio
from stylus_ops.audio.metrics import chroma_cosine, closed_distances, psnr
from stylus_ops.audio.windows import audio_to_windows
from stylus_ops.dials import INVERSION
from stylus_ops.diffusion.features import Style
from stylus_ops.diffusion.inversion import invert
from stylus_ops.diffusion.sampling import sample
from stylus_ops.diffusion.schedule import ddim_sigmas
from stylus_ops.engine.engine import Engine
from stylus_ops.evaluation.baselines import eq_match
from stylus_ops.pipeline.settings import Settings
from stylus_ops.pipeline.transfer import Clip, Transfer

from .data import performances, texture_recording
from .textures import RATE
from .windows import PARAMS

PAIRS = Path(__file__).with_name("pairs.csv")
MUSIC = {
    "wesnoth": Path("/usr/share/games/wesnoth/1.16/data/core/music"),
    "warzone2100": Path("/usr/share/games/warzone2100/music"),
}
DISTANCES = ("mel spectrum", "mfcc means", "mfcc deviations")
ALPHAS = (0.0, 0.3, 0.6, 0.9, 1.0, 1.2)
DECODES = ("phase", "gain")
INVERSION_STEPS = (10, 50)
INVERTED_PAIRS = 8  # the inversion of the first contents is measured, the autoencoder on all


def excerpt(source: str, start: float, seconds: float) -> tuple[Tensor, int]:
    """Waveform [C, samples] and rate of a source as pairs.csv names them: held-out renderings and textures by number."""
    kind, _, rest = source.partition("/")
    if kind in MUSIC:
        waveform, rate = read_audio(MUSIC[kind] / rest, start, seconds)
        return waveform[0], rate
    if kind == "texture":
        waveform = torch.from_numpy(texture_recording(int(rest), held_out=True))
    else:
        _, index, rendering = rest.split("/")
        waveform = torch.from_numpy(next(itertools.islice(performances(int(index), True), int(rendering), None)))
    return waveform[:, int(start * RATE) : int((start + seconds) * RATE)], RATE


def clips(row: dict[str, str]) -> tuple[Clip, Clip]:
    """Content and style of a pair, one window each."""
    made = []
    for part, short in (("content", "pad"), ("style", "loop")):
        waveform, rate = excerpt(row[part], float(row[f"{part}_start"]), float(row["seconds"]))
        made.append(Clip(row[part], *audio_to_windows(waveform[None], rate, PARAMS, short_clip=short)))
    return made[0], made[1]


@lru_cache
def engine() -> Engine:
    return Engine.load("tiny", "cpu", "float32")


def clip_psnr(images: Tensor, reference: Tensor) -> float:
    """In dB, of all the images of a clip as one."""
    return float(psnr(images[None], reference[None]))


def timbre(content: Clip, style: Clip, output: Tensor) -> dict[str, float]:
    """Chroma cosine and closed distances of an output waveform."""
    rate = content.spectrogram.sample_rate
    source, target = content.spectrogram.waveform[0], waveform_at(style, rate)
    closed = closed_distances(source, target, output, rate)
    return {"chroma": chroma_cosine(source, output, rate), **{name: closed[name] for name in DISTANCES}}


def waveform_at(clip: Clip, rate: int) -> Tensor:
    """The clip's waveform [C, T] at another rate."""
    return resample(clip.spectrogram.waveform[0], clip.spectrogram.sample_rate, rate)


def round_trips(clip: Clip, inverted: bool) -> dict[str, float]:
    """PSNR of the autoencoder, and of inversion and back."""
    host = engine()
    latents = host.encode(clip.images)
    rebuilt = host.decode(latents)
    numbers = {"autoencoder PSNR": clip_psnr(rebuilt, clip.images)}
    if not inverted:
        return numbers
    for steps, method in itertools.product(INVERSION_STEPS, INVERSION.choices):
        sigmas = ddim_sigmas(host.model.sigmas, steps)
        noise = invert(host.evaluate, latents, sigmas, method).noise
        back = host.decode(sample(host.evaluate, noise, sigmas))
        numbers[f"inversion {method} {steps} steps PSNR"] = clip_psnr(back, rebuilt)
    return numbers


def measure(pair: tuple[int, dict[str, str]], settings: Settings) -> dict[str, float]:
    """All numbers of one pair, a row of pairs.csv and its number."""
    torch.set_num_threads(1)
    number, row = pair
    content, style = clips(row)
    numbers = round_trips(content, number < INVERTED_PAIRS)
    inversion, capture = Transfer(engine(), settings, quiet=True).invert([content, style])
    unstyled = None
    for alpha in ALPHAS:
        dialled = Transfer(engine(), replace(settings, alpha=alpha), quiet=True)
        latents = dialled.restyle(inversion, Style((capture,), (1.0,)))
        unstyled = latents if unstyled is None else unstyled
        numbers[f"alpha {alpha} latent change"] = float((latents - unstyled).norm() / unstyled.norm())
        for method in DECODES:
            output, _ = Transfer(engine(), replace(settings, decode=method), quiet=True).decode(latents, content)
            for name, value in timbre(content, style, output).items():
                numbers[f"{method} alpha {alpha} {name}"] = value
    rate = content.spectrogram.sample_rate
    equalised = eq_match(content.spectrogram.waveform[0], waveform_at(style, rate), rate).waveform
    return numbers | {f"equaliser {name}": value for name, value in timbre(content, style, equalised).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path, help="where to write the numbers of every pair")
    args = parser.parse_args()
    with PAIRS.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with multiprocessing.get_context("spawn").Pool(args.workers) as pool:
        results = []
        for row, numbers in zip(
            rows, pool.imap(partial(measure, settings=Settings(steps=args.steps)), enumerate(rows)), strict=True
        ):
            results.append({"content": row["content"], "style": row["style"], **numbers})
            print(f"{len(results)}/{len(rows)}", flush=True)
            if args.json:
                args.json.write_text(json.dumps(results, indent=1))
    for name in list(results[0])[2:]:
        values = [float(result[name]) for result in results if name in result]
        print(f"{name:40s} median {np.median(values):7.3f}  mean {np.mean(values):7.3f}  least {min(values):7.3f}")


if __name__ == "__main__":
    main()
