"""Judge a prior by triples with a known answer, in a minute or two.

    python -m training.truth --triples FOLDER/dev [--prior FILE.safetensors] [--truth-as-style] [--limit 12] [--alpha 0.9 1.2]

FOLDER is that of `training.truth_triples`. Prints medians with bootstrap 95 % intervals: log-spectral distance (dB) and
mel-cepstral distortion of the output to the truth, the share of the content's distance that was closed, and the chroma cosine.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from stylus_ops.engine.tiny_unet import diffusers_unet

from stylus_ops import tiny
from stylus_ops.audio.files import read_audio
from stylus_ops.audio.metrics import chroma_cosine
from stylus_ops.diffusion.features import Style
from stylus_ops.engine.engine import Engine
from stylus_ops.engine.loading import LoadedModel, sd_sigmas
from stylus_ops.evaluation.pairs import Pair, read_pairs
from stylus_ops.evaluation.summary import markdown, summarise
from stylus_ops.evaluation.truth import Truth, closed_truth
from stylus_ops.pipeline.settings import Settings
from stylus_ops.pipeline.transfer import Transfer

COLUMNS = ("closed_truth", "lsd_db", "mcd", "mfcc_means", "mfcc_deviations", "chroma")


def load(prior: Path) -> Engine:
    """The engine with a prior of the bundled kind."""
    parts = tiny.load("cpu", torch.float32, prior)
    model = LoadedModel(
        diffusers_unet(parts), parts.autoencoder, parts.context, sd_sigmas(), prediction="epsilon", preset="tiny-256"
    )
    return Engine(str(prior), model, torch.device("cpu"), torch.float32)


def rows(engine: Engine, pair: Pair, settings: Sequence[Settings]) -> Iterator[dict[str, object]]:
    """The numbers of the content, and of the transfer with each of the settings, which differ in the dials alone."""
    assert pair.truth is not None
    (content, rate), (truth, _) = read_audio(pair.content), read_audio(pair.truth)
    reference = Truth(truth[0], rate)
    before = reference.distances(content[0])

    def row(method: str, output: torch.Tensor) -> dict[str, object]:
        distances = reference.distances(output)
        chroma = chroma_cosine(truth[0], output, rate)
        closed = closed_truth(before, distances)
        return {"method": method, **distances._asdict(), "closed_truth": closed, "chroma": chroma}

    yield row("content", content[0])
    run = Transfer(engine, settings[0], quiet=True)
    clip, style = run.read(pair.content, [pair.style])
    inversion, capture = run.invert([clip, style])
    for dialled in settings:
        run = Transfer(engine, dialled, quiet=True)
        output, _ = run.decode(run.restyle(inversion, Style((capture,), (1.0,))), clip)
        yield row(f"alpha {dialled.alpha:g}, gamma {dialled.gamma:g}", output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--triples", type=Path, required=True, help="folder with triples.csv and truth_as_style.csv")
    parser.add_argument("--prior", type=Path, default=tiny.WEIGHTS)
    parser.add_argument("--truth-as-style", action="store_true", help="give the truth itself as the style")
    parser.add_argument("--limit", type=int, help="take the first triples only")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--alpha", type=float, nargs="+", default=[1.2])
    parser.add_argument("--gamma", type=float, default=Settings.gamma)
    args = parser.parse_args()
    torch.set_num_threads(1)
    engine = load(args.prior)
    base = Settings(steps=args.steps, gamma=args.gamma)
    settings = [replace(base, alpha=alpha) for alpha in args.alpha]
    table = args.triples / ("truth_as_style.csv" if args.truth_as_style else "triples.csv")
    pairs = read_pairs(table).pairs[: args.limit]
    measured = [row for pair in pairs for row in rows(engine, pair, settings)]
    print(markdown(summarise(measured, COLUMNS), COLUMNS))


if __name__ == "__main__":
    main()
