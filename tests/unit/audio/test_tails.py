"""Tails: how much a style's notes ring on is measured, and given to what a transfer changed."""

import numpy as np
import pytest
import torch
from scipy.signal import fftconvolve

from stylus_ops.audio.geometry import PRESETS
from stylus_ops.audio.mel import mel_amplitudes
from stylus_ops.audio.tails import FALL, dried, tail_power, with_tails
from tests.unit.audio.test_fade import RATE, notes
from tests.unit.signals import noise

PLAYED = notes(-3, overtones=8)[:1]


def heard_in_a_room(sound, power):
    room = np.random.default_rng(7).standard_normal(RATE) * 10 ** (-FALL / 20 * np.arange(RATE) / RATE)
    wet = fftconvolve(sound[0].numpy(), np.sqrt(power / np.square(room).sum()) * room)[: sound.shape[1]]
    return sound + torch.from_numpy(wet).float()


@pytest.mark.parametrize("params", PRESETS.values(), ids=PRESETS)
def test_what_rings_on_is_measured_and_taken_away(params):
    alone, room, hall = (mel_amplitudes(heard_in_a_room(PLAYED, power)[None], params)[0] for power in (0, 0.03, 0.1))
    dry, some, much = (tail_power(mel, params) for mel in (alone, room, hall))
    assert max(5 * dry, 0.01) < some < 0.1
    assert 2 * some < much < 6 * some
    floor = 1e-2 * float(alone.max())
    levels = [20 * mel.clamp(min=floor).log10() for mel in (alone, hall, hall * dried(hall, much - dry, params))]
    wet, less = (float((level - levels[0]).abs().mean()) for level in levels[1:])
    assert less < 0.7 * wet
    assert torch.equal(dried(hall, 0.0, params), torch.ones_like(hall))


@pytest.mark.parametrize(
    "sound", [noise(1, 3 * RATE), torch.zeros(1, 2, RATE), notes(0, each=5.0)[None, :, : 4 * RATE]]
)
def test_what_never_ends_has_no_tail(sound):
    for frames in (sound.shape[-1], 5000, 1):
        assert tail_power(mel_amplitudes(sound[..., :frames], PRESETS["tiny-256"])[0], PRESETS["tiny-256"]) == 0


def test_tails_follow_what_changed_and_die_away():
    content, end, step = torch.cat([PLAYED, 0 * PLAYED], 1), PLAYED.shape[1], RATE // 5
    assert torch.equal(with_tails(content, content, RATE, 0.1)[:, :], content)
    tail = with_tails(-content, content, RATE, 0.1)[:, :] + content
    during, soon, late = (float(tail[:, at : at + step].square().mean()) for at in (end - step, end, end + step))
    assert 0.05 < during / float(PLAYED[:, -step:].square().mean()) < 0.2
    assert 10 * np.log10(soon / late) == pytest.approx(FALL / 5, abs=4)
