"""Whatever is wrong with a file, reading it gives finite sound, the same each time, or a sentence with its name."""

import faulthandler
import os
import random
import subprocess
import sys
import tracemalloc
from pathlib import Path

import torch

from stylus_ops.audio.read import most_samples, read_audio
from tests.fuzz.corpus import SECONDS, corpus, write_bombs, write_seeds

FILES = int(os.environ.get("STYLUS_FUZZ_FILES", "300"))
ROOT = Path(__file__).parents[2]
PATIENCE = 60.0  # seconds for one file
MEMORY = 1 << 28  # bytes; the largest good file takes 0.2 MB, the first buffer of an endless one 128 MiB
PARTS = ((0.0, 0.0), (SECONDS / 2, 0.0), (0.05, 0.1), (0.9 * SECONDS, 60.0), (3600.0, 0.0))


def test_damaged_files(tmp_path: Path) -> None:
    """They are read in a process of its own, which a crash or a hang ends; those with a wrong result stay in its folder."""
    command = [sys.executable, "-m", "tests.fuzz.test_reading", str(tmp_path), str(FILES)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace")
    lines = (tmp_path / "results.txt").read_text(encoding="utf-8").splitlines()
    assert run.returncode == 0, f"ended with {run.returncode} over {lines[-1]} {run.stderr[-2000:]}"
    results = dict(line.split(": ", 1) for line in lines)
    assert len(results) == FILES
    assert {name: result for name, result in results.items() if result not in ("read", "refused")} == {}
    assert min(list(results.values()).count(result) for result in ("read", "refused")) > FILES / 10


def outcome(path: Path, start: float, duration: float) -> str:
    """What reading came to: "read", "refused", or what is wrong about it."""
    words = ""
    tracemalloc.start()
    try:
        waveform, rate = read_audio(path, start, duration)
        again, _ = read_audio(path, start, duration)
    except ValueError as error:
        words = str(error)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    if words:
        if path.name not in words or "\n" in words or len(words) > 300 + len(path.name):
            return f"bad words: {words}"
        if peak > MEMORY + 4 * most_samples(path.stat().st_size):
            return f"{peak >> 20} MiB to refuse it"
        return "bad words: it fits into memory" if "memory" in words else "refused"
    if not (waveform.ndim == 3 and waveform.shape[0] == 1 and 0 not in waveform.shape and rate > 0):
        return f"shape {tuple(waveform.shape)} at {rate} Hz"
    if not waveform.isfinite().all():
        return "not finite"
    if not torch.equal(waveform, again):
        return "not the same when read again"
    if peak > MEMORY + 4 * 4 * waveform.numel():
        return f"{peak >> 20} MiB for {waveform.numel()} samples"
    return "read"


def read_corpus(folder: Path, count: int) -> None:
    """Write the name of each file to `results.txt` before it is read, so that the last one is known, and then its outcome."""
    seeds = []
    for name, write in (("seeds", write_seeds), ("bombs", write_bombs)):
        (folder / name).mkdir()
        seeds += write(folder / name)
    with (folder / "results.txt").open("w", encoding="utf-8") as results:
        for number, path in enumerate(corpus(seeds, folder, count)):
            results.write(f"{path.name}: ")
            results.flush()
            faulthandler.dump_traceback_later(PATIENCE, exit=True)
            result = outcome(path, *random.Random(number).choice(PARTS))
            faulthandler.cancel_dump_traceback_later()
            results.write(f"{result}\n")
            if result in ("read", "refused"):
                path.unlink()


if __name__ == "__main__":
    read_corpus(Path(sys.argv[1]), int(sys.argv[2]))
