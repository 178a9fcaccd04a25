"""`stylus`, or `python -m stylus_ops`: the command line."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

# All else takes seconds to import: functions do it, so that being stopped meanwhile is answered in words, too. diffusers is
# imported once the arguments are known to be good.
if TYPE_CHECKING:
    from .engine.engine import Engine
    from .pipeline.settings import Settings

USER_ERROR, INTERRUPTED, TERMINATED = 2, 130, 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status. What can be mended by the user is said in a sentence, without a traceback."""
    try:
        with _sigterm_raises():
            args = _parser().parse_args(arguments)
            return args.command(args)
    except (ValueError, OSError) as error:
        print(f"stylus: {error}", file=sys.stderr)
    except (RuntimeError, MemoryError) as error:
        import torch

        if not isinstance(error, (torch.OutOfMemoryError, MemoryError)):
            raise
        print("stylus: out of memory: try --windows-per-pass 1 and --features recompute", file=sys.stderr)
    except KeyboardInterrupt as stopped:
        how, status = ("ended", TERMINATED) if isinstance(stopped, Terminated) else ("interrupted", INTERRUPTED)
        print(f"stylus: {how}; nothing half-written is left behind", file=sys.stderr)
        return status
    return USER_ERROR


class Terminated(KeyboardInterrupt):
    """SIGTERM, which launchers and schedulers send."""


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    def stop(number: int, frame: object) -> NoReturn:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():  # where Python takes no handlers
        yield
        return
    earlier = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)


def transfer(args: argparse.Namespace) -> int:
    settings = _settings(args)
    from .pipeline.transfer import check_paths, normalised, transfer_files

    check_paths(args.content, args.style, args.output, args.figure, args.overwrite)
    normalised(args.weights, len(args.style))
    engine, seconds = _load(args)
    report = transfer_files(
        engine, args.content, args.style, args.weights, args.output, settings, args.figure, args.quiet
    )
    report["seconds"] = {"load": seconds, **report["seconds"]}
    if args.json:
        print(json.dumps(report, indent=2))
    else:
        print(f"wrote {args.output}")
    return 0


def batch(args: argparse.Namespace) -> int:
    settings = _settings(args)
    from .pipeline.batch import read_manifest, run_rows
    from .pipeline.share import Share

    rows = read_manifest(args.manifest, args.out, settings)
    share = Share.of_this_process()
    engine, _ = _load(args)
    summary = run_rows(engine, rows, share, args.quiet)
    if args.json and share.process == 0:
        print(json.dumps(summary, indent=2))
    for failure in summary["failed"]:
        print(f"stylus: line {failure['line']} of {args.manifest}: {failure['error']}", file=sys.stderr)
    return USER_ERROR if summary["failed"] else 0


def evaluate(args: argparse.Namespace) -> int:
    from .evaluation.command import evaluate as run_evaluation

    return run_evaluation(args, _settings(args), lambda: _load(args)[0])


def demo(args: argparse.Namespace) -> int:
    from .pipeline.demo import describe, run_demo

    table = run_demo(args.out, args.quiet)
    print(f"Recordings, results and a picture are in {args.out.resolve()}\n\n{describe(table)}")
    return 0


def _load(args: argparse.Namespace) -> tuple[Engine, float]:
    """The engine and the seconds it took; each process of a launch takes the next GPU of its machine."""
    import torch

    from .engine.engine import Engine
    from .pipeline.share import Share

    if args.device == "auto" and torch.cuda.is_available():
        args.device = f"cuda:{Share.of_this_process().process_here % torch.cuda.device_count()}"
    began = time.perf_counter()
    engine = Engine.load(args.model, args.device, args.dtype)
    return engine, round(time.perf_counter() - began, 3)


def _settings(args: argparse.Namespace) -> Settings:
    from .pipeline.settings import Settings

    settings = Settings(**{field.name: getattr(args, field.name) for field in fields(Settings)})
    settings.check()
    return settings


def _parser() -> argparse.ArgumentParser:
    from .evaluation.command import add_arguments as add_evaluation_arguments

    parser = argparse.ArgumentParser(
        prog="stylus",
        description="Give one recording the timbre of another: melody and rhythm stay, the sound changes.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    one = commands.add_parser("transfer", help="one recording in the timbre of one or more others")
    one.add_argument("content", type=Path, metavar="CONTENT", help="the recording that keeps its melody and rhythm")
    one.add_argument("style", type=Path, nargs="+", metavar="STYLE", help="recordings that give their timbre")
    one.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="flac, wav, mp3 or opus file")
    one.add_argument("--weights", type=float, nargs="+", default=[], help="share of each style; equal by default")
    one.add_argument("--figure", type=Path, metavar="OUT.png", help="picture of all the spectrograms")
    one.add_argument("--overwrite", action="store_true", help="OUT and the figure may take the place of earlier files")
    one.set_defaults(command=transfer)

    many = commands.add_parser(
        "batch",
        help="many transfers from a table",
        description="One transfer a row of a CSV file with the columns content and style, and, as wished, out and any option "
        "below. Finished rows are skipped. Under accelerate launch or torchrun the rows are shared among the processes.",
    )
    many.add_argument("manifest", type=Path, metavar="MANIFEST.csv")
    many.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the results, made if need be")
    many.set_defaults(command=batch)

    measured = commands.add_parser(
        "evaluate",
        help="measure transfers, and what else could be done with the same recordings",
        description="Every method on every pair: how much of the content is kept, how much of the style is taken, in a table "
        "of all pairs, a summary and pictures. Finished work is skipped. Under accelerate launch or torchrun the pairs are "
        "shared among the processes.",
    )
    add_evaluation_arguments(measured)
    measured.set_defaults(command=evaluate)

    for command in (one, many, measured):
        _add_model(command)
        _add_settings(command)
        command.add_argument(
            "--json", action="store_true", help="print one object with every setting, timing and memory"
        )

    example = commands.add_parser("demo", help="bundled recordings through the bundled model, in under a minute")
    example.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="folder of the results")
    example.set_defaults(command=demo)

    for command in (one, many, measured, example):
        command.add_argument("--quiet", action="store_true", help="no progress bars")
    return parser


def _add_model(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        default="tiny",
        help="tiny (bundled), a Stable Diffusion 1.x or 2.x .safetensors file, a diffusers folder, or a Hub id such as "
        "owner/model, which is downloaded (default: tiny)",
    )
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    group.add_argument("--dtype", default="auto", help="auto, float32, float16, bfloat16; auto is float16 on CUDA")


def _add_settings(parser: argparse.ArgumentParser) -> None:
    from .audio.decode import METHODS as DECODE_METHODS
    from .audio.geometry import PRESETS
    from .diffusion.adain import MODES as ADAIN_MODES
    from .diffusion.features import POLICIES
    from .diffusion.inversion import METHODS as INVERSION_METHODS
    from .pipeline.settings import Settings

    defaults = {field.name: field.default for field in fields(Settings)}

    def add(group: Any, name: str, text: str, **options: Any) -> None:
        default = defaults[name]
        kind = {} if "choices" in options else {"type": type(default)}
        flag = "--" + name.replace("_", "-")
        group.add_argument(flag, default=default, help=f"{text} (default: {default})", **{**kind, **options})

    sound = parser.add_argument_group("dials")
    add(sound, "alpha", "how much style: 0 keeps the content, 1 swaps keys and values, up to 2 exaggerates")
    add(sound, "gamma", "how firmly the content's structure is held: share of its own queries, 0 to 1")
    add(sound, "temperature", "above 1 copies fewer, better matching places of the style")
    add(sound, "adain", "how far the start noise takes the style's statistics, 0 to 1")
    add(sound, "adain_mode", "mean and deviation, or the whole distribution", choices=ADAIN_MODES)
    add(sound, "start", "part of the sampling run before which nothing is injected, 0 to 1")
    add(sound, "end", "part of the sampling run after which nothing is injected, 0 to 1")

    method = parser.add_argument_group("inversion and sampling")
    add(method, "steps", "noise levels, 2 to 999")
    add(method, "sites", "decoder blocks that are steered, such as 6-11 or 9,10,11")
    add(method, "inversion", "exact inverse by fixed point, or plain DDIM", choices=INVERSION_METHODS)
    add(method, "corrections", "evaluations per step of fixed_point")
    add(
        method,
        "features",
        "keep features in memory or evaluate them again; auto goes by free memory",
        choices=POLICIES,
        type=lambda text: text.replace("-", " "),
    )
    add(method, "windows_per_pass", "windows evaluated at once; 0 takes as many as fit in memory")

    audio = parser.add_argument_group("spectrogram and decoding")
    add(audio, "preset", "geometry; auto is that of the model", choices=("auto", *PRESETS))
    add(audio, "overlap", "frames that neighbouring windows share")
    add(audio, "style_windows", "windows of a long style that are used, from its start")
    add(audio, "decode", "what makes sound of the picture", choices=DECODE_METHODS)
    add(audio, "phase_iters", "Griffin-Lim iterations after the first estimate")
    add(audio, "gain_db", "bound of gain decoding, in dB")


if __name__ == "__main__":
    sys.exit(main())
