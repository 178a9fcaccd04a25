"""The demo, end to end with the bundled prior: its files, and its numbers with margins."""

import pytest
import soundfile

from stylus_ops.pipeline import demo as demo_module
from stylus_ops.pipeline.demo import describe, run_demo
from stylus_ops.pipeline.settings import Settings

RESULTS = ("melody--style_a.flac", "melody--style_b.flac")


def test_the_demo_writes_its_files_and_moves_towards_each_style(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_module, "SETTINGS", Settings(steps=2))
    table = run_demo(tmp_path, quiet=True)
    files = {"melody.flac", "style_a.flac", "style_b.flac", *RESULTS, "spectrograms.png"}
    assert {path.name for path in tmp_path.iterdir()} == files
    melody, *results = (soundfile.info(tmp_path / name) for name in ("melody.flac", *RESULTS))
    for result in results:
        assert (result.frames, result.samplerate) == (melody.frames, melody.samplerate)
    for numbers in table.values():
        assert numbers["chroma cosine"] > 0.75
        assert numbers["mel spectrum"] > 0.2
        assert numbers["mfcc means"] > 0.1
    assert all(word in describe(table) for word in (*RESULTS, "chroma cosine", "mfcc deviations"))


def test_what_is_there_already_is_not_overwritten(tmp_path):
    (tmp_path / "melody.flac").write_text("a user's melody")
    with pytest.raises(ValueError, match=r"melody\.flac exists already"):
        run_demo(tmp_path, quiet=True)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("melody.flac", "a user's melody")]
