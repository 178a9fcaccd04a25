"""Processor seconds of a bare `import torch` and of the command line, in one run on one thread, and their ratio."""

import os
import subprocess
import sys
import tempfile

from stylus_ops.tiny import RECORDINGS


def spent(*arguments: str) -> float:
    """Processor seconds of Python with these arguments."""
    before = sum(os.times()[:4])
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return sum(os.times()[:4]) - before


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    bare, pair = spent("-c", "import torch"), [str(RECORDINGS / name) for name in ("melody.flac", "style_a.flac")]
    with tempfile.TemporaryDirectory() as name:
        runs = {"--help": ["--help"], "pair of 5 s": ["transfer", *pair, "-o", f"{name}/pair.wav"]}
        for title, arguments in runs.items():
            own = spent("-m", "stylus_ops", *arguments)
            print(f"{title:12} {bare:8.2f} {own:8.2f} {own / bare:6.3f}", flush=True)


if __name__ == "__main__":
    main()
