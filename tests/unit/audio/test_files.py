"""Files as other programs write and read them."""

import json
import math

import av
import numpy as np
import pytest
import soundfile
import torch

from benchmarks.roundtrip import snr
from stylus_ops.audio.backend import resample
from stylus_ops.audio.files import read_audio, write_audio
from tests.unit.signals import melody, tones

TAGS = {"prompt": json.dumps({"1": "♪"}), "workflow": json.dumps({"nodes": ["x" * 100_000]})}


def tags_of(path):
    with av.open(str(path)) as container:
        return {**container.metadata, **container.streams[0].metadata}


def write_with_ffmpeg(path, codec, clip, rate, *, sound=True, picture=False):
    """A file with the sound of `clip`, a few black frames, or both."""
    with av.open(str(path), "w") as container:
        audio = container.add_stream(codec, rate=rate, layout="stereo") if sound else None
        video = container.add_stream("mpeg4", rate=10) if picture else None
        if video:
            video.width = video.height = 64
            for _ in range(5):
                container.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))))
            container.mux(video.encode(None))
        if audio:
            frame = av.AudioFrame.from_ndarray(clip.t().reshape(1, -1).numpy(), format="flt", layout="stereo")
            frame.sample_rate = rate
            frame.pts = 0
            container.mux(audio.encode(frame))
            container.mux(audio.encode(None))


@pytest.mark.parametrize(
    ("name", "bit_depth", "channels", "decibels"),
    [
        ("a.wav", "float", 2, math.inf),
        ("a.wav", "float", 10, math.inf),
        ("a.wav", "24", 2, 115),
        ("a.wav", "16", 1, 65),
        ("a.flac", "24", 2, 115),
        ("a.flac", "16", 8, 65),
        ("a.FLAC", "24", 5, 115),
    ],
)
@pytest.mark.parametrize("rate", [8000, 44100, 192000])
def test_lossless_formats_keep_every_sample(tmp_path, name, bit_depth, channels, decibels, rate):
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
    clip = melody(1.0, rate)
    write_audio(tmp_path / name, clip[0], rate)
    got, read_rate = read_audio(tmp_path / name)
    wanted = resample(clip, rate, written_rate)
    assert read_rate == written_rate
    assert got.shape == wanted.shape
    assert snr(wanted, got) > 15


@pytest.mark.parametrize("name", ["a.flac", "a.mp3", "a.opus"])
def test_tags_are_the_files_own(tmp_path, name):
    write_audio(tmp_path / name, melody(0.2, 44100)[0], 44100, tags=TAGS)
    assert tags_of(tmp_path / name).items() >= TAGS.items()


def test_a_wav_carries_its_tags_in_the_comment(tmp_path):
    write_audio(tmp_path / "a.wav", melody(0.2, 44100)[0], 44100, tags=TAGS)
    assert json.loads(tags_of(tmp_path / "a.wav")["comment"]) == TAGS


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.opus"])
def test_a_part_is_read_as_if_all_had_been(tmp_path, name):
    write_audio(tmp_path / name, melody(3.0, 48000)[0], 48000)
    whole, rate = read_audio(tmp_path / name)
    part, _ = read_audio(tmp_path / name, start=1.25, duration=0.5)
    assert part.shape == (1, 2, rate // 2)
    assert snr(whole[..., rate * 5 // 4 : rate * 7 // 4], part) > 60
    assert read_audio(tmp_path / name, start=2.5, duration=10)[0].shape[-1] == rate // 2


@pytest.mark.parametrize(("name", "picture"), [("a.m4a", False), ("a.mp4", True)])
def test_video_and_aac_are_read_through_ffmpeg(tmp_path, name, picture):
    clip = melody(3.0, 44100)
    write_with_ffmpeg(tmp_path / name, "aac", clip[0], 44100, picture=picture)
    whole, rate = read_audio(tmp_path / name)
    assert rate == 44100
    assert snr(clip, whole[..., : clip.shape[-1]]) > 15
    part, _ = read_audio(tmp_path / name, start=1.5, duration=1.0)
    assert part.shape == (1, 2, 44100)
    assert snr(whole[..., 66150:110250], part) > 15


def test_a_start_in_matroska_is_right_within_its_timestamps_of_1_ms(tmp_path):
    write_with_ffmpeg(tmp_path / "a.mkv", "aac", melody(3.0, 44100)[0], 44100, picture=True)
    whole, _ = read_audio(tmp_path / "a.mkv")
    part, _ = read_audio(tmp_path / "a.mkv", start=1.5, duration=1.0)
    assert part.shape == (1, 2, 44100)
    assert max(snr(whole[..., first : first + 44100], part) for first in range(66150 - 44, 66150 + 45)) > 15


def test_a_flac_that_was_written_into_a_pipe_is_read_although_it_does_not_tell_its_length(tmp_path):
    clip = melody(2.0, 44100)[0, [0, 0]]
    write_with_ffmpeg(tmp_path / "a.flac", "flac", clip, 44100)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    content[21:26] = bytes([content[21] & 0xF0, 0, 0, 0, 0])  # 36 bits of the header: samples in all, 0 for unknown
    (tmp_path / "pipe.flac").write_bytes(content)
    for part in ((0, 0), (0.5, 1)):
        assert torch.equal(read_audio(tmp_path / "pipe.flac", *part)[0], read_audio(tmp_path / "a.flac", *part)[0])


def test_eight_channels_are_read_through_ffmpeg(tmp_path):
    clip = melody(0.5, 48000)[0, [0, 1] * 4] * torch.linspace(0.1, 1, 8)[:, None]
    with av.open(str(tmp_path / "a.mka"), "w") as container:
        stream = container.add_stream("flac", rate=48000, layout="7.1")
        stream.codec_context.format = "s32"
        frame = av.AudioFrame.from_ndarray(clip.t().reshape(1, -1).numpy(), format="flt", layout="7.1")
        frame.sample_rate = 48000
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert snr(clip[None], read_audio(tmp_path / "a.mka")[0]) > 100


def write_vbr(path, seconds=20.0):
    """An mp3 of quiet and loud seconds in turn, quiet first, at bit rates to match."""
    time = np.arange(round(seconds * 44100)) / 44100
    hiss = np.random.default_rng(0).normal(0, 0.2, time.size)
    with soundfile.SoundFile(path, "w", 44100, 1, format="MP3", bitrate_mode="VARIABLE") as file:
        file.write(np.where(time % 2 < 1, 0.001 * np.sin(440 * 2 * np.pi * time), hiss).astype(np.float32))
    return time.size


def without_xing(path, target):
    """The same frames of mp3 without the header that tells how many there are."""
    with av.open(str(path)) as source, av.open(str(target), "w", container_options={"write_xing": "0"}) as copy:
        stream = copy.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.size:
                packet.stream = stream
                copy.mux(packet)


MP3_FRAME = 1152


@pytest.mark.parametrize("header", [True, False])
def test_a_cut_mp3_is_as_long_as_what_is_left_of_it(tmp_path, header):
    write_vbr(tmp_path / "whole.mp3")
    if not header:
        without_xing(tmp_path / "whole.mp3", tmp_path / "bare.mp3")
    content = (tmp_path / ("whole.mp3" if header else "bare.mp3")).read_bytes()
    (tmp_path / "whole.mp3").write_bytes(content)
    (tmp_path / "cut.mp3").write_bytes(content[: len(content) // 2])
    whole, cut = (read_audio(tmp_path / name)[0] for name in ("whole.mp3", "cut.mp3"))
    assert 9 * 44100 < cut.shape[-1] < 11 * 44100
    sure = cut.shape[-1] - 2 * MP3_FRAME
    assert torch.equal(cut[..., :sure], whole[..., :sure])
    assert torch.equal(cut, read_audio(tmp_path / "cut.mp3")[0])
    with pytest.raises(ValueError, match=r"'cut\.mp3' holds no sound after 15 s"):
        read_audio(tmp_path / "cut.mp3", start=15)


@pytest.mark.parametrize("suffix", [".mp3", ".mp2"])
def test_a_stream_that_does_not_tell_its_length_holds_its_own_sound_and_no_more(tmp_path, suffix):
    """No header with the encoder's delay either: as in FFmpeg, that is heard before the sound."""
    clip = melody(2.0, 44100)
    write_with_ffmpeg(tmp_path / f"a{suffix}", "libmp3lame" if suffix == ".mp3" else "mp2", clip[0], 44100)
    without_xing(tmp_path / f"a{suffix}", tmp_path / f"bare{suffix}")
    got, _ = read_audio(tmp_path / f"bare{suffix}")
    with av.open(str(tmp_path / f"bare{suffix}")) as container:
        frames = sum(bool(packet.size) for packet in container.demux(container.streams.audio[0]))
    assert got.shape[-1] == frames * MP3_FRAME
    assert got.shape[-1] - clip.shape[-1] <= 3 * MP3_FRAME
    delay = max(range(2 * MP3_FRAME), key=lambda delay: float((clip[0, 0, :44100] * got[0, 0, delay:][:44100]).sum()))
    assert snr(clip[..., :66150], got[..., delay : delay + 66150]) > 15


def test_an_mp3_of_changing_bit_rate_is_read_to_its_end(tmp_path):
    length = write_vbr(tmp_path / "a.mp3")
    assert read_audio(tmp_path / "a.mp3")[0].shape[-1] == pytest.approx(length, abs=2 * MP3_FRAME)
    without_xing(tmp_path / "a.mp3", tmp_path / "bare.mp3")
    assert read_audio(tmp_path / "bare.mp3")[0].shape[-1] == pytest.approx(length, abs=3 * MP3_FRAME)
    (tmp_path / "twice.mp3").write_bytes((tmp_path / "a.mp3").read_bytes() * 2)
    assert read_audio(tmp_path / "twice.mp3")[0].shape[-1] == pytest.approx(2 * length, abs=4 * MP3_FRAME)


@pytest.mark.parametrize("name", ["a.mp3", "bare.mp3", "a.mp2"])
def test_a_part_of_an_mpeg_stream_is_that_part_to_the_sample(tmp_path, name):
    write_vbr(tmp_path / "a.mp3")
    without_xing(tmp_path / "a.mp3", tmp_path / "bare.mp3")
    write_with_ffmpeg(tmp_path / "a.mp2", "mp2", tones(20.0, 44100)[0], 44100)
    whole, _ = read_audio(tmp_path / name)
    part, _ = read_audio(tmp_path / name, start=12.5, duration=3)
    assert snr(whole[..., 551250:683550], part) > 60


PLAYLISTS = {
    "a.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{url}\n#EXT-X-ENDLIST\n",
    "b.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{name}\n#EXT-X-ENDLIST\n",
    "a.ffconcat": "ffconcat version 1.0\nfile {name}\n",
    "a.mp3": "ffconcat version 1.0\nfile {name}\n",
    "a.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-main'
    ':2011" type="static" mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="audio/mp4">'
    '<Representation id="0" bandwidth="9"><BaseURL>{name}</BaseURL></Representation></AdaptationSet></Period></MPD>',
    "a.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=a\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
}


@pytest.mark.parametrize("name", PLAYLISTS)
@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".m4a"])
def test_a_file_that_names_others_opens_none_of_them(tmp_path, name, suffix):
    target = tmp_path / f"private{suffix}"
    clip = melody(2.0, 44100)[0]
    if suffix == ".m4a":
        write_with_ffmpeg(target, "aac", clip, 44100)
    else:
        write_audio(target, clip, 44100)
    (tmp_path / name).write_text(PLAYLISTS[name].format(url=target.as_uri(), name=target.name))
    with pytest.raises(ValueError, match=f"'{name}' cannot be read as audio"):
        read_audio(tmp_path / name)


def test_a_name_with_a_colon_is_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clip = melody(0.5, 44100)
    write_audio("concat:a.mp3", clip[0], 44100)
    write_audio("data:,a.flac", clip[0], 44100)
    assert read_audio("concat:a.mp3")[0].shape == clip.shape
    assert read_audio("data:,a.flac")[0].shape == clip.shape


def test_a_video_without_sound_is_refused_in_words(tmp_path):
    write_with_ffmpeg(tmp_path / "a.mp4", "aac", None, 44100, sound=False, picture=True)
    with pytest.raises(ValueError, match=r"'a\.mp4' has no audio stream"):
        read_audio(tmp_path / "a.mp4")


@pytest.mark.parametrize("content", [b"", b"not a recording at all" * 100])
def test_a_file_that_is_no_recording_is_refused_in_words(tmp_path, content):
    (tmp_path / "a.mp3").write_bytes(content)
    with pytest.raises(ValueError, match=r"'a\.mp3' cannot be read as audio"):
        read_audio(tmp_path / "a.mp3")


def test_a_recording_without_samples_is_refused_in_words(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros((0, 2)), 44100)
    with pytest.raises(ValueError, match="holds no sound"):
        read_audio(tmp_path / "a.wav")


def test_a_start_behind_the_end_is_refused_in_words(tmp_path):
    write_audio(tmp_path / "a.wav", melody(0.2, 44100)[0], 44100)
    with pytest.raises(ValueError, match="no sound after 7 s"):
        read_audio(tmp_path / "a.wav", start=7)
    with pytest.raises(ValueError, match="0 or more"):
        read_audio(tmp_path / "a.wav", start=-1)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"'lost\.wav' does not exist"):
        read_audio(tmp_path / "lost.wav")


@pytest.mark.parametrize(
    ("name", "channels", "bit_depth", "words"),
    [
        ("a.aac", 2, "24", "end it in .flac, .wav, .mp3, .opus"),
        ("a.mp3", 3, "24", "at most 2 channels"),
        ("a.flac", 9, "24", "at most 8 channels"),
        ("a.flac", 2, "float", "flac has 24, 16"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_in_words(tmp_path, name, channels, bit_depth, words):
    with pytest.raises(ValueError, match=words):
        write_audio(tmp_path / name, torch.zeros(channels, 100), 44100, bit_depth)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.flac"
    path.write_bytes(b"old")
    with pytest.raises(av.FFmpegError):
        write_audio(path, torch.zeros(2, 100), 10_000_000)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    with pytest.raises(OSError, match="cannot write to the folder"):
        write_audio(tmp_path / "lost" / "a.wav", torch.zeros(1, 100), 44100)
