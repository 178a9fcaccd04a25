"""Tails: how much a style's notes ring on is measured, and given to what a transfer changed."""

import numpy as np
import pytest
import torch
from scipy.signal import fftconvolve

from stylus_ops.audio.geometry import PRESETS
from stylus_ops.audio.mel import mel_amplitudes
from stylus_ops.audio.tails import FALL, tail_power, with_tails
from tests.unit.audio.test_fade import RATE, notes
from tests.unit.signals import noise

PLAYED = notes(-3, overtones=8)[:1]


@pytest.mark.parametrize("params", PRESETS.values(), ids=PRESETS)
def test_what_rings_on_is_measured(params):
    def heard_in_a_room(power):
        room = np.random.default_rng(7).standard_normal(RATE) * 10 ** (-FALL / 20 * np.arange(RATE) / RATE)
        wet = fftconvolve(PLAYED[0].numpy(), np.sqrt(power / np.square(room).sum()) * room)[: PLAYED.shape[1]]
        return tail_power(mel_amplitudes((PLAYED + torch.from_numpy(wet).float())[None], params)[0], params)

    dry, some, much = map(heard_in_a_room, (0, 0.03, 0.1))
    assert max(5 * dry, 0.01) < some < 0.1
    assert 2 * some < much < 6 * some


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
