"""What the core warns of, on standard error."""

import logging
from pathlib import Path

import pytest

from stylus_ops import __main__ as command_line
from stylus_ops.audio.write import write_audio
from stylus_ops.tiny import RECORDINGS

from ..signals import noise

pytestmark = pytest.mark.usefixtures("one_engine")
STYLE = RECORDINGS / "style_a.flac"


def test_a_warning_is_one_line_on_standard_error(capsys: pytest.CaptureFixture) -> None:
    root = logging.StreamHandler()
    logging.getLogger().addHandler(root)
    try:
        with command_line._warnings_shown():
            logging.getLogger("stylus").warning("the content is silent: choose another")
    finally:
        logging.getLogger().removeHandler(root)
    assert capsys.readouterr().err == "stylus: the content is silent: choose another\n"
    assert not logging.getLogger("stylus").handlers


def told_of(capsys: pytest.CaptureFixture, content: Path, style: Path, *options: str) -> tuple[list[str], str]:
    """The warnings of a transfer, and all that it wrote to standard error from the first one on."""
    output = content.with_name("out.wav")
    assert command_line.main(["transfer", str(content), str(style), "-o", str(output), "--steps=2", *options]) == 0
    written = capsys.readouterr().err
    warnings = [line for line in written.splitlines() if line.startswith("stylus: ")]
    return warnings, written[written.index(warnings[0]) :] if warnings else ""


def test_a_silent_content_is_told_of_once_and_before_the_work(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    content = tmp_path / "content.wav"
    write_audio(content, 0 * noise(1.0, 44100)[0], 44100)
    warnings, after = told_of(capsys, content, STYLE, "--tone=1")
    assert warnings == ["stylus: content content.wav is silent: choose a recording, or a part of it, with sound"]
    assert "inversion" in after


@pytest.mark.parametrize(("loud", "words"), [(1, "lasts 1.9 s: choose 2 s or more"), (0, "is silent: choose")])
def test_a_style_with_little_to_take_is_told_of_once_and_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture, loud: int, words: str
) -> None:
    content, style = tmp_path / "content.wav", tmp_path / "style.wav"
    write_audio(content, noise(1.0, 44100)[0], 44100)
    write_audio(style, loud * noise(2.5, 44100)[0], 44100)
    (warning,), after = told_of(capsys, content, style, "--style-duration=1.9")
    assert warning.startswith(f"stylus: style style.wav {words}")
    assert "inversion" in after


def test_a_style_of_two_seconds_and_a_short_content_are_not_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    content, style = tmp_path / "content.wav", tmp_path / "style.wav"
    write_audio(content, noise(1.0, 44100)[0], 44100)
    write_audio(style, noise(2.0, 44100)[0], 44100)
    assert told_of(capsys, content, style) == ([], "")
