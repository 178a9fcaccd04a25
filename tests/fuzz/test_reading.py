"""Whatever is wrong with a file, reading it gives finite sound, the same each time, or a sentence with its name."""

import os
import subprocess
import sys
from pathlib import Path

FILES = int(os.environ.get("STYLUS_FUZZ_FILES", "300"))
ROOT = Path(__file__).parents[2]


def test_damaged_files(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    run = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.reading", str(folder), str(FILES)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
    )
    lines = (folder / "results.txt").read_text(encoding="utf-8").splitlines()
    assert run.returncode == 0, f"ended with {run.returncode} over {lines[-1]} {run.stderr[-2000:]}"
    results = dict(line.split(": ", 1) for line in lines)
    assert len(results) == FILES
    assert {name: result for name, result in results.items() if result not in ("read", "refused")} == {}
    assert min(list(results.values()).count(result) for result in ("read", "refused")) > FILES / 10
