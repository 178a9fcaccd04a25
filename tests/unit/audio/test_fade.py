"""Fade: how fast notes die away is told from a recording, and given to another."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stylus_ops.audio.dynamics import block_power, follow_dynamics
from stylus_ops.audio.fade import BLOCK, FADES, RISE, STEEPEST, fading, falls, frames_ahead, struck
from stylus_ops.audio.geometry import PRESETS
from stylus_ops.audio.onsets import onsets
from tests.unit.signals import noise, snr, tones

RATE = 44100


def notes(fall: float, overtones: int = 3, each: float = 0.4, rate: int = RATE) -> Tensor:
    """Six legato notes that change by `fall` dB a second, `[2, T]`."""
    time = torch.arange(round(each * rate)) / rate
    parts, phase = [], torch.zeros(overtones, 1)
    for pitch in (60, 64, 62, 67, 65, 69):
        turns = 2 * torch.pi * 440 * 2 ** ((pitch - 69) / 12) * torch.arange(1, overtones + 1)[:, None]
        parts.append(0.1 * 10 ** (fall * time / 20) * torch.sin(phase + turns * time).mean(0))
        phase = phase + turns * each
    return torch.cat(parts).expand(2, -1)


def told(sound: Tensor, rate: int = RATE) -> tuple[Tensor, float]:
    block = round(BLOCK * rate)
    return falls(block_power(sound, block), onsets(sound, rate) // block)


@given(st.floats(-90, 0), st.sampled_from([0.25, 0.4, 0.8]), st.sampled_from([16000, 44100, 48000]))
def test_the_fall_of_notes_is_told(fall: float, each: float, rate: int) -> None:
    begins, slope = told(notes(fall, each=each, rate=rate), rate)
    assert abs(slope - fall) < 1 + 0.05 * abs(fall)
    assert len(begins) == 6


def test_soft_notes_are_found_over_held_ones() -> None:
    for overtones in (1, 2, 3):
        assert len(told(0.1 * notes(-5, overtones) + 0.3 * tones(2.4, RATE)[0])[0]) == 6


@pytest.mark.parametrize("sound", [torch.zeros(1, RATE), noise(1.0, RATE)[0], torch.ones(1, 1), -torch.ones(2, 400)])
def test_what_has_no_notes_does_not_fall(sound: Tensor) -> None:
    assert abs(told(sound)[1]) < 10


def test_a_note_fades_at_its_beginning_alone() -> None:
    block = round(BLOCK * RATE)
    gain = fading(block_power(notes(0, each=2.0), block), onsets(notes(0, each=2.0), RATE) // block, -40.0)
    assert float(gain.min()) == pytest.approx(-40 * BLOCK * FADES, rel=0.05)


def test_notes_fall_as_the_styles_do_where_something_changed() -> None:
    content, changed = notes(-5), notes(-5, overtones=8)
    for closeness in (0.25, 1.0):
        assert abs(told(follow_dynamics(changed, content, RATE, closeness, -50.0)[:, :])[1] + 50) < 8
    assert snr(content, follow_dynamics(content, content, RATE, 0.5, -50.0)[:, :]) > 100
    for slower in (-4.0, 0.0, STEEPEST):
        torch.testing.assert_close(
            follow_dynamics(changed, content, RATE, 1.0, slower)[:, :],
            follow_dynamics(changed, content, RATE, 1.0)[:, :],
        )


@pytest.mark.parametrize("params", PRESETS.values(), ids=PRESETS)
def test_a_struck_note_is_loud_where_it_begins_to_swell(params) -> None:
    ahead = frames_ahead(params)
    swelling = torch.cat([torch.zeros(9), torch.linspace(0.1, 1, ahead), torch.linspace(1, 0.5, 20)])[None]
    sudden = struck(swelling, 1.0, params)
    assert torch.equal(struck(swelling, 0.0, params), swelling)
    assert torch.equal(sudden[:, 8 + ahead :], swelling[:, 8 + ahead :])  # from the most on
    assert not sudden[:, :9].any()
    torch.testing.assert_close(sudden[:, 9 : 9 + ahead], (RISE * swelling[:, 9 : 9 + ahead]).clamp(max=1))
