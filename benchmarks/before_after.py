"""What made the pack faster, each thing beside the way before it, in one run on one thread.

`python -m benchmarks.before_after` prints processor and wall seconds of both, and the ratio of processor time. The batch of 100,000
rows takes minutes: `--rows 10 1000` is soon done. Beginnings of titles choose among the figures.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from stylus_ops.engine.engine import Engine
from stylus_ops.pipeline import transfer
from stylus_ops.pipeline.batch import Runner, read_batch, run_batch
from stylus_ops.pipeline.settings import Settings
from stylus_ops.tiny import RECORDINGS

Work = Callable[[], Any]
SONG = RECORDINGS / "song.mp3"  # 20 seconds


def command(*arguments: str) -> Work:
    return lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


def spent(work: Work) -> tuple[float, float]:
    """Processor seconds, its processes' among them, and wall seconds."""
    before, began = os.times(), time.perf_counter()
    work()
    return sum(os.times()[:4]) - sum(before[:4]), time.perf_counter() - began


def batch(folder: Path, count: int) -> Work:
    """A table of so many rows through a transfer that writes one byte."""

    def write(engine: Engine, files: transfer.Files, *_: Any, **__: Any) -> dict[str, Any]:
        files.output.write_bytes(b"x")
        return {}

    for name in ("content.wav", "style.wav"):
        (folder / name).touch()
    table, results = folder / f"{count}.csv", folder / f"{count}"
    table.write_text("content,style,out\n" + "".join(f"content.wav,style.wav,{row}.flac\n" for row in range(count)))
    model: Any = SimpleNamespace(model=SimpleNamespace(digest=lambda: "none"))
    runner = Runner(lambda: model, "none", transfer=write)
    return lambda: run_batch(read_batch(table, results, Settings()), runner, quiet=True)


def figures(folder: Path) -> Iterator[tuple[str, Work, Work]]:
    """Titles, the work before and the work now."""
    pair = ["transfer", str(RECORDINGS / "melody.flac"), str(RECORDINGS / "style_a.flac"), "--overwrite", "--quiet"]
    pair += ["-o", str(folder / "pair.wav")]
    bare = command("-c", "import torch")
    yield "--help, beside import torch", bare, command("-m", "stylus_ops", "--help")
    yield "pair of 5 s, beside import torch", bare, command("-m", "stylus_ops", *pair)

    engine = Engine.load("tiny", "cpu", "float32")

    def song(mixed: bool = False, bank: int = 1 << 40, **dials: Any) -> None:
        engine.mixed, transfer.LARGEST_BANK = mixed, bank
        files = transfer.Files(SONG, [SONG], folder / "song.wav")
        transfer.transfer_files(engine, files, Settings(**dials), quiet=True)

    yield "song, bfloat16 for float32", song, lambda: song(mixed=True)
    yield "song, features on disk, not evaluated again", lambda: song(features="recompute"), lambda: song(bank=0)


def show(title: str, before: tuple[float, float], after: tuple[float, float]) -> None:
    seconds = "  ".join(f"{processor:8.4f} {wall:8.4f}" for processor, wall in (before, after))
    print(f"{title:44}  {seconds}  {after[0] / before[0]:6.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("titles", nargs="*", default=[""], help="of figures, or how they begin")
    parser.add_argument("--rows", type=int, nargs="*", default=[10, 100_000], help="of a batch")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        for title, before, after in figures(Path(name)):
            if title.startswith(tuple(options.titles)):
                show(title, spent(before), spent(after))
        for count in options.rows:
            processor, wall = spent(batch(Path(name), count))
            listing = spent(lambda: [[*os.scandir(Path(name) / f"{count}")] for _ in range(2)])  # noqa: B023
            row = processor / count, wall / count
            show(f"a row of {count}, without listing results", (row[0] + listing[0], row[1] + listing[1]), row)


if __name__ == "__main__":
    main()
