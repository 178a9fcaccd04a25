"""Files are written in full or not at all."""

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from stylus_ops import output_files
from stylus_ops.output_files import MARK, check_name, check_writable, held, remove_leftovers, write_atomically

ROOT = Path(__file__).parents[2]
WRITE_AND_WAIT = """
import sys, time
from pathlib import Path
from stylus_ops.output_files import write_atomically

def write(temporary):
    temporary.write_text("half")
    print("writing", flush=True)
    time.sleep(60)

write_atomically(Path(sys.argv[1]), write)
"""
WRITE_TOO_MUCH = """
import resource, sys
from pathlib import Path
from stylus_ops.output_files import write_atomically

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
write_atomically(Path(sys.argv[1]), lambda temporary: temporary.write_bytes(bytes(100_000)))
"""


def writing(path: Path) -> subprocess.Popen[str]:
    """A process that is in the middle of writing `path`."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE_AND_WAIT, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "writing\n"
    return process


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_failed_write_leaves_the_earlier_file_and_no_other(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("earlier")

    def fail(temporary):
        temporary.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, fail)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("report.json", "earlier")]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no file modes")
def test_files_get_the_mode_that_others_get(tmp_path):
    (tmp_path / "ordinary").touch()
    write_atomically(tmp_path / "ours", lambda path: path.write_text("text"))
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ordinary", "ours")}
    assert len(modes) == 1


def test_checking_leaves_nothing_behind(tmp_path):
    check_writable("output", tmp_path / "out.wav", (".wav",))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [("out.txt", "unknown ending"), ("missing/out.wav", "no folder"), ("folder.wav", "is a folder")],
)
def test_what_cannot_be_written_is_said(tmp_path, name, words):
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(ValueError, match=words):
        check_writable("output", tmp_path / name, (".wav",))


@pytest.mark.parametrize("name", ["x" * 300 + ".wav", "nul\0.wav"])
def test_names_that_no_file_can_have_are_said(tmp_path, name):
    with pytest.raises(ValueError, match="can't be used"):
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
    assert sorted(names(tmp_path)) == ["file", "folder"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_dead_link_is_no_folder(tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(NotADirectoryError):
        check_name(tmp_path / "link" / "name")


def test_the_longest_names_can_be_written(tmp_path):
    path = tmp_path / ("x" * 251 + ".wav")
    check_writable("output", path, (".wav",))
    write_atomically(path, lambda temporary: temporary.write_text("all of it"))
    assert names(tmp_path) == [path.name]


def test_temporary_names_keep_the_ending_and_are_never_the_same(tmp_path):
    seen: list[Path] = []

    def write(temporary: Path) -> None:
        seen.append(temporary)
        temporary.write_text("sound")

    for _ in range(2):
        write_atomically(tmp_path / "a.flac", write)
    assert {path.suffix for path in seen} == {".flac"}
    assert len(set(seen)) == 2


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_planted_link_is_not_written_through(tmp_path, monkeypatch):
    """Even one whose name was guessed."""
    treasure = tmp_path / "treasure"
    treasure.write_text("gold")
    guesses = ["a" * 16, "a" * 16, "b" * 16]
    monkeypatch.setattr("secrets.token_hex", lambda size: guesses.pop(0))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / f"{MARK}{'a' * 16}.txt").symlink_to(treasure)
    with pytest.raises(FileExistsError):
        write_atomically(folder / "out.txt", lambda temporary: temporary.write_text("lead"))
    assert treasure.read_text() == "gold"
    (folder / f".{os.getpid()}-out.txt").symlink_to(treasure)
    guesses[:] = ["c" * 16]
    write_atomically(folder / "out.txt", lambda temporary: temporary.write_text("lead"))
    assert treasure.read_text() == "gold"
    assert (folder / "out.txt").read_text() == "lead"


def test_what_a_killed_process_left_is_removed_by_the_next_write_and_the_living_are_let_be(tmp_path):
    living = writing(tmp_path / "living.txt")
    (kept,) = names(tmp_path)
    dead = writing(tmp_path / "dead.txt")
    assert len(names(tmp_path)) == 2
    dead.kill()
    dead.wait()
    write_atomically(tmp_path / "next.txt", lambda temporary: temporary.write_text("next"))
    try:
        assert names(tmp_path) == [kept, "next.txt"]
    finally:
        living.kill()
        living.wait()


def test_files_whose_names_only_begin_as_temporary_ones_do_are_let_be(tmp_path):
    """Those of a user."""
    number = "0123456789abcdef"
    own = ["notes.txt", number[1:], f"{number}0", f"{number}.tar.gz", f"{number.upper()}.wav", f"{number}-old.wav"]
    for name in (*own, number, f"{number}.wav"):
        (tmp_path / f"{MARK}{name}").touch()
    remove_leftovers(tmp_path)
    assert names(tmp_path) == sorted(f"{MARK}{name}" for name in own)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on files")
def test_a_disk_that_is_full_leaves_the_earlier_file_and_no_other(tmp_path):
    path = tmp_path / "out.bin"
    path.write_text("earlier")
    done = subprocess.run([sys.executable, "-c", WRITE_TOO_MUCH, str(path)], cwd=ROOT, capture_output=True, text=True)
    assert "File too large" in done.stderr
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("out.bin", "earlier")]


def test_only_one_of_many_holds_a_file(tmp_path):
    """Threads stand for processes: each opens the file anew."""
    together, most = 0, 0
    counting = threading.Lock()

    def take_turns() -> None:
        nonlocal together, most
        for _ in range(300):
            with held(tmp_path / ".claim") as mine:
                if mine:
                    with counting:
                        together += 1
                        most = max(most, together)
                    with counting:
                        together -= 1

    threads = [threading.Thread(target=take_turns) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no SIGKILL")
def test_what_a_killed_process_held_is_free(tmp_path):
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom stylus_ops.output_files import held\n"
        "with held(Path(sys.argv[1])) as mine:\n    print(mine, flush=True)\n    time.sleep(60)"
    )
    claim = tmp_path / ".claim"
    process = subprocess.Popen([sys.executable, "-c", code, str(claim)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "True\n"
    with held(claim) as mine:
        assert not mine
    process.send_signal(signal.SIGKILL)
    process.wait()
    with held(claim) as mine:
        assert mine
    assert names(tmp_path) == []


def test_an_interrupt_at_any_moment_leaves_nothing_that_is_held(tmp_path):
    """Ctrl-C comes between any two lines, and as a call returns."""
    claim, moments = tmp_path / ".claim", 0

    def trace(left: int):
        def count(frame, event, _):
            nonlocal left
            if frame.f_code.co_filename != output_files.__file__:
                return None
            if event == "line" or (
                event == "return" and frame.f_code.co_name in ("_hold", "_lock", "_is_at", "opener")
            ):
                left -= 1
                if left < 0:
                    raise KeyboardInterrupt
            return count

        return count

    earlier = sys.gettrace()
    while True:
        try:
            sys.settrace(trace(moments))
            with held(claim):
                pass
            break
        except KeyboardInterrupt:
            moments += 1
        finally:
            sys.settrace(earlier)
        assert names(tmp_path) == []
        with held(claim) as mine:
            assert mine
    assert moments > 10
