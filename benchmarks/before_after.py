"""Processor and wall seconds of the command line and of a bare `import torch`, in one run on one thread, and the processor time's ratio."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

from stylus_ops.tiny import RECORDINGS


def spent(*arguments: str) -> tuple[float, float]:
    """Processor and wall seconds of Python with these arguments."""
    before, began = os.times(), time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return sum(os.times()[:4]) - sum(before[:4]), time.perf_counter() - began


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    pair = ["transfer", str(RECORDINGS / "melody.flac"), str(RECORDINGS / "style_a.flac"), "--quiet"]
    with tempfile.TemporaryDirectory() as name:
        bare = spent("-c", "import torch")
        for title, arguments in (("--help", ["--help"]), ("pair of 5 s", [*pair, "-o", f"{name}/pair.wav"])):
            own = spent("-m", "stylus_ops", *arguments)
            seconds = "  ".join(f"{processor:8.4f} {wall:8.4f}" for processor, wall in (bare, own))
            print(f"{title:12}  {seconds}  {own[0] / bare[0]:6.3f}", flush=True)


if __name__ == "__main__":
    main()
