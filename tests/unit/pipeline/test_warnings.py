"""What the core warns of, on standard error."""

from pathlib import Path

import pytest

from stylus_ops.__main__ import main
from stylus_ops.audio.write import write_audio

from ..signals import noise

pytestmark = pytest.mark.usefixtures("one_engine")


@pytest.mark.parametrize(
    ("content", "style", "words"),
    [
        (0, 2.5, "content content.wav is silent: choose a recording, or a part of it, with sound"),
        (1, 1.9, "style style.wav lasts 1.9 s: choose 2 s or more"),
        (1, 0, "style style.wav is silent: choose"),
        (1, 2.0, ""),
    ],
)
def test_recordings_with_little_to_take_are_named_once_and_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture, content: int, style: float, words: str
) -> None:
    paths = [tmp_path / f"{name}.wav" for name in ("content", "style", "out")]
    write_audio(paths[0], content * noise(1.0, 44100)[0], 44100)
    write_audio(paths[1], bool(style) * noise(style or 2.5, 44100)[0], 44100)
    first, second, output = map(str, paths)
    assert main(["transfer", first, second, "-o", output, "--steps=2", f"--tone={1 - content}"]) == 0
    written = capsys.readouterr().err
    warnings = [line for line in written.splitlines() if line.startswith("stylus: ")]
    assert len(warnings) == bool(words)
    for warning in warnings:
        assert warning.startswith(f"stylus: {words}")
        assert "inversion" in written[written.index(warning) :]
