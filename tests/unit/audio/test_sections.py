"""A recording worked on in sections can't be told apart from the same recording worked on as a whole."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stylus_ops.audio import windows
from stylus_ops.audio.backend import resample
from stylus_ops.audio.decode import Sources, decode_band
from stylus_ops.audio.geometry import PRESETS
from stylus_ops.audio.lazy import Resampled, blocks
from stylus_ops.audio.spool import Spool
from stylus_ops.audio.tone import Reference
from stylus_ops.audio.windows import Recording, audio_to_windows
from stylus_ops.dials import Decoding
from tests.unit.signals import clicks, melody, noise, snr

PARAMS = replace(PRESETS["tiny-256"], width=64)
OVERLAP = 16
SECONDS = 5.2  # five windows


def recording(tmp_path: Path, rate: int) -> tuple[Tensor, Recording]:
    waveform = melody(SECONDS, rate)[0] + 0.1 * noise(SECONDS, rate)[0]
    spool = Spool(tmp_path, len(waveform), rate).extend(waveform.split(100_000, 1))
    return waveform, Recording.cut(spool, rate, PARAMS, OVERLAP, "pad")


@pytest.mark.parametrize("rate", [44100, 48000, 11025])
def test_images_are_those_of_the_whole_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: int) -> None:
    monkeypatch.setattr(windows, "WINDOWS", 2)
    waveform, cut = recording(tmp_path, rate)
    images, whole = audio_to_windows(waveform[None], rate, PARAMS, OVERLAP)
    assert (cut.frames, cut.starts) == (whole.frames, whole.starts)
    torch.testing.assert_close(cut.peak, whole.peak, rtol=1e-4, atol=0)
    seen = torch.cat([cut.images(section.own) for section in cut.sections()])
    assert float((seen - images).abs().mean()) < 1e-4


@pytest.mark.parametrize(
    "dials",
    [
        {},
        {"decode": "phase_pinv", "detail": 0.25, "grain": 0.0, "partials": 0.0},
        {"decode": "gain", "above_band_db": -20.0},
        {"decode": "griffin_lim", "phase_iters": 2, "grain": 0.0, "partials": 0.0},
    ],
    ids=str,
)
def test_sound_is_that_of_the_whole_recording(tmp_path, monkeypatch, dials):
    waveform, cut = recording(tmp_path, 48000)
    images = cut.images(slice(None))
    style = melody(2.0, 48000)[0] + 0.05 * noise(2.0, 48000)[0] + clicks(2.0, 48000)[0]  # keeps a beat
    sources = Sources.of([Reference(style, 48000)], [Reference(waveform, 48000)], PARAMS, Decoding(**dials))
    if sources.partials:
        sources = sources._replace(partials=sources.partials._replace(wet=0.1, struck=1.0))
    assert not sources.residual or sources.residual.loops[0].free < 0.1
    changed = (0.8 * images + 0.2 * images.flip(1)).clamp(0, 1)

    def sound(count: int) -> Tensor:
        monkeypatch.setattr(windows, "WINDOWS", count)
        parts = [
            decode_band(changed[seen], cut.part(seen), Decoding(**dials), None, sources)[0, :, kept]
            for _, seen, kept in cut.sections()
        ]
        return torch.cat(parts, 1)

    whole, sections = sound(99), sound(2)
    assert whole.shape == sections.shape == waveform.shape
    assert float((whole - waveform).square().mean()) > 1e-5
    assert snr(whole, sections) > 120


def test_any_rate_is_read_in_parts(tmp_path: Path) -> None:
    waveform, cut = recording(tmp_path, 48000)
    parts = list(blocks(Resampled(cut.waveform, 48000, 44100), 100_000))
    torch.testing.assert_close(torch.cat(parts, 1), resample(waveform, 48000, 44100), rtol=0, atol=1e-5)
