"""All user parameters: what they refuse, and that they are declared once."""

import math
from dataclasses import fields
from typing import Any

import pytest

from stylus_ops.__main__ import main
from stylus_ops.audio.geometry import PRESETS
from stylus_ops.dials import ALL_GROUPS, DIALS, GROUPS, Group, Number, SoundMask, Steering, Whole, dials_of
from stylus_ops.pipeline.settings import PAPER, Settings

NUMBERS = [dial for dial in DIALS.values() if isinstance(dial, Number)]


@pytest.mark.parametrize("group", ALL_GROUPS)
def test_a_dial_is_declared_once(group: type[Group]) -> None:
    """The class attribute is the declared default, which the dial's values include; an inherited one is the same dial."""
    for dial in dials_of(group):
        assert getattr(group, dial.name) == getattr(group(), dial.name) == dial.default
        assert DIALS[dial.name] == dial
        assert dial.parse(str(dial.default)) == dial.default
        assert dial.text.endswith(".")
        assert dial.allowed


def test_settings_are_the_groups_in_the_order_of_the_help() -> None:
    named = [dial.name for group in GROUPS.values() for dial in dials_of(group)]
    assert [field.name for field in fields(Settings)] == named
    assert len(set(named)) == len(named)
    assert PAPER.keys() <= set(named)
    Settings(**PAPER)
    assert DIALS["preset"].choices == ("auto", *PRESETS)


@pytest.mark.parametrize("dial", NUMBERS, ids=lambda dial: dial.name)
def test_a_number_keeps_to_its_range(dial: Number) -> None:
    for value in (dial.low, dial.high):
        dial.check(value)
        assert dial.parse(str(value)) == value
    fraction = [float(dial.default)] if isinstance(dial, Whole) else []
    for wrong in (dial.low - 1, dial.high + 1, math.nan, math.inf, -math.inf, "much", None, True, *fraction):
        with pytest.raises(ValueError, match=f"^{dial.name} is "):
            dial.check(wrong)
    for text in ("much", "", "nan", "inf", *(["2.5"] if fraction else [])):
        with pytest.raises(ValueError, match=f"^{dial.name} is "):
            dial.parse(text)
    with pytest.raises(ValueError, match=f"^{dial.name} is '0,9': .*point"):
        dial.parse("0,9")


@pytest.mark.parametrize("name", [field.name for field in fields(Settings)])
def test_a_group_checks_its_values_when_it_is_made(name: str) -> None:
    wrong: dict[str, Any] = {name: math.nan}
    with pytest.raises(ValueError, match=f"^{name} is "):
        Settings(**wrong)


def test_dials_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="start_percent"):
        Steering(start_percent=0.6, end_percent=0.5)
    with pytest.raises(ValueError, match="low_hz is 500 and high_hz is 500"):
        SoundMask(low_hz=500, high_hz=500)
    for preset, most in (("sd-512", 256), ("tiny-256", 128)):
        Settings(preset=preset, overlap=most)
    with pytest.raises(ValueError, match="overlap is 129"):
        Settings(preset="tiny-256", overlap=129)
    with pytest.raises(ValueError, match="preset is sd-512"):
        Settings(preset="sd-512").preset_for("tiny-256")


@pytest.mark.parametrize(
    "arguments",
    ["sing", "transfer", "transfer a.wav b.wav -o c.flac --alfa 1", "batch pairs.csv --out results --workers 0"]
    + [f"batch pairs.csv --out results --part {part}" for part in ("0/3", "4/3", "a/b", "3")],
)
def test_a_wrong_option_on_the_command_line_is_one_line(arguments: str, capsys: Any) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments.split())
    assert stopped.value.code == 2
    printed = capsys.readouterr().err
    assert printed.startswith("stylus: ")
    assert printed.count("\n") == 1
