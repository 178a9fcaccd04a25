"""Every metric on recordings for which its value is known."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from stylus_ops.audio.metrics import chroma_cosine, closed_shares, highs, timbre
from stylus_ops.evaluation.measure import loudness_difference
from stylus_ops.evaluation.notes import Notes, onset_f1, raw_pitch_accuracy
from tests.unit.signals import sine

RATE = 22050
MELODY = (60, 64, 67, 72, 71, 67, 65, 62)  # MIDI keys
FLUTE = (1.0, 0.1, 0.02)
OBOE = (1.0, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.3)


def play(keys: Sequence[float], partials: tuple[float, ...]) -> Tensor:
    """[1, T]: a plucked note every half second."""
    time = torch.arange(RATE // 2) / RATE
    envelope = torch.exp(-6 * time) * (1 - torch.exp(-time / 0.003))
    number = torch.arange(1, len(partials) + 1)[:, None]
    phases = (2 * torch.pi * 440 * 2 ** ((key - 69) / 12) * number * time for key in keys)
    melody = torch.cat([torch.tensor(partials) @ torch.sin(phase) * envelope for phase in phases])
    return (0.3 * melody / melody.abs().max())[None]


FLUTE_MELODY = play(MELODY, FLUTE)
OBOE_MELODY = play(MELODY, OBOE)
FLUTE_NOTES = Notes(FLUTE_MELODY, RATE)


@pytest.mark.parametrize(("other", "kept"), [(OBOE_MELODY, True), (play([key + 6 for key in MELODY], FLUTE), False)])
def test_another_instrument_keeps_the_notes_and_a_transposed_copy_only_the_rhythm(other: Tensor, kept: bool):
    notes = Notes(other, RATE)
    assert onset_f1(FLUTE_NOTES, notes) > 0.9
    chroma, pitch = chroma_cosine(FLUTE_MELODY, other, RATE), raw_pitch_accuracy(FLUTE_NOTES, notes)
    assert (chroma > 0.8 and pitch > 0.9) if kept else (chroma < 0.3 and pitch < 0.1)


def test_closed_shares_run_from_content_to_style():
    def closed(*sounds: Tensor) -> dict[str, float]:
        return closed_shares(*(timbre(sound, RATE) for sound in sounds))

    at_content = closed(FLUTE_MELODY, OBOE_MELODY, FLUTE_MELODY)
    at_style = closed(FLUTE_MELODY, OBOE_MELODY, OBOE_MELODY)
    assert at_content == dict.fromkeys(at_content, 0)
    assert at_style == dict.fromkeys(at_style, 1)
    louder = closed(FLUTE_MELODY, OBOE_MELODY, 2 * OBOE_MELODY)
    assert louder == pytest.approx(at_style, abs=1e-4)
    assert np.isnan([*closed(FLUTE_MELODY, FLUTE_MELODY, OBOE_MELODY).values()]).all()


def test_loudness_difference():
    assert loudness_difference(FLUTE_MELODY, 2 * FLUTE_MELODY, RATE) == pytest.approx(6.02, abs=0.01)
    assert np.isnan(loudness_difference(FLUTE_MELODY, 0 * FLUTE_MELODY, RATE))


@pytest.mark.parametrize(("hertz", "level"), [(12000, -40), (15000, -40), (9000, -80), (17000, -80)])
def test_highs_are_what_lies_above_the_images(hertz: int, level: float):
    assert highs(sine(500, 1.0, 44100) + sine(hertz, 1.0, 44100, 0.01), 44100) == pytest.approx(level, abs=0.1)
    assert highs(0 * FLUTE_MELODY, RATE) == pytest.approx(-80)
