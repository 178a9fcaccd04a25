"""Dials turned to anything, on the command line: a sound as long as the content, or one line that names what is wrong."""

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stylus_ops.__main__ import main
from stylus_ops.audio.read import read_audio
from stylus_ops.audio.write import write_audio
from stylus_ops.dials import DIALS, Choice, Dial, Number, Whole, dials_of
from stylus_ops.pipeline.settings import Settings
from tests.unit.signals import melody, mix

EXAMPLES = int(os.environ.get("STYLUS_FUZZ_FILES", "300")) // 8
SLOW = {"steps": 4, "corrections": 3, "phase_iters": 4}
"""What takes time is turned no further than this; as far as it goes it is only refused or not."""
BEYOND = ["nan", "inf", "-inf", "1e400", "-1", "1e9", "much", "", "\N{ARABIC-INDIC DIGIT THREE}", "0x10", "1e-320"]
NAMES = ["auto", "6-11", "9,10", "6, 6", "99", "-1", "11-6", "1-99999999999", "six", "", "\0", "None"]


def good_values(dial: Dial, names: list[str]) -> st.SearchStrategy[Any]:
    """Values that a dial has; of one that takes text, some of `names`."""
    if isinstance(dial, Choice):
        return st.sampled_from(dial.choices)
    if isinstance(dial, Whole):
        return st.integers(dial.low, min(dial.high, SLOW.get(dial.name, dial.high)))
    if isinstance(dial, Number):
        return st.floats(dial.low, min(dial.high, 2.0) if dial.unit == "s" else dial.high)
    return st.sampled_from(names)


def texts(dial: Dial) -> st.SearchStrategy[str]:
    """What somebody may write for a dial: three times out of four a value that it has."""
    return st.one_of(*[good_values(dial, NAMES).map(str)] * 3, st.sampled_from(BEYOND))


def refused(check: Any, value: Any) -> bool:
    try:
        check(value)
    except ValueError:
        return True
    return False


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A content of one second and a style of two."""
    folder = tmp_path_factory.mktemp("dials")
    write_audio(folder / "content.wav", melody(1.0, 22050)[0, :1], 22050)
    write_audio(folder / "style.wav", mix(2.1, 44100)[0, :1], 44100)
    return [str(folder / name) for name in ("content.wav", "style.wav")]


@given(st.lists(st.sampled_from([dial.name for dial in dials_of(Settings)]), max_size=6, unique=True), st.data())
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_dials_give_a_sound_or_one_line(one_engine, capsys, recordings, chosen, data) -> None:
    dials = {name: data.draw(texts(DIALS[name]), label=name) for name in chosen}
    options = [f"--{name.replace('_', '-')}={text}" for name, text in ({"steps": "2"} | dials).items()]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "out.wav"
        status = main(["transfer", *recordings, "-o", str(output), "--quiet", *options])
        told = capsys.readouterr()
        if status == 0:
            sound, rate = read_audio(output)
            duration = min(float(dials.get("content_duration", 0)) or 1.0, 1.0 - float(dials.get("content_start", 0)))
            assert rate == 22050
            assert sound.shape[-1] == pytest.approx(duration * 22050, abs=1)
            assert sound.isfinite().all()
        else:
            assert (status, told.out) == (2, "")
            assert told.err.splitlines()[-1].startswith("stylus: ")
            assert "Traceback" not in told.err
            assert list(Path(folder).iterdir()) == []
    assert status == 2 or not any(refused(DIALS[name].parse, text) for name, text in dials.items())
