"""A transfer that the machine fails: one sentence, no traceback, nothing left behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stylus_ops.tiny import RECORDINGS

ROOT = Path(__file__).parents[3]
MELODY, STYLE = RECORDINGS / "melody.flac", RECORDINGS / "style_a.flac"
LIMITED = """
import resource, sys
from stylus_ops.__main__ import main

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on files")
def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """It is the disk that is blamed, not the recording that is read."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, "100000", "transfer", MELODY, STYLE, "-o", tmp_path / "out.wav", "--quiet"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"stylus: {tmp_path} has no room for the samples of this recording (File too large)")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
