"""Loudness over time: how far it may stray."""

import math

import pytest
import torch

from stylus_ops.audio.dynamics import block_power, decibels, follow_dynamics
from stylus_ops.audio.fade import BLOCK as SECONDS
from tests.unit.signals import noise, seconds

RATE = 44100
BLOCK = round(SECONDS * RATE)


def stray(output, content):
    """Decibels between the envelopes, both brought to one level."""
    own, target = (block_power(clip, BLOCK) for clip in (output, content))
    return decibels(own) - decibels(target) - decibels(own.sum() / target.sum())


def tone(amplitude):
    return (amplitude * torch.sin(2 * math.pi * 440 * seconds(amplitude.shape[-1] / RATE, RATE)))[None].float()


def pulsing(depth_db, period=0.4, duration=2.0):
    t = seconds(duration, RATE)
    return 10 ** (depth_db / 40 * torch.cos(2 * math.pi * t / period))


@pytest.mark.parametrize(("closeness", "leeway"), [(0.5, 6.0), (0.75, 2.0), (1.0, 0.0)])
def test_loudness_over_time_strays_no_further_than_was_said(closeness, leeway):
    content, output = tone(0.2 + 0 * pulsing(0)), tone(0.01 * pulsing(18))
    assert follow_dynamics(output, content, RATE, 0.0) is output
    assert stray(output, content).abs().max() > 9
    followed = stray(follow_dynamics(output, content, RATE, closeness)[:, :], content)
    assert followed[2:-2].abs().max() < leeway + 1


def test_what_is_below_the_audible_part_of_the_content_is_never_lifted():
    content = noise(1.0, RATE, 1)[0]
    content[:, RATE // 2 :] = 0
    output = noise(1.0, RATE, 1)[0] * 1e-3
    output[:, : RATE // 2] *= 1000
    followed = follow_dynamics(output, content, RATE, 1.0)[:, :]
    assert (followed[:, RATE // 2 + BLOCK :].abs() <= output[:, RATE // 2 + BLOCK :].abs() * 1.001).all()
