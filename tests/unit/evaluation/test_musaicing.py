"""Audio mosaicing: the frames that a target was made of are found again."""

import numpy as np
import pytest
import torch

from stylus_ops.audio.metrics import chroma_cosine
from stylus_ops.evaluation.musaicing import activations, musaicing
from stylus_ops.evaluation.truth import Truth, closed_truth

RATE = 22050


def tune(keys: list[int], slope: float) -> torch.Tensor:
    """[1, T]: one key after another, a third of a second each, with harmonics that fall off as `n ** -slope`."""
    time = torch.arange(RATE // 3) / RATE
    notes = [
        sum(torch.sin(2 * torch.pi * 440 * 2 ** ((key - 69) / 12) * n * time) * n**-slope for n in range(1, 9))
        * torch.exp(-3 * time)
        for key in keys
    ]
    return 0.05 * torch.cat([torch.as_tensor(note) for note in notes])[None]


def test_a_run_of_source_frames_is_played_on_the_diagonal():
    generator = np.random.default_rng(0)
    frames = generator.gamma(0.3, size=(200, 60))
    weights = activations(frames[:, 20:40], frames, [60])
    inner = slice(4, -4)
    assert (weights.argmax(0) == np.arange(20, 40))[inner].all()
    assert ((weights > 0.01 * weights.max(0)).sum(0) <= 10).all()


def test_playing_on_never_leads_into_another_recording():
    frames = np.random.default_rng(0).gamma(0.3, size=(200, 40))
    together, apart = (activations(frames[:, :20], frames, copies) for copies in ([40], [20, 20]))
    assert together.shape == apart.shape
    assert not np.allclose(together, apart)


def test_a_tune_is_rebuilt_from_other_notes_of_the_wanted_sound():
    content, style, truth = tune([60, 64, 67, 64], 3.0), tune([62, 65, 69, 70], 0.5), tune([60, 64, 67, 64], 0.5)
    output = musaicing(content, style, RATE).waveform
    assert output.shape == content.shape
    reference = Truth(truth, RATE)
    assert closed_truth(reference.distances(content), reference.distances(output)) > 0.1
    assert chroma_cosine(truth, output, RATE) > 0.8


@pytest.mark.parametrize("channels", [1, 2])
def test_the_contents_channels_and_length_stay(channels: int):
    content = tune([60, 64], 1.0).expand(channels, -1)
    assert musaicing(content, tune([62, 65, 62], 1.0), RATE).waveform.shape == content.shape
