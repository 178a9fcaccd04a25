"""A recording worked on a section at a time, against the same recording as a whole."""

from functools import partial
from pathlib import Path

import pytest
import torch
from stylus_ops.audio.sections import LongRecording
from torch import Tensor

from stylus_ops.audio import sections
from stylus_ops.audio.backend import resample
from stylus_ops.audio.decode import decode
from stylus_ops.audio.geometry import PRESETS
from stylus_ops.audio.lazy import Resampled, blocks
from stylus_ops.audio.spool import Spool
from stylus_ops.audio.windows import audio_to_windows, windows_to_mel
from tests.unit.signals import melody, noise

TINY = PRESETS["tiny-256"]
SECONDS = 22.3  # five windows of the tiny preset


@pytest.fixture(autouse=True)
def two_windows_a_section(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sections, "WINDOWS", 2)


def recording(tmp_path: Path, rate: int) -> tuple[Tensor, Spool]:
    waveform = melody(SECONDS, rate)[0] + 0.1 * noise(SECONDS, rate)[0]
    spool = Spool(tmp_path, len(waveform), rate)
    for block in waveform.split(100_000, 1):
        spool.append(block)
    return waveform, spool


@pytest.mark.parametrize("rate", [44100, 48000, 11025])
def test_images_are_those_of_the_whole_recording(tmp_path: Path, rate: int) -> None:
    waveform, spool = recording(tmp_path, rate)
    images, whole = audio_to_windows(waveform[None], rate, TINY, 32)
    long = LongRecording(spool, rate, TINY, 32)
    assert (long.frames, long.starts) == (whole.frames, whole.starts)
    torch.testing.assert_close(long.peak, whole.peak, rtol=1e-4, atol=0)
    seen = torch.cat([long.images(section.own) for section in long.sections()])
    assert float((seen - images).abs().mean()) < 1e-4


@pytest.mark.parametrize(("rate", "method"), [(48000, "phase"), (44100, "gain"), (11025, "phase_pinv")])
def test_sound_is_that_of_the_whole_recording(tmp_path: Path, rate: int, method: str) -> None:
    """60 dB below the change that the images ask for: floors follow the loudest image of a section, not of the clip."""
    waveform, spool = recording(tmp_path, rate)
    images, whole = audio_to_windows(waveform[None], rate, TINY, 32)
    changed = (0.8 * images + 0.2 * images.flip(1)).clamp(0, 1)
    heard = partial(decode, method=method, loudness="none")
    expected = heard(changed, whole)[0]
    long = LongRecording(spool, rate, TINY, 32)
    output = torch.cat(list(long.decoded(lambda windows, part: heard(changed[windows], part))), 1)
    assert output.shape == waveform.shape
    change = float((expected - waveform).square().mean())
    assert change > 1e-5
    assert float((output - expected).square().mean()) < 1e-6 * change


def test_the_small_image_is_the_mean_of_the_large_one(tmp_path: Path) -> None:
    waveform, spool = recording(tmp_path, 44100)
    images, whole = audio_to_windows(waveform[None], 44100, TINY, 32)
    mel, params = LongRecording(spool, 44100, TINY, 32).mel(lambda windows: images[windows], 200)
    assert params.hop_length == 5 * TINY.hop_length
    expected = windows_to_mel(images, whole)[0]
    torch.testing.assert_close(mel[:, :40], expected[:, :200].unflatten(1, (40, 5)).mean(-1), rtol=1e-3, atol=1e-3)
    assert mel.shape[1] == pytest.approx(whole.frames / 5, abs=3)


def test_a_spool_gives_any_part_and_any_rate(tmp_path: Path) -> None:
    waveform, spool = recording(tmp_path, 48000)
    assert torch.equal(spool[:, 1000:2000], waveform[:, 1000:2000])
    assert torch.equal(spool[:, :10], waveform[:, :10])
    assert torch.equal(spool[:, -10:], waveform[:, -10:])
    assert spool[:, 10**9 : 10**9 + 5].shape == (2, 0)
    assert torch.equal(torch.cat(list(blocks(spool)), 1), waveform)
    expected = resample(waveform, 48000, 44100)
    resampled = Resampled(spool, 48000, 44100)
    torch.testing.assert_close(torch.cat(list(blocks(resampled, 100_000)), 1), expected, rtol=0, atol=1e-5)
