"""The dials' one home: what they refuse, and that nothing else keeps a copy."""

import inspect
import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

from stylus_ops import dials
from stylus_ops.__main__ import main
from stylus_ops.audio.decode import decode
from stylus_ops.audio.geometry import PRESETS
from stylus_ops.audio.mask import sound_mask
from stylus_ops.audio.tone import match_tone
from stylus_ops.audio.windows import audio_to_windows, check_overlap
from stylus_ops.dials import DIALS, Choice, Dial, Number, Whole
from stylus_ops.diffusion.adain import match_statistics
from stylus_ops.diffusion.attention import Steering
from stylus_ops.diffusion.inversion import invert
from stylus_ops.diffusion.stylizer import Stylizer
from stylus_ops.pipeline.settings import Settings

DECLARED = {name: value for name, value in vars(dials).items() if isinstance(value, Dial)}
NUMBERS = [dial for dial in DECLARED.values() if isinstance(dial, Number)]
NO_NUMBERS = (math.nan, math.inf, -math.inf, "much", None, True)


def test_a_dial_is_called_in_the_code_what_it_is_called_everywhere() -> None:
    assert {name.lower(): dial.name for name, dial in DECLARED.items()} == {
        dial.name: dial.name for dial in DECLARED.values()
    }


@pytest.mark.parametrize("dial", DECLARED.values(), ids=lambda dial: dial.name)
def test_a_dial_says_what_it_does_and_takes_its_default(dial: Dial) -> None:
    dial.check(dial.default)
    assert dial.parse(str(dial.default)) == dial.default
    assert dial.text.endswith(".")
    assert dial.allowed


@pytest.mark.parametrize("dial", NUMBERS, ids=lambda dial: dial.name)
def test_a_number_keeps_to_its_range(dial: Number) -> None:
    for value in (dial.low, dial.high):
        dial.check(value)
        assert dial.parse(str(value)) == value
    for wrong in (dial.low - 1, dial.high + 1, *NO_NUMBERS):
        with pytest.raises(ValueError, match=rf"^{dial.name} is .*: choose a (whole )?number from .* to "):
            dial.check(wrong)
    for text in ("much", "", "nan", "inf"):
        with pytest.raises(ValueError, match=f"^{dial.name} is '?{text}"):
            dial.parse(text)


@pytest.mark.parametrize("dial", [dial for dial in NUMBERS if isinstance(dial, Whole)], ids=lambda dial: dial.name)
def test_a_whole_number_takes_no_fraction(dial: Whole) -> None:
    with pytest.raises(ValueError, match=f"{dial.name} is .*whole number"):
        dial.check(float(dial.default))
    with pytest.raises(ValueError, match=f"{dial.name} is '2.5': choose a whole number"):
        dial.parse("2.5")


def test_the_words_of_a_refusal() -> None:
    for dial, value, words in (
        (dials.ALPHA, math.nan, "alpha is nan: choose a number from 0 to 2"),
        (dials.STEPS, 1, "steps is 1: choose a whole number from 2 to 999"),
        (dials.GAIN_DB, 200.0, "gain_db is 200.0: choose a number from 0 to 120 dB"),
        (dials.ADAIN_MODE, "wct", "adain_mode is 'wct': choose one of adain, efdm, none"),
        (dials.SITES, 6, "sites is 6: write auto, or blocks such as 6-11 or 9, 10, 11"),
    ):
        with pytest.raises(ValueError, match="^" + words.replace("(", r"\(") + "$"):
            dial.check(value)


def test_the_command_line_has_every_dial_and_nothing_else() -> None:
    assert [field.name for field in fields(Settings)] == list(DIALS)
    assert {field.name: field.default for field in fields(Settings)} == {
        name: dial.default for name, dial in DIALS.items()
    }


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (Steering.__new__, ("alpha", "gamma", "temperature")),
        (Stylizer.__init__, ("start_percent", "end_percent")),
        (match_statistics, {"mode": "adain_mode", "strength": "adain"}),
        (Stylizer.start_latents, {"mode": "adain_mode", "strength": "adain"}),
        (invert, {"method": "inversion", "corrections": "corrections"}),
        (audio_to_windows, ("overlap",)),
        (decode, {"method": "decode", **{dial.name: dial.name for dial in dials.GROUPS["decode"][1:]}}),
        (match_tone, {"resolution": "tone_resolution", "most_db": "tone_db"}),
        (sound_mask, {"kind": "what", "low": "low_hz", "high": "high_hz", "smooth": "smooth"}),
    ],
)
def test_a_function_defaults_to_its_dials(function: Callable, parameters: Any) -> None:
    given = inspect.signature(function).parameters
    names = parameters if isinstance(parameters, dict) else dict(zip(parameters, parameters, strict=True))
    assert {name: given[name].default for name in names} == {
        name: getattr(dials, dial.upper()).default for name, dial in names.items()
    }


def test_presets_are_those_of_the_geometry() -> None:
    assert dials.PRESET.choices == ("auto", *PRESETS)


def test_windows_overlap_by_half_at_most() -> None:
    for preset, most in (("sd-512", 256), ("tiny-256", 128)):
        check_overlap(most, PRESETS[preset])
        Settings(preset=preset, overlap=most).check()
        with pytest.raises(ValueError, match=f"overlap is {most + 1}: choose a whole number from 0 to {most} frames"):
            Settings(preset=preset, overlap=most + 1).check()


@pytest.mark.parametrize("name", DIALS)
def test_no_number_reaches_no_dial(name: str) -> None:
    wrong: dict[str, Any] = {name: math.nan}
    with pytest.raises(ValueError, match=f"^{name} is "):
        Settings(**wrong).check()


@pytest.mark.parametrize("name", [name for name, dial in DIALS.items() if isinstance(dial, (Number, Choice))])
def test_a_wrong_value_on_the_command_line_is_one_line(name: str, capsys: pytest.CaptureFixture) -> None:
    flag = f"--{name.replace('_', '-')}"
    assert main(["transfer", "no.wav", "no.wav", "-o", "no.flac", flag, "nan"]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"stylus: {name} is ")
    assert told.count("\n") == 1


def test_a_wrong_option_on_the_command_line_is_one_line(capsys: pytest.CaptureFixture) -> None:
    for arguments in (["transfer", "a.wav", "b.wav", "-o", "c.flac", "--alfa", "1"], ["transfer"], ["sing"]):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2
        told = capsys.readouterr().err
        assert told.startswith("stylus: ")
        assert told.count("\n") == 1
