"""Files as other programs write and read them."""

import json
import math
import os
import threading
import tracemalloc
from contextlib import contextmanager

import av
import numpy as np
import pytest
import soundfile
import torch

from stylus_ops.audio import files
from stylus_ops.audio.backend import resample
from stylus_ops.audio.files import FORMATS, read_audio, spool_audio, tags_fit, write_audio
from stylus_ops.audio.lazy import Scaled
from tests.unit.signals import melody, snr, tones

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


def join(target, *paths):
    target.write_bytes(b"".join(path.read_bytes() for path in paths))


@pytest.mark.parametrize(("suffix", "subtype"), [("ogg", "VORBIS"), ("ogg", "OPUS"), ("flac", "PCM_24")])
@pytest.mark.parametrize("lengths", [(2.0, 2.0), (1.0, 2.0, 1.5), (2.0, 1.0)])
def test_recordings_joined_in_one_file_are_read_one_after_the_other(tmp_path, suffix, subtype, lengths):
    """As `cat` or a radio recorder joins them."""
    names = [tmp_path / f"{number}.{suffix}" for number in range(len(lengths))]
    for number, seconds in enumerate(lengths):
        clip = melody(seconds, 48000)[0] * (0 if number == 0 else 1 / number)  # its bytes say little about a place
        soundfile.write(names[number], clip.t().numpy(), 48000, subtype=subtype)
    joined = tmp_path / f"joined.{suffix}"
    join(joined, *names)
    wanted = torch.cat([read_audio(name)[0] for name in names], -1)
    whole, rate = read_audio(joined)
    assert rate == 48000
    assert torch.equal(whole, wanted)
    for start, duration in ((0, 0.5), (0.25, 0.5), (0.75, 0.125), (0.5, 2), (2.25, 0), (2.125, 0.5)):
        first, last = (round(48000 * place) for place in (start, start + duration if duration else 10))
        part, _ = read_audio(joined, start, duration)
        torch.testing.assert_close(part, wanted[..., first:last], rtol=0, atol=1e-3)
    with pytest.raises(ValueError, match=rf"'{joined.name}' holds no sound after 9 s"):
        read_audio(joined, start=9)


def test_the_same_ogg_twice_and_one_of_the_same_serial_number(tmp_path):
    """The count of the last recording is then taken for that of the first by libsndfile."""
    soundfile.write(tmp_path / "a.ogg", melody(2.0, 44100)[0].t().numpy(), 44100)
    join(tmp_path / "b.ogg", tmp_path / "a.ogg", tmp_path / "a.ogg")
    whole, _ = read_audio(tmp_path / "a.ogg")
    assert torch.equal(read_audio(tmp_path / "b.ogg")[0], torch.cat([whole, whole], -1))


@pytest.mark.parametrize("suffix", ["ogg", "flac"])
def test_joined_recordings_of_other_rates_and_channels_become_like_the_first(tmp_path, suffix):
    soundfile.write(tmp_path / f"a.{suffix}", tones(1.0, 44100)[0].t().numpy(), 44100)
    soundfile.write(tmp_path / f"b.{suffix}", tones(2.0, 32000)[0, 0].numpy(), 32000)
    join(tmp_path / f"c.{suffix}", *(tmp_path / f"{name}.{suffix}" for name in "aba"))
    whole, rate = read_audio(tmp_path / f"c.{suffix}")
    assert (whole.shape, rate) == ((1, 2, 4 * 44100), 44100)
    second = math.sqrt(0.5) * resample(tones(2.0, 32000)[:, :1], 32000, 44100)  # FFmpeg keeps the power of mono
    assert snr(second[..., 4410:-4410], whole[:, :1, 48510:127890]) > 20
    part, _ = read_audio(tmp_path / f"c.{suffix}", start=1.5, duration=2)
    assert snr(whole[..., 66150:154350], part) > 40


@pytest.mark.parametrize("suffix", ["ogg", "flac"])
def test_a_recording_that_is_joined_and_damaged_is_passed_over(tmp_path, suffix, capfd):
    soundfile.write(tmp_path / f"a.{suffix}", melody(2.0, 44100)[0].t().numpy(), 44100)
    whole, _ = read_audio(tmp_path / f"a.{suffix}")
    content = (tmp_path / f"a.{suffix}").read_bytes()
    for damaged in (content[:40], content[:40] + bytes(5000)):
        (tmp_path / f"b.{suffix}").write_bytes(content + damaged + content)
        assert torch.equal(read_audio(tmp_path / f"b.{suffix}")[0], torch.cat([whole, whole], -1))
        (tmp_path / f"b.{suffix}").write_bytes(content + damaged)
        assert torch.equal(read_audio(tmp_path / f"b.{suffix}")[0], whole)
    assert tuple(capfd.readouterr()) == ("", "")


def test_a_head_is_found_wherever_it_lies(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "SCANNED_BYTES", 1)
    write_audio(tmp_path / "a.flac", melody(0.1, 8000)[0], 8000)
    join(tmp_path / "b.flac", tmp_path / "a.flac", tmp_path / "a.flac")
    assert read_audio(tmp_path / "b.flac")[0].shape == (1, 2, 1600)


@pytest.mark.parametrize(("container", "codec"), [("ogg", "flac"), ("flac", "flac")])
def test_joined_recordings_that_only_ffmpeg_reads_are_read_from_any_place(tmp_path, container, codec):
    """Ogg FLAC, and flacs that were written into a pipe."""
    clip = melody(3.0, 44100)[0]
    with av.open(str(tmp_path / "a"), "w", format=container) as file:
        stream = file.add_stream(codec, rate=44100, layout="stereo")
        frame = av.AudioFrame.from_ndarray(clip.t().reshape(1, -1).numpy(), format="flt", layout="stereo")
        frame.sample_rate, frame.pts = 44100, 0
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    content = bytearray((tmp_path / "a").read_bytes())
    if container == "flac":
        content[21:26] = bytes([content[21] & 0xF0, 0, 0, 0, 0])
    (tmp_path / "b").write_bytes(content * 2)
    whole, _ = read_audio(tmp_path / "b")
    assert snr(torch.cat([clip, clip], -1)[None], whole) > 60
    for start, duration in ((2, 2), (4.5, 1), (5.9, 0)):
        part, _ = read_audio(tmp_path / "b", start, duration)
        assert torch.equal(part, whole[..., round(start * 44100) :][..., : round(duration * 44100) or None])


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_a_wav_that_says_it_is_empty_is_read_to_its_end(tmp_path, subtype):
    """As it is written into a pipe, or by a program that was killed."""
    soundfile.write(tmp_path / "a.wav", melody(1.0, 44100)[0].t().numpy(), 44100, subtype=subtype)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = bytes(4)
    (tmp_path / "b.wav").write_bytes(content)
    content[4:8] = bytes(4)
    (tmp_path / "c.wav").write_bytes(content)
    for part in ((0, 0), (0.25, 0.5)):
        wanted, _ = read_audio(tmp_path / "a.wav", *part)
        assert torch.equal(read_audio(tmp_path / "b.wav", *part)[0], wanted)
        assert torch.equal(read_audio(tmp_path / "c.wav", *part)[0], wanted)


@pytest.mark.skipif(os.name != "posix", reason="all names are UTF-8 on Windows")
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_name_that_is_not_utf_8_is_a_name(tmp_path, suffix):
    write_audio(tmp_path / f"a.{suffix}", melody(0.5, 48000)[0], 48000)
    path = tmp_path / os.fsdecode(b"caf\xe9." + suffix.encode())
    try:
        (tmp_path / f"a.{suffix}").rename(path)
    except OSError:
        pytest.skip("the file system refuses it")
    assert read_audio(path)[0].shape[-1] == 24000


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
    with pytest.raises(ValueError, match=f"'{name}' can't be read as audio"):
        read_audio(tmp_path / name)


@pytest.mark.parametrize("name", ["a.m4a", "a.mp4", "a.mov", "a.mkv", "a.webm", "a.avi", "a.wv", "a.mp3", "a.flac"])
def test_tags_that_are_not_utf_8_do_not_matter(tmp_path, name):
    codec = {"webm": "libopus", "wv": "wavpack", "mp3": "libmp3lame", "flac": "flac"}
    rate, tag = 48000, "a tag to be misspelt"
    with av.open(str(tmp_path / name), "w") as container:
        container.metadata["title"] = tag
        stream = container.add_stream(codec.get(name.partition(".")[2], "aac"), rate=rate, layout="stereo")
        frame = av.AudioFrame.from_ndarray(
            tones(1.0, rate)[0].t().reshape(1, -1).numpy(), format="flt", layout="stereo"
        )
        frame.sample_rate, frame.pts = rate, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    content = (tmp_path / name).read_bytes()
    assert tag.encode() in content
    (tmp_path / f"b{name}").write_bytes(content.replace(tag.encode(), b"\xe9" * len(tag)))
    assert torch.equal(read_audio(tmp_path / name)[0], read_audio(tmp_path / f"b{name}")[0])


def test_an_unknown_codec_is_refused_in_words(tmp_path):
    write_with_ffmpeg(tmp_path / "a.mka", "aac", tones(1.0, 44100)[0], 44100)
    (tmp_path / "b.mka").write_bytes((tmp_path / "a.mka").read_bytes().replace(b"A_AAC", b"A_XYZ"))
    with pytest.raises(ValueError, match=r"'b\.mka' has its sound in a codec that is not known"):
        read_audio(tmp_path / "b.mka")


def test_a_raw_file_is_refused_unless_it_is_another_format(tmp_path):
    (tmp_path / "a.raw").write_bytes(np.random.default_rng(0).bytes(50_000))
    with pytest.raises(ValueError, match=r"'a\.raw' can't be read as audio"):
        read_audio(tmp_path / "a.raw")
    write_audio(tmp_path / "a.wav", tones(1.0, 44100)[0], 44100)
    (tmp_path / "a.wav").rename(tmp_path / "b.raw")
    assert read_audio(tmp_path / "b.raw")[0].shape == (1, 2, 44100)


def test_a_claimed_length_takes_no_memory(tmp_path):
    clip = tones(1.0, 44100)
    write_audio(tmp_path / "a.flac", clip[0], 44100)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    content[21:26] = bytes([content[21] & 0xF0, 0xFF, 0xFF, 0xFF, 0xFF])  # 36 bits of the header: samples in all
    (tmp_path / "b.flac").write_bytes(content)
    write_audio(tmp_path / "a.mp3", clip[0], 44100)
    content = bytearray((tmp_path / "a.mp3").read_bytes())
    place = max(content.find(b"Info"), content.find(b"Xing")) + 8
    content[place : place + 4] = b"\xff" * 4
    (tmp_path / "b.mp3").write_bytes(content)
    for name in ("flac", "mp3"):
        tracemalloc.start()
        got, _ = read_audio(tmp_path / f"b.{name}")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert 44100 <= got.shape[-1] <= 44100 + 2 * MP3_FRAME
        assert snr(clip, got[..., :44100]) > 15
        assert peak < 200e6
        with pytest.raises(ValueError, match="no sound after 1000 s"):
            read_audio(tmp_path / f"b.{name}", start=1000)


@pytest.mark.parametrize(("place", "channels"), [(22, 0), (22, 0xFFFF)])
def test_a_count_of_channels_that_cannot_be_is_refused_in_words(tmp_path, place, channels):
    write_audio(tmp_path / "a.wav", tones(1.0, 44100)[0], 44100, "16")
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[place : place + 2] = channels.to_bytes(2, "little")
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(ValueError, match=r"'a\.wav' (can't be read|has its sound in)"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("sample", "words"), [(1e18, "is not audio"), (3e38, "is not audio"), (math.nan, "NaN"), (-math.inf, "infinite")]
)
def test_samples_that_no_sound_has_are_refused_in_words(tmp_path, sample, words):
    samples = np.zeros((100, 2), np.float32)
    samples[50, 1] = sample
    soundfile.write(tmp_path / "a.wav", samples, 44100, subtype="FLOAT")
    with pytest.raises(ValueError, match=rf"'a\.wav' .*{words}"):
        read_audio(tmp_path / "a.wav")


def test_a_loud_file_of_floats_is_audio(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full((100, 2), 32768.0, np.float32), 44100, subtype="FLOAT")
    assert read_audio(tmp_path / "a.wav")[0].max() == 32768


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
    with pytest.raises(
        ValueError, match=r"'a\.mp3' can't be read as audio.*: export it again, or choose another file$"
    ):
        read_audio(tmp_path / "a.mp3")


def test_a_recording_without_samples_is_refused_in_words(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros((0, 2)), 44100)
    with pytest.raises(ValueError, match="holds no sound: export it again, or choose another file"):
        read_audio(tmp_path / "a.wav")


def test_a_start_behind_the_end_is_refused_in_words(tmp_path):
    write_audio(tmp_path / "a.wav", melody(0.2, 44100)[0], 44100)
    with pytest.raises(ValueError, match="no sound after 7 s"):
        read_audio(tmp_path / "a.wav", start=7)
    with pytest.raises(ValueError, match="start is -1: choose a number from 0 to 86400 s"):
        read_audio(tmp_path / "a.wav", start=-1)
    with pytest.raises(ValueError, match="duration is nan: choose a number from 0 to 86400 s"):
        read_audio(tmp_path / "a.wav", duration=math.nan)


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


def test_a_file_that_is_there_is_kept_unless_it_may_be_overwritten(tmp_path):
    path = tmp_path / "take.flac"
    path.write_text("a user's")
    with pytest.raises(FileExistsError, match="exists by now: choose another name"):
        write_audio(path, tones(0.1, 44100)[0], 44100, overwrite=False)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("take.flac", "a user's")]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.flac"
    path.write_bytes(b"old")
    with pytest.raises(
        ValueError, match=r"'a\.flac' can't be written as flac at 10000000 Hz .*: choose another format$"
    ):
        write_audio(path, torch.zeros(2, 100), 10_000_000)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def file_size_limit():
    """Files beyond the size given to it can't be written, as on a full disk."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", ["a.flac", "a.wav", "a.mp3", "a.opus"])
@pytest.mark.parametrize("size", [0, 1000, 40_000])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, file_size_limit, name, size):
    path = tmp_path / name
    path.write_bytes(b"old")
    clip = torch.from_numpy(np.random.default_rng(0).normal(0, 0.2, (2, 3 * 44100)).astype(np.float32))
    file_size_limit(size)
    with pytest.raises(OSError, match=rf"'{name}' can't be written to the folder .* \(File too large\): choose"):
        write_audio(path, clip, 44100)
    file_size_limit(1 << 30)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def somebody(tmp_path, monkeypatch):
    """Not the superuser, whom the modes of files don't stop; the working folder is `tmp_path`."""
    if not hasattr(os, "geteuid"):
        pytest.skip("needs file modes")
    monkeypatch.chdir(tmp_path)
    user = os.geteuid()

    @contextmanager
    def become():
        if user == 0:
            os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(user)

    return become


def test_a_read_only_folder_is_named(tmp_path, somebody):
    tmp_path.chmod(0o555)
    with (
        somebody(),
        pytest.raises(OSError, match=r"'a\.wav' can't be written to the folder .* \(Permission denied\): choose"),
    ):
        write_audio("a.wav", torch.zeros(1, 100), 44100)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_may_not_be_read_says_so(tmp_path, somebody):
    write_audio(tmp_path / "a.wav", torch.zeros(1, 100), 44100)
    (tmp_path / "a.wav").chmod(0)
    tmp_path.chmod(0o755)
    with somebody(), pytest.raises(ValueError, match=r"'a\.wav' can't be read as audio \(Permission denied\)"):
        read_audio("a.wav")


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.mka"])
def test_a_file_that_goes_while_it_is_read_ends_in_its_sound_or_in_words(tmp_path, name):
    """It is deleted, cut and put back all the time."""
    path, whole = tmp_path / name, tmp_path / f"whole-{name}"
    if name == "a.mka":
        write_with_ffmpeg(whole, "aac", tones(3.0, 44100)[0], 44100)
    else:
        write_audio(whole, tones(3.0, 44100)[0], 44100)
    content, wanted, stop = whole.read_bytes(), read_audio(whole)[0], threading.Event()

    def disturb():
        while not stop.is_set():
            path.write_bytes(content)
            path.unlink()
            path.write_bytes(content)
            os.truncate(path, len(content) // 3)

    thread = threading.Thread(target=disturb)
    thread.start()
    heard, refusals = [], []
    try:
        for _ in range(40):
            try:
                heard.append(read_audio(path)[0])
            except (ValueError, FileNotFoundError) as error:
                refusals.append(str(error))
    finally:
        stop.set()
        thread.join()
    # Read in the moment in which its first frame isn't there, an mp3 can't know what the encoder put around the sound.
    most = wanted.shape[-1] + (2 * 1152 if name == "a.mp3" else 0)
    assert all(repr(name) in words for words in refusals)
    assert all(sound.isfinite().all() and sound.shape[-1] <= most for sound in heard)


def test_no_library_prints_its_remarks_over_damage(tmp_path, capfd):
    """They would stand before the report of --json. SDS is libsndfile's, which does that."""
    path = tmp_path / "dump.sds"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.2, 0.2, 8000), 8000, format="SDS", subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[1000:1300] = bytes(300)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"'dump\.sds' can't be read as audio"):
        read_audio(path)
    assert tuple(capfd.readouterr()) == ("", "")


def test_tags_too_large_for_a_flac_are_refused_and_fit_elsewhere(tmp_path):
    tags = {"workflow": "x" * (1 << 24)}
    assert [name for name in FORMATS if not tags_fit(name, tags)] == ["flac"]
    with pytest.raises(ValueError, match="tags are too large for a flac"):
        write_audio(tmp_path / "a.flac", torch.zeros(1, 100), 44100, tags=tags)
    assert list(tmp_path.iterdir()) == []
    largest = {"workflow": "x" * ((1 << 24) - 256 - len("workflow=") - 4)}
    assert tags_fit("flac", largest)
    write_audio(tmp_path / "a.flac", torch.zeros(1, 100), 44100, tags=largest)
    assert tags_of(tmp_path / "a.flac")["workflow"] == largest["workflow"]
    write_audio(tmp_path / "a.wav", torch.zeros(1, 100), 44100, tags=tags)
    assert json.loads(tags_of(tmp_path / "a.wav")["comment"]) == tags


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    with pytest.raises(OSError, match=r"'a\.wav' can't be written to the folder .*: choose another name or folder$"):
        write_audio(tmp_path / "lost" / "a.wav", torch.zeros(1, 100), 44100)


@pytest.mark.parametrize("suffix", ["flac", "mp3", "opus"])
def test_spooled_samples_are_those_read(tmp_path, suffix):
    path = tmp_path / f"clip.{suffix}"
    write_audio(path, melody(3.0, 48000)[0], 48000)
    waveform, rate = read_audio(path, 0.5, 2.0)
    spool = spool_audio(path, tmp_path, 0.5, 2.0)
    assert (spool.sample_rate, spool.shape) == (rate, tuple(waveform[0].shape))
    assert torch.equal(spool[:, :], waveform[0])
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    with pytest.raises(ValueError, match=r"holds no sound after 9 s"):
        spool_audio(path, tmp_path, 9.0)


@pytest.mark.parametrize("suffix", ["wav", "opus"])
def test_what_is_computed_where_it_is_read_is_written_like_a_tensor(tmp_path, suffix):
    waveform = melody(3.0, 44100)[0]
    write_audio(tmp_path / f"tensor.{suffix}", waveform, 44100)
    write_audio(tmp_path / f"lazy.{suffix}", Scaled(waveform, 1.0), 44100)
    (first, rate), (second, _) = (read_audio(tmp_path / f"{name}.{suffix}") for name in ("tensor", "lazy"))
    assert rate == (48000 if suffix == "opus" else 44100)
    torch.testing.assert_close(first, second, rtol=0, atol=1e-4)
