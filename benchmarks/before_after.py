"""What made the pack faster, each thing beside the way before it, in one run on one thread.

`python -m benchmarks.before_after` prints processor and wall seconds of both, and the ratio of processor time. Beginnings of titles
choose among the figures. Pairs are transferred by a process of their own, songs by this one.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path

import torch

from stylus_ops.__main__ import main as stylus
from stylus_ops.pipeline import transfer
from stylus_ops.tiny import RECORDINGS

Command = list[str]
BARE, STYLUS = [sys.executable, "-c", "import torch"], [sys.executable, "-m", "stylus_ops"]
WITH_DIFFUSERS = "import stylus_ops.engine.stable_diffusion, stylus_ops.__main__ as stylus; stylus.main()"
PAIR = ["transfer", str(RECORDINGS / "melody.flac"), str(RECORDINGS / "style_a.flac")]
SONG = ["transfer", *[str(RECORDINGS / "song.mp3")] * 2]  # 20 seconds
FLOAT32 = [*SONG, "--dtype", "float32"]
FIGURES = {
    "--help, beside import torch": (BARE, [*STYLUS, "--help"]),
    "pair of 5 s, beside import torch": (BARE, STYLUS + PAIR),
    "pair of 5 s, without importing diffusers": ([sys.executable, "-c", WITH_DIFFUSERS, *PAIR], STYLUS + PAIR),
    "song, 8 steps for 10": ([*FLOAT32, "--steps", "10"], FLOAT32),
    "song, bfloat16 for float32": (FLOAT32, SONG),
    "song, features on disk, not evaluated again": ([*FLOAT32, "--features", "recompute"], FLOAT32),
}
"""Titles, the command before and the command now."""


def spent(command: Command, out: Path) -> tuple[float, float]:
    """Processor seconds, its processes' among them, and wall seconds."""
    if "transfer" in command:
        command = [*command, "-o", str(out), "--overwrite", "--quiet"]
    before, began = os.times(), time.perf_counter()
    if command[0] == sys.executable:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    else:
        with redirect_stdout(None):
            stylus(command)
    return sum(os.times()[:4]) - sum(before[:4]), time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("titles", nargs="*", default=[""], help="of figures, or how they begin")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    transfer.LARGEST_BANK = 0  # features on disk, as those of a longer song
    with tempfile.TemporaryDirectory() as folder:
        for title, commands in FIGURES.items():
            if title.startswith(tuple(options.titles)):
                before, after = (spent(command, Path(folder, "out.wav")) for command in commands)
                seconds = "  ".join(f"{processor:8.4f} {wall:8.4f}" for processor, wall in (before, after))
                print(f"{title:44}  {seconds}  {after[0] / before[0]:6.3f}", flush=True)


if __name__ == "__main__":
    main()
