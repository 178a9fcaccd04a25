"""How many steps are enough: what fewer give, beside what many give.

    python -m training.steps --triples FOLDER/dev [--limit 8] [--steps 5 10 20 50] [--against 200]

FOLDER is that of `training.truth_triples`. Prints medians with bootstrap 95 % intervals: how far the images (PSNR in dB) and
the sound (log-spectral distance in dB, chroma cosine) are from those of `--against` steps, and `closed_truth` of either.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from stylus_ops import tiny
from stylus_ops.audio.files import read_audio
from stylus_ops.audio.metrics import chroma_cosine, psnr
from stylus_ops.diffusion.features import Style
from stylus_ops.engine.engine import Engine
from stylus_ops.evaluation.pairs import Pair, read_pairs
from stylus_ops.evaluation.summary import markdown, summarise
from stylus_ops.evaluation.truth import Truth, closed_truth
from stylus_ops.pipeline.settings import Settings
from stylus_ops.pipeline.transfer import Transfer

from .truth import load

COLUMNS = ("psnr_db", "lsd_db", "chroma", "closed_truth")


def transferred(engine: Engine, pair: Pair, settings: Settings) -> tuple[Tensor, Tensor]:
    """Waveform [C, T] and images [B, n_mels, width, 3] of a transfer."""
    run = Transfer(engine, settings, quiet=True)
    clip, style = run.read(pair.content, [pair.style])
    inversion, capture = run.invert([clip, style])
    return run.decode(run.restyle(inversion, Style((capture,), (1.0,))), clip)


def rows(engine: Engine, pair: Pair, settings: Settings, steps: Sequence[int], against: int) -> Iterator[dict]:
    """The numbers of each count of steps, then of `against` itself."""
    assert pair.truth is not None
    (content, rate), (truth, _) = read_audio(pair.content), read_audio(pair.truth)
    to_truth = Truth(truth[0], rate)
    before = to_truth.distances(content[0])
    most, most_images = transferred(engine, pair, replace(settings, steps=against))
    to_most = Truth(most, rate)
    for count in steps:
        output, images = transferred(engine, pair, replace(settings, steps=count))
        yield {
            "method": f"{count} steps",
            "psnr_db": float(psnr(images[None], most_images[None])),
            "lsd_db": to_most.distances(output).lsd_db,
            "chroma": chroma_cosine(most, output, rate),
            "closed_truth": closed_truth(before, to_truth.distances(output)),
        }
    closed = closed_truth(before, to_truth.distances(most))
    yield {"method": f"{against} steps", "psnr_db": "nan", "lsd_db": 0.0, "chroma": 1.0, "closed_truth": closed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--triples", type=Path, required=True, help="folder with triples.csv")
    parser.add_argument("--prior", type=Path, default=tiny.WEIGHTS)
    parser.add_argument("--limit", type=int, help="take the first triples only")
    parser.add_argument("--steps", type=int, nargs="+", default=[5, 10, 20, 50])
    parser.add_argument("--against", type=int, default=200)
    parser.add_argument("--alpha", type=float, default=Settings.alpha)
    args = parser.parse_args()
    torch.set_num_threads(1)
    engine, settings = load(args.prior), Settings(alpha=args.alpha)
    pairs = read_pairs(args.triples / "triples.csv").pairs[: args.limit]
    measured = [row for pair in pairs for row in rows(engine, pair, settings, args.steps, args.against)]
    print(markdown(summarise(measured, COLUMNS), COLUMNS))


if __name__ == "__main__":
    main()
