"""The command line beside a bare `import torch`, and a row of a batch beside what it took before, in one run on one thread.

`python -m benchmarks.before_after` prints processor and wall seconds of both, and the ratio of processor time. The batch of 100,000
rows takes minutes: `--rows 10 1000` is soon done.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from stylus_ops.engine.engine import Engine
from stylus_ops.pipeline import transfer
from stylus_ops.pipeline.batch import Runner, read_batch, run_batch
from stylus_ops.pipeline.settings import Settings
from stylus_ops.tiny import RECORDINGS

Work = Callable[[], Any]


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


def show(title: str, before: tuple[float, float], after: tuple[float, float]) -> None:
    seconds = "  ".join(f"{processor:8.4f} {wall:8.4f}" for processor, wall in (before, after))
    print(f"{title:44}  {seconds}  {after[0] / before[0]:6.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[10, 100_000], help="of a batch")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    pair = ["transfer", str(RECORDINGS / "melody.flac"), str(RECORDINGS / "style_a.flac"), "--quiet"]
    with tempfile.TemporaryDirectory() as name:
        bare = spent(command("-c", "import torch"))
        for title, arguments in (("--help", ["--help"]), ("pair of 5 s", [*pair, "-o", f"{name}/pair.wav"])):
            show(f"{title}, beside import torch", bare, spent(command("-m", "stylus_ops", *arguments)))
        for count in options.rows:
            processor, wall = spent(batch(Path(name), count))
            listing = spent(lambda: [[*os.scandir(Path(name) / f"{count}")] for _ in range(2)])  # noqa: B023
            row = processor / count, wall / count
            show(f"a row of {count}, without listing results", (row[0] + listing[0], row[1] + listing[1]), row)


if __name__ == "__main__":
    main()
