"""`python -m stylus_ops evaluate`: its arguments, and what it prints."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..disk import make_folder
from ..pipeline.settings import Settings

if TYPE_CHECKING:
    from ..engine.engine import Engine

METHODS = ("content", "autoencoder", "style", "eq-match", "adain", "stylus-paper", "stylus")
TRUTH_METHODS = ("truth-decode", "truth-autoencoder")
SWEPT = ("eq-match", "adain", "stylus")  # those whose `alpha` is a share from content to style
ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
TRUTH_SHOWN = (
    *("closed_truth", "truth_lsd_db", "truth_mcd", "truth_mfcc_means", "truth_chroma_cosine"),
    *("truth_highs_db", "truth_crest_low_db", "truth_crest_high_db", "truth_onset_sharpness_db"),
)
SHOWN = ("chroma_cosine", "onset_f1", "style_taken", "closed_mel_spectrum", "closed_mfcc_means")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that the other commands do not have."""
    add = parser.add_argument
    table = "table with the columns content and style and optionally truth and monophonic"
    add("pairs", type=Path, nargs="?", metavar="PAIRS.csv", help=table)
    add("--contents", type=Path, metavar="DIR", help="instead of a table: each recording in this folder")
    add("--styles", type=Path, metavar="DIR", help="with each recording in this one")
    add("--out", type=Path, required=True, metavar="DIR", help="folder of the results, made if need be")
    methods = (
        f"what is compared; default: {' '.join(METHODS)}, after {' '.join(TRUTH_METHODS)} where every pair has a truth. "
        "Settings may follow a name, as in stylus:gamma=0.5,sites=9-11"
    )
    add("--methods", nargs="+", metavar="METHOD", help=methods)
    swept = "first pairs that the trade-off curve is of; 0 for none (default: 8)"
    add("--sweep-pairs", type=int, default=8, help=swept)


def evaluate(args: argparse.Namespace, settings: Settings, load: Callable[[], Engine]) -> bool:
    """Run what the arguments ask for; returns whether all of it was done. `load` is called only if a method needs a model.

    Raises ValueError if a package of the extra `evaluation` is missing, neither or both of a table and folders are given, or
    the table or a method can't be read.
    """
    try:
        from .evaluate import AUDIO, Plan, run_plan, write_results
        from .methods import NEED_MODEL, parse_method
        from .pairs import every_pair, read_pairs
        from .results import markdown
    except ModuleNotFoundError as error:
        if error.name not in ("matplotlib", "mir_eval"):
            raise
        raise ValueError(f"evaluate needs {error.name}: install the pack with pip install '.[evaluation]'") from error

    if args.pairs and not (args.contents or args.styles):
        pairs, problems = read_pairs(args.pairs)
    elif args.contents and args.styles and not args.pairs:
        pairs, problems = every_pair(args.contents, args.styles), []
    else:
        raise ValueError("the pairs are not clear: name a table of pairs, or both --contents and --styles")
    chosen = args.methods or ((*TRUTH_METHODS, *METHODS) if all(pair.truth for pair in pairs) else METHODS)
    methods = [parse_method(text, settings) for text in dict.fromkeys(chosen)]
    swept = [kind for kind in SWEPT if any(method.kind == kind for method in methods)]
    sweep = [parse_method(f"{kind}:alpha={alpha}", settings) for kind in swept for alpha in ALPHAS]
    make_folder(args.out / AUDIO)
    for problem in problems:
        print(f"stylus: {problem}", file=sys.stderr)
    engine = load() if any(method.kind in NEED_MODEL for method in methods) else None
    weights = engine.model.digest() if engine else ""
    plan = Plan(pairs, methods, sweep, args.sweep_pairs, args.out, args.model, weights)
    failures = run_plan(plan, engine, args.quiet)
    for failure in failures:
        print(f"stylus: {failure}", file=sys.stderr)
    summary = write_results(plan)
    if args.json:
        results = {
            method: {
                column: {name: None if math.isnan(value) else value for name, value in median._asdict().items()}
                for column, median in medians.items()
            }
            for method, medians in summary.items()
        }
        report = {"out": str(plan.out), "model": plan.model, "pairs": len(pairs), "summary": results}
        print(json.dumps(report, indent=2))
    else:
        print(
            f"{markdown(summary, TRUTH_SHOWN if plan.has_truth else SHOWN)}\n\nMedians over {len(pairs)} pairs with "
            f"bootstrap 95 % intervals. All columns, every pair and the trade-off curve are in {plan.out.resolve()}"
        )
    return not (failures or problems)
