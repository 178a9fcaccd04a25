"""Files are written in full or not at all."""

import errno
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stylus_ops.disk import MARK, OLD, check_name, check_writable, locked, write_atomically

ROOT = Path(__file__).parents[2]
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes, links or signals")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_failed_write_leaves_the_earlier_file_and_no_other(tmp_path):
    path = tmp_path / ("x" * 250 + ".json")  # as long as a name may be
    path.write_text("earlier")
    check_writable("output", path, (".json",))

    def fail(temporary):
        temporary.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, fail)
    assert [(file, file.read_text()) for file in tmp_path.iterdir()] == [(path, "earlier")]
    write_atomically(path, lambda temporary: temporary.write_text("later"))
    assert [(file, file.read_text()) for file in tmp_path.iterdir()] == [(path, "later")]


@posix
def test_files_get_the_mode_that_others_get(tmp_path):
    (tmp_path / "ordinary").touch()
    write_atomically(tmp_path / "ours", lambda path: path.write_text("text"))
    assert (tmp_path / "ordinary").stat().st_mode == (tmp_path / "ours").stat().st_mode


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("out.txt", "unknown ending"),
        ("missing/out.wav", "no folder"),
        ("folder.wav", "is a folder"),
        ("nul\0.wav", "can't be used"),
    ],
)
def test_what_cannot_be_written_is_named(tmp_path, name, words):
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(ValueError, match=words):
        check_writable("output", tmp_path / name, (".wav",))


@pytest.mark.parametrize(
    "name",
    ["x" * 300, "new/" + "x" * 300, "x" * 300 + "/new", "nul\0", "new/nul\0", "file/name", "file/new/name", "folder"],
)
def test_a_name_that_no_file_can_get_is_known_before(tmp_path, name):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises((OSError, ValueError)):
        check_name(tmp_path / name)
    for good in ("name", "file", "new/name", "new/and new/" + "x" * 255, "folder/name"):
        check_name(tmp_path / good)
    assert names(tmp_path) == ["file", "folder"]


@posix
def test_a_planted_link_is_not_written_through(tmp_path, monkeypatch):
    treasure = tmp_path / "treasure"
    treasure.write_text("gold")
    monkeypatch.setattr("secrets.token_hex", lambda size: "a" * 16)
    (tmp_path / f"{MARK}{'a' * 16}.txt").symlink_to(treasure)
    with pytest.raises(FileExistsError):
        write_atomically(tmp_path / "out.txt", lambda temporary: temporary.write_text("lead"))
    assert treasure.read_text() == "gold"


def test_old_leftovers_are_removed_and_what_a_user_named_alike_stays(tmp_path):
    """Not by locks: a host may not see those of another one."""
    number = "0123456789abcdef"
    own = ["notes.txt", number[1:], f"{number}0", f"{number}.tar.gz", f"{number.upper()}.wav", f"{number}-old.wav"]
    for name in (*own, number, f"{number}.wav"):
        (tmp_path / f"{MARK}{name}").touch()
        os.utime(tmp_path / f"{MARK}{name}", (time.time() - 1.1 * OLD,) * 2)
    young = f"{'a' * 16}.txt"
    (tmp_path / f"{MARK}{young}").touch()
    check_writable("output", tmp_path / "out.wav", (".wav",))
    assert names(tmp_path) == sorted(f"{MARK}{name}" for name in (*own, young))


@posix
def test_a_lock_is_one_process_s_and_ends_with_it(tmp_path):
    path = tmp_path / "folder.lock"
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom stylus_ops.disk import locked\n"
        "with locked(Path(sys.argv[1])) as mine:\n    print(mine, flush=True)\n    time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "True\n"
    with locked(path) as mine:
        assert not mine
    process.kill()
    process.wait()
    with locked(path) as mine:
        assert mine
    assert names(tmp_path) == []


@pytest.mark.parametrize("links", [True, False])
def test_of_many_that_make_one_file_at_once_one_does(tmp_path, monkeypatch, links):
    """Threads stand for processes; exFAT knows no hard links."""
    if not links:

        def refuse(*arguments: object) -> None:
            raise PermissionError(errno.EPERM, "no links")

        monkeypatch.setattr(os, "link", refuse)
    path, together = tmp_path / "out.txt", threading.Barrier(8)

    def make(text: str) -> str | None:
        def write(file: Path) -> None:
            file.write_text(text)
            together.wait()

        try:
            write_atomically(path, write, overwrite=False)
        except FileExistsError:
            return None
        return text

    with ThreadPoolExecutor(8) as threads:
        made = [text for text in threads.map(make, "abcdefgh") if text]
    assert made == [path.read_text()]
    assert names(tmp_path) == ["out.txt"]


@posix
def test_what_an_interrupt_leaves_is_removed_as_the_process_ends(tmp_path):
    """It can come between any two lines, those that remove a file among them."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom stylus_ops.disk import temporary\n"
        "def stop(*a, **k):\n    Path.unlink = unlink\n    raise KeyboardInterrupt\n"
        "with temporary(Path(sys.argv[1]) / 'out.wav'):\n    unlink, Path.unlink = Path.unlink, stop"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert "KeyboardInterrupt" in done.stderr
    assert names(tmp_path) == []
