"""What the levels of a result promise: clean edges, channels in balance, a ceiling."""

import random

import numpy as np
import pytest
import torch
from torch import Tensor

from stylus_ops.audio.decode import Sources, decode
from stylus_ops.audio.finish import balanced, finish
from stylus_ops.audio.geometry import PRESETS
from stylus_ops.audio.highs import HERTZ
from stylus_ops.audio.loudness import MINUS_1_DBFS, true_peak
from stylus_ops.audio.read import read_audio
from stylus_ops.audio.tone import Reference, match_tone
from stylus_ops.audio.windows import audio_to_windows
from stylus_ops.dials import Decoding, Tone
from stylus_ops.tiny import RECORDINGS
from tests.unit.signals import melody, noise

RATE, TINY = 44100, PRESETS["tiny-256"]


def edges(waveform: Tensor) -> Tensor:
    """The largest steps between samples within 2 ms of the beginning and of the end."""
    steps, edge = waveform.diff().abs(), round(0.002 * RATE)
    return torch.stack([steps[:, :edge].max(), steps[:, -edge:].max()])


def besides(waveform: Tensor) -> Tensor:
    """The largest steps within 50 ms next to those, and the level there."""
    edge, end = round(0.002 * RATE), round(0.052 * RATE)
    parts = waveform[:, edge:end], waveform[:, -end:-edge]
    return torch.stack([torch.stack([part.diff().abs().max(), part.square().mean().sqrt()]) for part in parts], 1)


def test_no_edge_is_sharper_than_the_contents_or_than_the_sound_beside_it() -> None:
    """50 random cuts of the bundled recordings under images of each other, by turns through every decode and Match Tone."""
    recordings = [read_audio(path)[0][0] for path in sorted(RECORDINGS.glob("*.flac"))]
    ways = [Decoding(), Decoding(dynamics=0.0), Decoding(decode="gain"), Decoding(decode="phase_pinv", dynamics=0.0)]
    rng, highs = random.Random(0), (None, np.zeros(len(HERTZ)))
    for cut in range(50):
        content, style = rng.sample(recordings, 2)
        first, samples = rng.randrange(200000), rng.randrange(6000, 12000)
        content, style = (sound[:, first : first + samples] for sound in (content, style))
        if cut % 5 == 4:
            output = match_tone(content, RATE, [Reference(style, RATE)], Tone(tone=1.0)).waveform[:, :]
        else:
            (own, spectrogram), (other, _) = (audio_to_windows(sound[None], RATE, TINY) for sound in (content, style))
            output = decode((own + other) / 2, spectrogram, ways[cut % 5], None, Sources(highs=highs[cut % 2]))[0]
        (steps, level), (_, own_level) = besides(output), besides(content)
        allowed = torch.maximum(edges(content) * level / own_level.clamp(min=1e-6), steps)
        assert (edges(output) <= 1.2 * allowed + 1e-4).all(), cut


def test_channels_keep_their_levels_beside_each_other() -> None:
    content = torch.cat([0.3 * melody(1.0, RATE)[0, :1], 0.1 * noise(1.0, RATE)[0, :1]])
    shifted = content * torch.tensor([[2.0], [0.5]])
    ratio = 10 * torch.log10(balanced(shifted, content)[:, :].square().sum(1) / content.square().sum(1))
    assert 0.3 < float(ratio[0] - ratio[1]) <= 1.001
    near = content * torch.tensor([[1.05], [1.0]])
    assert torch.equal(balanced(near, content)[:, :], near)
    one_sided = content * torch.tensor([[1.0], [0.0]])
    assert float(balanced(content, one_sided)[:, :][1].abs().max()) < 1e-3
    assert torch.equal(balanced(one_sided, one_sided)[:, :], one_sided)


@pytest.mark.parametrize("dials", [{}, {"dynamics": 0.0, "loudness": "none"}, {"mix": 0.0}, {"mix": 0.5}])
def test_a_ceiling_is_kept_whatever_the_content_had(dials: dict) -> None:
    content = 3.0 * melody(1.0, RATE)[0]
    decoding = Decoding(**dials)
    assert true_peak(content, RATE) > 1
    assert true_peak(finish(1.5 * content, content, RATE, decoding, MINUS_1_DBFS), RATE) <= 1.0001 * MINUS_1_DBFS
    assert true_peak(finish(content, content, RATE, decoding), RATE) > 1
