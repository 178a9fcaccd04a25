"""A transfer a section at a time, against the same transfer as a whole."""

from pathlib import Path

import pytest
import torch
from stylus_ops.pipeline.transfer_files import transfer_files

from benchmarks.roundtrip import snr
from stylus_ops.audio import sections
from stylus_ops.audio.files import read_audio, write_audio
from stylus_ops.engine.engine import Engine
from stylus_ops.pipeline.settings import Settings
from stylus_ops.pipeline.transfer import Transfer
from stylus_ops.tiny import RECORDINGS
from tests.unit.signals import melody, noise

SECONDS = 18.0  # four windows


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.load("tiny", "cpu", "float32")


@pytest.mark.parametrize(
    "settings",
    [Settings(steps=2), Settings(steps=2, decode="gain", tone=0.7, mix=0.8, features="cache", loudness="none")],
    ids=["defaults", "gain and tone"],
)
def test_sections_give_what_the_whole_gives(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    content = tmp_path / "content.flac"
    rise = torch.linspace(0.2, 1, round(SECONDS * 48000))
    write_audio(content, (melody(SECONDS, 48000)[0] + 0.02 * noise(SECONDS, 48000)[0]) * rise, 48000)
    reports, outputs = [], []
    for windows in (99, 2):
        monkeypatch.setattr(sections, "WINDOWS", windows)
        output, figure = tmp_path / f"{windows}.flac", tmp_path / f"{windows}.png"
        reports.append(
            transfer_files(engine, content, [RECORDINGS / "style_a.flac"], [], output, settings, figure, quiet=True)
        )
        outputs.append(read_audio(output)[0])
        assert figure.stat().st_size > 10_000
    whole, parts = reports
    assert {key: whole[key] for key in ("samples", "channels", "sample_rate", "windows")} == {
        key: parts[key] for key in ("samples", "channels", "sample_rate", "windows")
    }
    assert snr(outputs[0], outputs[1]) > 40
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".flac", ".flac", ".flac", ".png", ".png"]


def test_of_a_long_style_its_beginning_alone_is_held_at_the_level_of_the_whole(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    style = tmp_path / "style.flac"
    write_audio(style, melody(SECONDS, 48000)[0] * torch.linspace(0.2, 1, round(SECONDS * 48000)), 48000)
    run = Transfer(engine, Settings(steps=2, style_windows=2), quiet=True)
    (whole,), _ = run.read_styles([style], tmp_path)
    monkeypatch.setattr(sections, "WINDOWS", 2)
    (beginning,), (reference,) = run.read_styles([style], tmp_path)
    assert beginning.images.shape == whole.images.shape
    assert (beginning.images - whole.images).abs().max() < 1e-4
    assert beginning.spectrogram.valid_frames == whole.spectrogram.valid_frames
    assert beginning.images.untyped_storage().nbytes() < whole.images.untyped_storage().nbytes() / 5
    assert beginning.spectrogram.waveform.numel() == 0
    assert reference.waveform.shape == (2, round(SECONDS * 48000))


def test_a_bank_larger_than_is_granted_is_not_kept_unless_asked_for(engine: Engine, tmp_path: Path) -> None:
    for features, granted, policy in (
        ("auto", 1 << 30, "cache"),
        ("auto", 1000, "recompute"),
        ("cache", 1000, "cache"),
    ):
        run = Transfer(engine, Settings(steps=2, features=features), quiet=True)
        clips, _ = run.read_styles([RECORDINGS / "style_a.flac"], tmp_path)
        (capture,) = run.invert(clips, granted)
        assert run.chosen["features"] == policy
        assert (capture.bank is None) == (policy == "recompute")
