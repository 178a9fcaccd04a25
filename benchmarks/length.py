"""How much memory a transfer from file to file needs as the recording gets longer.

`python -m benchmarks.length [--minutes 1 10 60] [--steps 2] [--model tiny]` makes stereo recordings of these lengths, runs the
command line on each in a process of its own, and prints its peak memory, and how much of that comes with a minute more.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from stylus_ops.audio.read import read_audio
from stylus_ops.audio.spool import Spool
from stylus_ops.audio.write import write_audio
from stylus_ops.tiny import RECORDINGS


def song(path: Path, minutes: float, folder: Path) -> None:
    """The bundled melody again and again, each time at another level, in stereo."""
    clip, rate = read_audio(RECORDINGS / "melody.flac")
    stereo = torch.cat([clip[0], clip[0].roll(rate // 3, -1)])
    spool, number = Spool(folder, 2, rate), 0
    while spool.samples < minutes * 60 * rate:
        number += 1
        spool.append(stereo * (0.3 + 0.7 * (number * 0.618 % 1)))
    write_audio(path, spool, rate)


def transfer(content: Path, output: Path, model: str, steps: int) -> dict[str, float]:
    """Peak memory in MB and seconds of a transfer in a process of its own."""
    style = str(RECORDINGS / "style_a.flac")
    command = [sys.executable, "-m", "stylus_ops", "transfer", str(content), style, "-o", str(output), "--model", model]
    done = subprocess.run(
        [*command, "--steps", str(steps), "--json", "--quiet", "--overwrite"],
        check=True,
        capture_output=True,
        text=True,
    )
    report = json.loads(done.stdout)
    return {"MB": report["peak_memory_bytes"] / 1e6, "seconds": sum(report["seconds"].values())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 10, 60])
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--model", default="tiny")
    options = parser.parse_args()
    earlier: tuple[float, float] | None = None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for minutes in options.minutes:
            song(folder / "song.flac", minutes, folder)
            result = transfer(folder / "song.flac", folder / "out.flac", options.model, options.steps)
            growth = f", {(result['MB'] - earlier[1]) / (minutes - earlier[0]):.1f} MB a minute more" if earlier else ""
            print(f"{minutes:g} min: {result['MB']:.0f} MB at most, {result['seconds']:.0f} s{growth}", flush=True)
            earlier = minutes, result["MB"]


if __name__ == "__main__":
    main()
