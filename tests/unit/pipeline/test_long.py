"""What a long recording changes inside, sections, features on disk, precision, can't be told from the result."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from stylus_ops.audio import windows
from stylus_ops.audio.backend import resample
from stylus_ops.audio.geometry import PRESETS
from stylus_ops.audio.mel import mel_amplitudes
from stylus_ops.audio.read import read_audio
from stylus_ops.audio.write import write_audio
from stylus_ops.diffusion.features import Style
from stylus_ops.engine.engine import Engine
from stylus_ops.pipeline import transfer
from stylus_ops.pipeline.settings import Settings
from stylus_ops.pipeline.transfer import Files, Transfer, transfer_files
from stylus_ops.tiny import RECORDINGS
from tests.unit.signals import melody, noise, snr

SECONDS = 10.0  # three windows, the last of which lies over both others
STYLE = RECORDINGS / "style_a.flac"


@pytest.fixture(scope="module")
def engine(small_prior: Path) -> Engine:
    return Engine.load(str(small_prior), "cpu", "float32")


def rising(path: Path) -> Path:
    rise = torch.linspace(0.2, 1, round(SECONDS * 22050))
    write_audio(path, (melody(SECONDS, 22050)[0, :1] + 0.02 * noise(SECONDS, 22050, 1)[0]) * rise, 22050)
    return path


def test_sections_give_what_the_whole_gives(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = rising(tmp_path / "content.flac")
    settings = Settings(steps=2, decode="gain", tone=0.7, mix=0.8, loudness="none", style_duration=2)
    reports, outputs = [], []
    for count in (99, 1):
        monkeypatch.setattr(windows, "WINDOWS", count)
        output, figure = tmp_path / f"{count}.wav", tmp_path / f"{count}.png"
        files = Files(content, [STYLE], output, figure=figure)
        reports.append(transfer_files(engine, files, settings, quiet=True))
        outputs.append(read_audio(output)[0])
        assert figure.stat().st_size > 10_000
    for key in ("samples", "channels", "sample_rate", "windows"):
        assert reports[0][key] == reports[1][key]
    assert snr(*outputs) > 100
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".flac", ".png", ".png", ".wav", ".wav"]


def latents(engine: Engine, folder: Path) -> tuple[dict[str, Any], Tensor, int]:
    """What was chosen for a transfer, its result, and the bytes of its features."""
    run = Transfer(engine, Settings(steps=3), folder, quiet=True)
    inversion, capture = run.invert(run.read(RECORDINGS / "melody.flac", [STYLE]))
    kept = sum(features.nbytes for clip in (inversion, capture) for node in clip.bank or () for features in node)
    return run.chosen, run.restyle(inversion, Style((capture,), (1.0,))), kept


def test_features_on_disk_change_no_bit_and_bfloat16_changes_little(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few windows stay in float32, the same on every machine, also where the CPU multiplies bfloat16."""
    chosen, plain, kept = latents(engine, tmp_path)
    assert (chosen["features"], chosen["dtype"]) == ("cache", "float32")
    monkeypatch.setattr(engine, "mixed", True)
    monkeypatch.setattr(transfer, "LARGEST_BANK", 0)
    chosen, few, _ = latents(engine, tmp_path)
    assert (chosen["features"], chosen["dtype"]) == ("disk", "float32")
    assert torch.equal(few, plain)
    monkeypatch.setattr(transfer, "MANY_WINDOWS", 2)
    monkeypatch.setattr(transfer, "LARGEST_BANK", kept * 3 // 4)
    chosen, many, halved = latents(engine, tmp_path)
    assert (chosen["features"], chosen["dtype"], halved) == ("cache", "bfloat16", kept // 2)
    assert 30 < snr(plain, many) < 80


def test_of_a_long_style_the_beginning_is_taken_at_the_level_of_the_whole(engine: Engine, tmp_path: Path) -> None:
    style = rising(tmp_path / "style.flac")
    run = Transfer(engine, Settings(style_windows=2), tmp_path, quiet=True)
    clip = run.read(STYLE, [style])[1].recording
    whole = Transfer(engine, Settings(), tmp_path, quiet=True).read(STYLE, [style])[1].recording
    assert (len(clip.starts), len(whole.starts)) == (2, 3)
    assert torch.equal(clip.peak, whole.peak)
    assert torch.equal(clip.images(slice(0, 2)), whole.images(slice(0, 2)))


def test_neighbouring_frames_differ_no_more_where_windows_join_than_elsewhere(tmp_path: Path) -> None:
    waveform, rate = read_audio(RECORDINGS / "melody.flac")
    write_audio(tmp_path / "twice.wav", waveform[0].repeat(1, 2), rate)
    run, params = Transfer(Engine.load("tiny", "cpu"), Settings(steps=2), tmp_path, quiet=True), PRESETS["tiny-256"]
    content, style = run.read(tmp_path / "twice.wav", [STYLE])
    inversion, capture = run.invert([content, style])
    output = run.decode(run.restyle(inversion, Style((capture,), (1.0,))), content, [style])[:, :]
    mel = mel_amplitudes(resample(output, rate, params.sample_rate)[None], params)[0]
    level, joined = 20 * mel.clamp(min=1e-3 * float(mel.max())).log10(), torch.zeros(mel.shape[1] - 1, dtype=torch.bool)
    for earlier, later in pairwise(content.recording.starts):
        joined[later - 1 : earlier + params.width] = True
    assert joined.any()
    for step in (mel.diff().norm(dim=0), level.diff().abs().mean(0)):
        assert step[joined].median() < 1.2 * step[~joined].median()
