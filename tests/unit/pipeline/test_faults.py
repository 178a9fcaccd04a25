"""A transfer that the machine fails: one sentence, no traceback, nothing left behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stylus_ops.audio.write import write_audio
from stylus_ops.tiny import RECORDINGS
from tests.unit.signals import noise

ROOT = Path(__file__).parents[3]
STYLE = RECORDINGS / "style_a.flac"
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


@pytest.fixture
def content(tmp_path: Path) -> Path:
    path = tmp_path / "content.wav"
    write_audio(path, noise(3.0, 44100, 2)[0] / 8, 44100)
    return path


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on files")
def test_a_disk_that_is_full(content: Path) -> None:
    """It is the disk that is blamed, not the recording that is read."""
    told = failed(LIMITED, 100_000, "transfer", content, STYLE, "-o", content.with_name("out.wav"), "--quiet")
    assert told == (
        f"{content.parent} has no room for the samples of this recording (File too large): make room, or write the output to "
        "another folder"
    )
    assert [path.name for path in content.parent.iterdir()] == ["content.wav"]


@pytest.mark.parametrize("which", ["content", "style"])
def test_a_recording_that_is_deleted_after_it_was_checked(content: Path, tmp_path: Path, which: str) -> None:
    style = tmp_path / "style.wav"
    style.write_bytes(content.read_bytes())
    gone = content if which == "content" else style
    told = failed(DELETED, gone, "transfer", content, style, "-o", tmp_path / "out.wav", "--steps", 2, "--quiet")
    assert told.startswith(f"audio file {gone.name!r} does not exist")
    assert not (tmp_path / "out.wav").exists()
