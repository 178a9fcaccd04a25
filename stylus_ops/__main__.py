"""`stylus`, or `python -m stylus_ops`: the command line."""

from __future__ import annotations

import argparse
import io
import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

# All else takes seconds to import: functions do it, so that being stopped meanwhile gets its message, too. diffusers is
# imported once the arguments are known to be good.
if TYPE_CHECKING:
    from .engine.engine import Engine
    from .pipeline.batch import Spread
    from .pipeline.settings import Settings

USER_ERROR, INTERRUPTED, TERMINATED = 2, 130, 143
QUIET = "no progress bars"
PAPER_RUN = "every dial as in the paper's headline run (arXiv 2411.15913) but those given"
MODELS = (
    "tiny (bundled), a Stable Diffusion 1.x or 2.x .safetensors file, a diffusers folder, or a Hub id such as owner/model, which "
    "is downloaded (default: tiny)"
)


class Parser(argparse.ArgumentParser):
    """Says a mistake in one line, and where the options are listed, instead of listing them."""

    def error(self, message: str) -> NoReturn:
        self.exit(USER_ERROR, f"stylus: {message} (all options: {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status. Mistakes that the user can mend are told in a sentence, without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the console can't print must not end a run
    terminated: list[int] = []
    try:
        with _sigterm_raises(terminated), _warnings_shown():
            args = _parser().parse_args(arguments)
            return args.command(args)
    except (ValueError, OSError) as error:
        message, status = str(error), USER_ERROR
    except (RuntimeError, MemoryError) as error:
        from .engine.memory import is_out_of_memory

        if not is_out_of_memory(error):
            raise
        message, status = "out of memory: try --windows-per-pass 1 and --features recompute", USER_ERROR
    except KeyboardInterrupt:
        how, status = ("ended", TERMINATED) if terminated else ("interrupted", INTERRUPTED)
        message = f"{how}; nothing half-written is left behind"
    print(f"stylus: {message}", file=sys.stderr)
    return status


@contextmanager
def _sigterm_raises(terminated: list[int]) -> Iterator[None]:
    """SIGTERM, which schedulers send, interrupts as Ctrl-C does, whatever a library makes of the exception: Ray and, while they are
    imported, NumPy and SciPy raise their own. It is added to `terminated`.
    """

    def stop(number: int, frame: object) -> NoReturn:
        terminated.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # where Python takes no handlers
        yield
        return
    earlier = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except BaseException:
        if terminated:
            raise KeyboardInterrupt from None
        raise
    finally:
        signal.signal(signal.SIGTERM, earlier)


class _AboveBars(logging.Handler):
    """Each record on standard error, on a line of its own above the progress bars."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        tqdm.write(f"stylus: {record.getMessage()}", file=sys.stderr)


@contextmanager
def _warnings_shown() -> Iterator[None]:
    """Show the core's warnings on standard error."""
    handler, logger = _AboveBars(), logging.getLogger("stylus")
    logger.addHandler(handler)
    propagated, logger.propagate = logger.propagate, False  # or a library's own handler would say it once more
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagated


def transfer(args: argparse.Namespace) -> int:
    settings = _settings(args)
    from .pipeline.transfer import Files, transfer_files

    files = Files(args.content, args.style, args.output, args.weights, args.figure, args.mask)
    files.check(args.overwrite)
    began = time.perf_counter()
    engine = _loader(args)()
    loaded = {"load": round(time.perf_counter() - began, 3)}
    report = transfer_files(engine, files, settings, args.quiet, args.overwrite)
    report["seconds"] = loaded | report["seconds"]
    print(json.dumps(report, indent=2) if args.json else f"wrote {args.output}")
    return 0


def batch(args: argparse.Namespace) -> int:
    settings = _settings(args)
    from .engine.source import fingerprint
    from .pipeline.batch import Runner, counts_of, read_batch, run_batch

    rows = read_batch(args.manifest, args.out, settings)
    files = fingerprint(args.model)
    source = files and {"files": files, "device": args.device, "dtype": args.dtype}
    spread: Spread | None = None
    if args.workers or args.ray:
        from .pipeline.cluster import on_workers

        workers, gpus = None if args.workers == "auto" else args.workers, args.device not in ("cpu", "mps")
        spread = partial(on_workers, workers=workers, address=args.ray, gpus=gpus)
    summary = run_batch(rows, Runner(_loader(args), args.model, source), args.part, spread, args.quiet)
    for failure in summary["failed"]:
        print(f"stylus: line {failure['line']} of {args.manifest}: {failure['error']}", file=sys.stderr)
    print(json.dumps(summary, indent=2) if args.json else counts_of(summary))
    return USER_ERROR if summary["failed"] else 0


def evaluate(args: argparse.Namespace) -> int:
    from .evaluation.command import evaluate as run_evaluation

    return 0 if run_evaluation(args, _settings(args), _loader(args)) else USER_ERROR


def demo(args: argparse.Namespace) -> int:
    from .pipeline.demo import describe, run_demo

    table = run_demo(args.out, args.quiet)
    print(f"Recordings, results and a figure are in {args.out.resolve()}\n\n{describe(table)}")
    return 0


def _loader(args: argparse.Namespace) -> Callable[[], Engine]:
    """Loads the model; may be sent to a worker."""
    from .engine.engine import Engine

    return partial(Engine.load, args.model, args.device, args.dtype)


def _count(text: str) -> int | str:
    """A number of workers, or "auto"."""
    if text != "auto" and not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of workers: give one, or auto")
    return text if text == "auto" else int(text)


def _part(text: str) -> tuple[int, int]:
    """The numbers of "3/16"."""
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise argparse.ArgumentTypeError(f"{text!r} is no part: give I/N, such as 3/16, with I from 1 to N")
    return int(number), int(of)


def _settings(args: argparse.Namespace) -> Settings:
    from .dials import dials_of
    from .pipeline.settings import PAPER, Settings

    base = Settings(**PAPER) if args.paper else Settings()
    given = vars(args)
    settings = base.changed({dial.name: given[dial.name] for dial in dials_of(Settings) if dial.name in given})
    if args.model == "tiny" or args.model.endswith(".safetensors"):  # what its name tells before it is loaded
        settings.preset_for("tiny-256" if args.model == "tiny" else "sd-512")
    return settings


def _parser() -> argparse.ArgumentParser:
    from .evaluation.command import add_arguments as add_evaluation_arguments

    parser = Parser(prog="stylus", description="Give one recording the timbre of another: melody and rhythm stay.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    one = commands.add_parser("transfer", help="one recording in the timbre of one or more others")
    add = one.add_argument
    add("content", type=Path, metavar="CONTENT", help="the recording that keeps its melody and rhythm")
    add("style", type=Path, nargs="+", metavar="STYLE", help="recordings that give their timbre")
    add("-o", "--output", type=Path, required=True, metavar="OUT", help="flac, wav, mp3 or opus file")
    add("--weights", type=float, nargs="+", default=[], help="share of each style; equal by default")
    add("--figure", type=Path, metavar="OUT.png", help="figure of all the spectrograms")
    mask = "laid over the content: white takes the style, black keeps the content"
    add("--mask", type=Path, metavar="IMAGE", help=mask)
    add("--overwrite", action="store_true", help="OUT and the figure may take the place of earlier files")
    _add_common(one, transfer, "every setting, timing and memory")

    many = commands.add_parser(
        "batch",
        help="many transfers from a table",
        description="One transfer a row of a CSV file with the columns content and style and optionally mask, out and any "
        "option below. Finished rows are skipped.",
    )
    add = many.add_argument
    add("manifest", type=Path, metavar="MANIFEST.csv")
    add("--out", type=Path, required=True, metavar="DIR", help="folder of the results, made if need be")
    workers = "processes that share the rows, or auto: one a GPU, else one for four cores (needs the extra cluster)"
    add("--workers", type=_count, metavar="N", help=workers)
    add("--ray", metavar="ADDRESS", help="share the rows among the hosts of this running Ray cluster")
    part = "rows I, I+N, I+2N, ... alone, for a scheduler's I-th of N jobs"
    add("--part", type=_part, default=(1, 1), metavar="I/N", help=part)
    _add_common(many, batch, "which rows were written, skipped and failed")

    measured = commands.add_parser(
        "evaluate",
        help="measure transfers, and what else could be done with the same recordings",
        description="Every method on every pair: how much of the content is kept, how much of the style is taken, in a table "
        "of all pairs, a summary and figures. Finished work is skipped.",
    )
    add_evaluation_arguments(measured)
    _add_common(measured, evaluate, "the summary")

    example = commands.add_parser("demo", help="bundled recordings through the bundled model, in under a minute")
    example.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="folder of the results")
    example.add_argument("--quiet", action="store_true", help=QUIET)
    example.set_defaults(command=demo)
    return parser


def _add_common(parser: argparse.ArgumentParser, command: Callable[..., int], printed: str) -> None:
    """What every command that takes a model has: the model, all settings, and how it reports."""
    from .dials import GROUPS, dials_of

    parser.set_defaults(command=command)
    parser.add_argument("--paper", action="store_true", help=PAPER_RUN)
    parser.add_argument("--json", action="store_true", help=f"print one object: {printed}")
    parser.add_argument("--quiet", action="store_true", help=QUIET)
    model = parser.add_argument_group("model")
    model.add_argument("--model", default="tiny", help=MODELS)
    model.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    auto = "float16 on CUDA, and for long recordings bfloat16 on CPUs that multiply it"
    model.add_argument("--dtype", default="auto", help=f"auto, float32, float16, bfloat16; auto is {auto}")
    for title, group in GROUPS.items():
        shown = parser.add_argument_group(title)
        for dial in dials_of(group):
            text = f"{dial.text} {dial.allowed} (default: {dial.default})".replace("%", "%%")
            option = "--" + dial.name.replace("_", "-")
            shown.add_argument(option, metavar="VALUE", default=argparse.SUPPRESS, help=text)


if __name__ == "__main__":
    sys.exit(main())
