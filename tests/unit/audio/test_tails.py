"""Tails: how long a style's notes ring on is told from it, and given to what a transfer changed."""

import numpy as np
import pytest
import torch
from torch import Tensor

from stylus_ops.audio.geometry import PRESETS
from stylus_ops.audio.mel import mel_amplitudes
from stylus_ops.audio.tails import FALL, tails, told
from tests.unit.audio.test_fade import RATE, notes
from tests.unit.signals import noise

PLAYED = notes(-3, overtones=8)[:1]


def in_a_room(power: float) -> Tensor:
    """The notes with a room's tails, `[1, T]`."""
    time = np.arange(RATE) / RATE
    response = np.random.default_rng(7).standard_normal(RATE) * 10 ** (-FALL / 20 * time)
    response *= np.sqrt(power / np.square(response).sum())
    return PLAYED + torch.from_numpy(np.convolve(PLAYED[0].numpy(), response)[: PLAYED.shape[1]]).float()


def tail_of(sound: Tensor, preset: str = "tiny-256") -> float:
    return told(mel_amplitudes(sound[None], PRESETS[preset])[0], PRESETS[preset])


@pytest.mark.parametrize("preset", PRESETS)
def test_what_rings_on_is_told(preset: str) -> None:
    dry, some, much = (tail_of(in_a_room(power), preset) for power in (0, 0.03, 0.1))
    assert dry < 0.2 * some
    assert 0.01 < some < 0.1
    assert 2 * some < much < 6 * some


@pytest.mark.parametrize("sound", [noise(1, 3 * RATE)[0, :1], torch.zeros(1, RATE), notes(0, each=5.0)[:1, : 4 * RATE]])
def test_what_never_ends_has_no_tail(sound: Tensor) -> None:
    assert tail_of(sound) == 0


def test_tails_follow_what_changed_alone() -> None:
    content, changed = (
        torch.cat([PLAYED, torch.zeros_like(PLAYED)], 1),
        torch.cat([-PLAYED, torch.zeros_like(PLAYED)], 1),
    )
    assert not tails(content, content, RATE, 0.1).any()
    tail = tails(changed, content, RATE, 0.1)
    end, step = PLAYED.shape[1], RATE // 5
    during, soon, late = (float(tail[:, at : at + step].square().mean()) for at in (end - step, end, end + step))
    assert 0.05 < during / float(PLAYED[:, -step:].square().mean()) < 0.2
    assert -10 * np.log10(late / soon) == pytest.approx(FALL / 5, abs=4)
