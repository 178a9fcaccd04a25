"""Files as other programs read them, whole or not there."""

import json
import math
import os
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch

from stylus_ops.audio.backend import resample
from stylus_ops.audio.lazy import Scaled
from stylus_ops.audio.read import read_audio
from stylus_ops.audio.write import FORMATS, tags_fit, write_audio
from stylus_ops.disk import check_writable, make_folder
from tests.unit.signals import melody, snr

TAGS = {"prompt": json.dumps({"1": "\N{EIGHTH NOTE}"}), "workflow": json.dumps({"nodes": ["x" * 100_000]})}


def tags_of(path):
    with av.open(str(path)) as container:
        return {**container.metadata, **container.streams[0].metadata}


@pytest.mark.parametrize(
    ("name", "bit_depth", "channels", "rate", "decibels"),
    [
        ("a.wav", "float", 10, 8000, math.inf),
        ("a.wav", "24", 2, 192000, 115),
        ("a.wav", "16", 1, 44100, 65),
        ("a.flac", "16", 8, 44100, 65),
        ("a.FLAC", "24", 5, 8000, 115),
    ],
)
def test_lossless_formats_keep_every_sample(tmp_path, name, bit_depth, channels, rate, decibels):
    clip = melody(0.5, rate)[0, [0, 1] * 5][:channels]
    write_audio(tmp_path / name, clip, rate, bit_depth)
    samples, read_rate = soundfile.read(tmp_path / name, dtype="float32", always_2d=True)
    assert read_rate == rate
    assert samples.shape == (clip.shape[1], channels)
    assert snr(clip, torch.from_numpy(samples).t()) >= decibels


@pytest.mark.parametrize(
    ("name", "rate", "written_rate"),
    [("a.mp3", 44100, 44100), ("a.mp3", 8000, 8000), ("a.mp3", 96000, 48000), ("a.opus", 44100, 48000)],
)
def test_lossy_formats_keep_the_sound_and_its_length(tmp_path, name, rate, written_rate):
    clip = melody(3.0, rate)
    wanted = resample(clip, rate, written_rate)
    for waveform in (clip[0], Scaled(clip[0], 1.0)):
        write_audio(tmp_path / name, waveform, rate)
        got, read_rate = read_audio(tmp_path / name)
        assert (read_rate, got.shape) == (written_rate, wanted.shape)
        assert snr(wanted, got) > 15


@pytest.mark.parametrize("suffix", FORMATS)
def test_tags_are_the_files_own_and_in_a_wav_its_comment(tmp_path, suffix):
    write_audio(tmp_path / f"a.{suffix}", melody(0.2, 44100)[0], 44100, tags=TAGS)
    tags = tags_of(tmp_path / f"a.{suffix}")
    assert (json.loads(tags["comment"]) if suffix == "wav" else tags).items() >= TAGS.items()


def test_tags_too_large_for_a_flac_are_refused_and_fit_elsewhere(tmp_path):
    most = (1 << 24) - 256 - len("workflow=") - 4
    largest, beyond = {"workflow": "x" * most}, {"workflow": "x" * (most + 1)}
    assert [name for name in FORMATS if not tags_fit(name, beyond)] == ["flac"]
    with pytest.raises(ValueError, match="tags are too large for a flac"):
        write_audio(tmp_path / "a.flac", torch.zeros(1, 100), 44100, tags=beyond)
    assert list(tmp_path.iterdir()) == []
    write_audio(tmp_path / "a.flac", torch.zeros(1, 100), 44100, tags=largest)
    assert tags_of(tmp_path / "a.flac")["workflow"] == largest["workflow"]


@pytest.mark.parametrize(
    ("name", "channels", "depth"), [("a.aac", 2, "24"), ("a.mp3", 3, "24"), ("a.flac", 9, "24"), ("a.flac", 2, "float")]
)
def test_what_a_format_cannot_hold_is_refused(tmp_path, name, channels, depth):
    with pytest.raises(ValueError, match=name[-3:]):
        write_audio(tmp_path / name, torch.zeros(channels, 100), 44100, depth)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("suffix", "size"), [("flac", 0), ("wav", 1000), ("mp3", 1000), ("opus", 40_000)])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, full_disk, suffix, size):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(b"old")
    clip = torch.from_numpy(np.random.default_rng(0).normal(0, 0.2, (2, 3 * 44100)).astype(np.float32))
    with full_disk(size), pytest.raises(OSError, match=rf"'a\.{suffix}' .*File too large"):
        write_audio(path, clip, 44100)
    with pytest.raises(FileExistsError, match="exists by now"):
        write_audio(path, clip, 44100, overwrite=False)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_may_not_be_written_or_read_is_named(tmp_path, monkeypatch):
    """By anybody but the superuser, whom the modes of files don't stop."""
    pytest.importorskip("pwd", reason="needs file modes")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match=r"'a\.wav'"):
        write_audio("lost/a.wav", torch.zeros(1, 100), 44100)
    write_audio("b.wav", torch.zeros(1, 100), 44100)
    (tmp_path / "b.wav").chmod(0)
    tmp_path.chmod(0o555)
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        with pytest.raises(OSError, match=r"'a\.wav' .*Permission denied"):
            write_audio("a.wav", torch.zeros(1, 100), 44100)
        with pytest.raises(ValueError, match=r"'b\.wav' .*Permission denied"):
            read_audio("b.wav")
        with pytest.raises(ValueError, match="can't be used"):
            check_writable("output", Path("a.wav"), (".wav",))
        with pytest.raises(ValueError, match="can't be used for results"):
            make_folder(Path("new"))
    finally:
        os.seteuid(user)
        tmp_path.chmod(0o755)
    assert [path.name for path in tmp_path.iterdir()] == ["b.wav"]
