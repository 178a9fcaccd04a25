"""Files are written in full or not at all."""

import os
import stat

import pytest

from stylus_ops.output_files import check_writable, write_atomically


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
