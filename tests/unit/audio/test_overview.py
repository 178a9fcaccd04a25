"""A recording at a glance."""

import pytest
import torch

from stylus_ops.audio import read
from stylus_ops.audio.overview import overview
from stylus_ops.audio.write import write_audio
from tests.unit.signals import noise


@pytest.mark.parametrize(("suffix", "rate"), [("wav", 44100), ("flac", 22050), ("mp3", 48000)])
def test_levels_stand_where_the_sound_is(tmp_path, monkeypatch, suffix, rate):
    """Read in several pieces, a loud middle third is found there."""
    monkeypatch.setattr(read, "SAMPLES_PER_PIECE", 10_001)
    wave = noise(3.0, rate)[0] * 0.01
    wave[:, rate : 2 * rate] *= 100
    path = tmp_path / f"clip.{suffix}"
    write_audio(path, wave, rate, "16")
    seconds, levels = overview(path, 30)
    assert seconds == pytest.approx(3.0, abs=0.1)
    assert levels.shape == (30,)
    assert (levels[12:18] > 0.1).all()
    assert (torch.cat([levels[:9], levels[-8:]]) < 0.05).all()


@pytest.mark.parametrize("samples", [1, 440, 441, 65536 + 10])
def test_the_last_sample_is_seen(tmp_path, samples):
    wave = torch.zeros(2, samples)
    wave[1, -1] = -0.5
    write_audio(tmp_path / "a.wav", wave, 44100)
    seconds, levels = overview(tmp_path / "a.wav", 3)
    assert seconds == samples / 44100
    assert levels[-1] == 0.5


def test_a_recording_longer_than_the_dials_reach_is_seen_to_its_end(tmp_path):
    wave = torch.zeros(1, 90_000)
    wave[0, -1] = 0.5
    write_audio(tmp_path / "days.wav", wave, 1)
    seconds, levels = overview(tmp_path / "days.wav", 10)
    assert seconds == 90_000
    assert levels.tolist() == [0] * 9 + [0.5]
