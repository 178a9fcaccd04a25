"""The demo, end to end with the bundled prior: its files, and its numbers with margins."""

from pathlib import Path

import pytest
import soundfile
from PIL import Image

from stylus_ops.pipeline import demo as demo_module
from stylus_ops.pipeline.demo import Numbers, describe, run_demo
from stylus_ops.pipeline.settings import Settings

RESULTS = ("melody--style_a.flac", "melody--style_b.flac")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Numbers]]:
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_module, "SETTINGS", Settings(steps=6))
        return folder, run_demo(folder, quiet=True)


def test_files_are_written(demo):
    folder, _ = demo
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["melody.flac", "style_a.flac", "style_b.flac", *RESULTS, "spectrograms.png"]
    )
    melody = soundfile.info(folder / "melody.flac")
    for name in RESULTS:
        result = soundfile.info(folder / name)
        assert (result.frames, result.samplerate, result.channels) == (
            melody.frames,
            melody.samplerate,
            melody.channels,
        )
    with Image.open(folder / "spectrograms.png") as image:
        assert image.height > 5 * 240


@pytest.mark.parametrize("result", RESULTS)
def test_melody_is_kept_and_timbre_is_closer_to_the_style(demo, result):
    numbers = demo[1][result]
    assert numbers["chroma cosine"] > 0.75
    assert numbers["mel spectrum"] > 0.2
    assert numbers["mfcc means"] > 0.1


def test_table_names_every_number(demo):
    table = describe(demo[1])
    for word in (*RESULTS, "chroma cosine", "mfcc deviations"):
        assert word in table


def test_what_is_there_already_is_not_overwritten(tmp_path):
    (tmp_path / "melody.flac").write_text("a user's melody")
    with pytest.raises(ValueError, match=r"melody\.flac exists already: choose another folder with --out"):
        run_demo(tmp_path, quiet=True)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("melody.flac", "a user's melody")]
