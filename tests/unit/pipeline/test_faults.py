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
DELETED = """
import sys
from pathlib import Path
from stylus_ops.__main__ import main
from stylus_ops.engine.engine import Engine

load = Engine.load

def load_and_delete(*arguments):
    Path(sys.argv[1]).unlink()
    return load(*arguments)

Engine.load = load_and_delete
sys.exit(main(sys.argv[2:]))
"""


def failed(script: str, *arguments: object) -> str:
    """What a command that is bound to fail tells, in its one line."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("stylus: ")
    assert done.stderr.count("\n") == 1
    return done.stderr.removeprefix("stylus: ").strip()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on files")
def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """It is the disk that is blamed, not the recording that is read."""
    told = failed(LIMITED, 100_000, "transfer", MELODY, STYLE, "-o", tmp_path / "out.wav", "--quiet")
    assert told.startswith(f"{tmp_path} has no room for the samples of this recording (File too large)")
    assert not list(tmp_path.iterdir())


def test_a_recording_that_is_deleted_after_it_was_checked(tmp_path: Path) -> None:
    content = tmp_path / "content.flac"
    content.write_bytes(MELODY.read_bytes())
    told = failed(DELETED, content, "transfer", content, STYLE, "-o", tmp_path / "out.wav", "--quiet")
    assert told.startswith("audio file 'content.flac' does not exist")
    assert not list(tmp_path.iterdir())
