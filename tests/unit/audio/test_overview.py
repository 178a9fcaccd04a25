"""A recording at a glance."""

import pytest
import torch

from stylus_ops.audio import read
from stylus_ops.audio.overview import overview
from stylus_ops.audio.write import write_audio
from tests.unit.signals import noise


@pytest.mark.parametrize(("suffix", "rate"), [("wav", 44100), ("flac", 22050), ("mp3", 48000)])
def test_levels_stand_where_the_sound_is(tmp_path, monkeypatch, suffix, rate):
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


@pytest.mark.parametrize(("samples", "rate"), [(1, 44100), (440, 44100), (441, 44100), (65546, 44100), (90_000, 1)])
def test_the_last_sample_is_seen(tmp_path, samples, rate):
    """Of days too, which are longer than the dials reach."""
    wave = torch.zeros(2, samples)
    wave[1, -1] = -0.5
    write_audio(tmp_path / "a.wav", wave, rate)
    seconds, levels = overview(tmp_path / "a.wav", 3)
    assert seconds == samples / rate
    assert levels[-1] == 0.5
