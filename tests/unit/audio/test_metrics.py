"""Every metric on recordings for which its value is known."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from stylus_ops.audio.geometry import PRESETS
from stylus_ops.audio.mel import mel_amplitudes
from stylus_ops.audio.metrics import chroma_cosine, closed_distances, mfcc_frechet_distance, timbre
from stylus_ops.evaluation.measure import clipped_share, loudness_difference, spectral_convergence
from stylus_ops.evaluation.notes import Notes, onset_f1, raw_pitch_accuracy, tempo_difference
from tests.unit.signals import noise

RATE = 22050
BEAT = 0.5  # seconds
MELODY = (60, 64, 67, 72, 71, 67, 65, 62)  # MIDI keys
FLUTE = (1.0, 0.1, 0.02)
OBOE = (1.0, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.3)


def play(keys: Sequence[float], partials: tuple[float, ...], beat: float = BEAT) -> Tensor:
    """[1, T]: one plucked note a beat."""
    time = torch.arange(int(beat * RATE)) / RATE
    envelope = torch.exp(-3 * time / beat) * (1 - torch.exp(-time / 0.003))
    number = torch.arange(1, len(partials) + 1)[:, None]
    phases = (2 * torch.pi * 440 * 2 ** ((key - 69) / 12) * number * time for key in keys)
    melody = torch.cat([torch.tensor(partials) @ torch.sin(phase) * envelope for phase in phases])
    return (0.3 * melody / melody.abs().max())[None]


FLUTE_MELODY = play(MELODY, FLUTE)
OBOE_MELODY = play(MELODY, OBOE)
SAMPLES = FLUTE_MELODY.shape[1]
HISS = noise(SAMPLES / RATE, RATE, 1)[0]
FLUTE_NOTES = Notes(FLUTE_MELODY, RATE)


@pytest.mark.parametrize(("other", "kept"), [(OBOE_MELODY, True), (play([key + 6 for key in MELODY], FLUTE), False)])
def test_another_instrument_keeps_the_notes_and_a_transposed_copy_only_the_rhythm(other: Tensor, kept: bool):
    notes = Notes(other, RATE)
    assert onset_f1(FLUTE_NOTES, notes) > 0.9
    chroma, pitch = chroma_cosine(FLUTE_MELODY, other, RATE), raw_pitch_accuracy(FLUTE_NOTES, notes)
    assert (chroma > 0.8 and pitch > 0.9) if kept else (chroma < 0.3 and pitch < 0.1)


@pytest.mark.parametrize(("delay", "kept"), [(0.02, True), (0.1, False)])
def test_onsets_may_be_50_ms_late(delay: float, kept: bool):
    late = torch.nn.functional.pad(FLUTE_MELODY, (int(delay * RATE), 0))[:, :SAMPLES]
    f1 = onset_f1(FLUTE_NOTES, Notes(late, RATE))
    assert f1 > 0.9 if kept else f1 < 0.2


def test_noise_has_no_harmony_and_a_flat_spectrum():
    assert chroma_cosine(FLUTE_MELODY, HISS, RATE) < 0.6
    assert raw_pitch_accuracy(FLUTE_NOTES, Notes(HISS, RATE)) < 0.1
    assert -1 < timbre(HISS, RATE).descriptions["flatness"].item() <= 0  # dB; white noise averaged over time is flat
    assert timbre(FLUTE_MELODY, RATE).descriptions["flatness"].item() < -20


def test_tempo_difference_is_in_beats_a_minute():
    slow, faster = (Notes(play(MELODY * 2, FLUTE, beat), RATE) for beat in (BEAT, 0.4))
    assert slow.tempo == pytest.approx(120, rel=0.03)
    assert tempo_difference(slow, faster) == pytest.approx(30, abs=5)


def test_closed_distances_run_from_content_to_style():
    at_content = closed_distances(FLUTE_MELODY, OBOE_MELODY, FLUTE_MELODY, RATE)
    at_style = closed_distances(FLUTE_MELODY, OBOE_MELODY, OBOE_MELODY, RATE)
    assert at_content == dict.fromkeys(at_content, 0)
    assert at_style == dict.fromkeys(at_style, 1)
    louder = closed_distances(FLUTE_MELODY, OBOE_MELODY, 2 * OBOE_MELODY, RATE)
    assert louder == pytest.approx(at_style, abs=1e-4)
    assert np.isnan([*closed_distances(FLUTE_MELODY, FLUTE_MELODY, OBOE_MELODY, RATE).values()]).all()


def test_mfcc_fd_of_known_gaussians():
    """Of equal covariances it is the squared distance of the means; of equal means of one dimension, (s1 - s2) ** 2."""
    flute = timbre(FLUTE_MELODY, RATE)
    assert mfcc_frechet_distance(flute, flute) == pytest.approx(0, abs=1e-3)
    assert mfcc_frechet_distance(flute, flute._replace(mfcc=flute.mfcc + 2)) == pytest.approx(19 * 4, rel=1e-3)
    middle = flute.mfcc.mean(1, keepdims=True)
    wider = flute._replace(mfcc=middle + 3 * (flute.mfcc - middle))
    variance = np.trace(np.cov(flute.mfcc))
    assert mfcc_frechet_distance(flute, wider) == pytest.approx(4 * variance, rel=1e-3)


def test_spectral_convergence_of_a_realised_and_of_an_unrelated_request():
    params = PRESETS["tiny-256"]
    requested = mel_amplitudes(FLUTE_MELODY[None], params)[0]
    sounds = (FLUTE_MELODY, 0.1 * FLUTE_MELODY, HISS, 0 * FLUTE_MELODY)
    same, quiet, hiss, silent = (spectral_convergence(requested, it, params.sample_rate, params) for it in sounds)
    assert same == pytest.approx(0, abs=1e-5) == quiet
    assert hiss > 0.7
    assert silent == 1


def test_clipping_and_loudness():
    clip = FLUTE_MELODY.clone()
    assert clipped_share(clip) == 0
    clip[:, : SAMPLES // 4] = -1
    assert clipped_share(clip) == pytest.approx(0.25, abs=1e-3)
    assert loudness_difference(FLUTE_MELODY, 2 * FLUTE_MELODY, RATE) == pytest.approx(6.02, abs=0.01)
    assert np.isnan(loudness_difference(FLUTE_MELODY, 0 * FLUTE_MELODY, RATE))
