"""Files as other programs write them, and as nobody should."""

import errno
import math
import os
import sys
import tracemalloc

import av
import numpy as np
import pytest
import soundfile
import torch

from stylus_ops.audio.read import fold_audio, read_audio, spool_audio
from stylus_ops.audio.spool import Spool
from stylus_ops.audio.write import FORMATS, write_audio
from tests.fuzz.corpus import write_bombs, write_days, write_seeds, write_with_ffmpeg
from tests.unit.signals import melody, snr, tones

MP3_FRAME = 1152
DRAWN = ("aac", "aac_latm", "ac3", "amrnb", "eac3")  # codecs whose decoders draw noise of their own


def encode(path, clip, rate, *arguments, **options):
    """`corpus.write_with_ffmpeg` of a clip `[1, C, T]`."""
    write_with_ffmpeg(path, clip[0].t().numpy(), rate, *arguments, **options)


def offset(whole, part, first, reach=100):
    """How many samples later than `first` the part lies in the whole, both `[1, C, T]`, up to `reach`."""
    part = part[0, 0, : whole.shape[-1] - first - reach]
    around = whole[0, 0, first - reach :].unfold(0, len(part), 1)[: 2 * reach]
    return int((around - part).square().sum(1).argmin()) - reach


def test_a_part_is_the_whole_cut_in_every_format(tmp_path):
    """To the sample, in memory and on disk; noise that a decoder draws may differ."""
    formats = set()
    for number, path in enumerate(write_seeds(tmp_path, 0.75)):
        start, duration = ((0.5, 0.25), (0.6, 60))[number % 2]
        try:
            whole, rate = read_audio(path)
        except ValueError as error:
            if repr(path.name) in str(error):
                continue
            raise
        first = round(start * rate)
        wanted = whole[..., first : first + round(duration * rate)]
        if wanted.shape[-1]:
            formats.add(path.suffix)
            part, _ = read_audio(path, start, duration)
            assert part.shape == wanted.shape, path.name
            spooled = spool_audio(path, tmp_path, start, duration)[:, :]
            if not (torch.allclose(part, wanted, rtol=0, atol=1e-3) and torch.equal(spooled, part[0])):
                with av.open(str(path)) as container:
                    assert container.streams.audio[0].codec_context.name in DRAWN, path.name
                assert (offset(whole, part, first), snr(wanted, part) > 15) == (0, True), path.name
    assert formats >= {".asf", ".avi", ".flac", ".flv", ".matroska", ".mov", ".mp3", ".mpegts", ".ogg", ".wav"}


@pytest.mark.parametrize("default", [0, 1])
def test_of_several_tracks_the_default_one_is_read(tmp_path, default):
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        streams = [container.add_stream("flac", rate=8000, layout="mono") for _ in range(2)]
        streams[default].disposition = av.stream.Disposition.default.value
        for number, stream in enumerate(streams):
            frame = av.AudioFrame.from_ndarray(np.full((1, 800), number / 2, np.float32), format="flt", layout="mono")
            frame.sample_rate, frame.pts = 8000, 0
            container.mux([*stream.encode(frame), *stream.encode(None)])
    assert (read_audio(tmp_path / "a.mkv")[0] == default / 2).all()


@pytest.mark.parametrize("claim", [b"\0" * 4, b"\xff" * 4])
@pytest.mark.parametrize(("suffix", "subtype"), [("flac", "PCM_16"), ("wav", "PCM_16"), ("wav", "FLOAT")])
def test_a_file_that_does_not_tell_its_length_is_read_to_its_end(tmp_path, suffix, subtype, claim):
    """As it is written into a pipe, or by a program that was killed; no memory is taken for what it claims."""
    path, other = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    soundfile.write(path, melody(1.0, 44100)[0].t().numpy(), 44100, subtype=subtype)
    content = bytearray(path.read_bytes())
    # The last 32 of 36 bits that count samples, or the bytes of the file and of its samples.
    for place in [22] if suffix == "flac" else [4, content.index(b"data") + 4]:
        content[place : place + 4] = claim
    other.write_bytes(content)
    for part in ((0, 0), (0.25, 0.5)):
        tracemalloc.start()
        got, _ = read_audio(other, *part)
        assert tracemalloc.get_traced_memory()[1] < 200e6
        tracemalloc.stop()
        assert torch.equal(got, read_audio(path, *part)[0])


@pytest.mark.parametrize(("suffix", "subtype"), [("ogg", "VORBIS"), ("ogg", "OPUS"), ("flac", "PCM_24")])
def test_recordings_joined_in_one_file_are_read_one_after_the_other(tmp_path, suffix, subtype):
    """As `cat` or a radio recorder joins them; the last has the serial number of the one before."""
    for name, seconds in (("a", 1.0), ("b", 2.0)):
        soundfile.write(tmp_path / f"{name}.{suffix}", melody(seconds, 48000)[0].t().numpy(), 48000, subtype=subtype)
    joined = tmp_path / f"joined.{suffix}"
    joined.write_bytes(b"".join((tmp_path / f"{name}.{suffix}").read_bytes() for name in "abb"))
    whole, rate = read_audio(joined)
    first, second = (read_audio(tmp_path / f"{name}.{suffix}")[0] for name in "ab")
    most = 0 if suffix == "flac" else 1024  # samples of a packet that ends the one recording and begins the other
    end = whole.shape[-1] - second.shape[-1]
    assert 144000 <= end <= 144000 + 2 * most
    assert snr(first, whole[..., :48000]) > 60
    assert snr(second[..., 2400:], whole[..., end + 2400 :]) > 40
    assert 0 <= offset(whole, second[..., 2400:50400], 50400, most + 1) <= most
    for start, duration in ((0.25, 0.5), (0.75, 0.5), (2.9, 0.5), (4.25, 0)):
        part, _ = read_audio(joined, start, duration)
        assert torch.equal(part, whole[..., round(start * rate) :][..., : round(duration * rate) or None])


@pytest.mark.parametrize("suffix", ["ogg", "flac"])
def test_a_recording_that_is_joined_and_damaged_is_passed_over(tmp_path, suffix, capfd):
    soundfile.write(tmp_path / f"a.{suffix}", melody(2.0, 44100)[0].t().numpy(), 44100)
    whole, _ = read_audio(tmp_path / f"a.{suffix}")
    content = (tmp_path / f"a.{suffix}").read_bytes()
    sure = 60_000  # samples; FFmpeg before 8 loses frames beside the damage
    for damaged in (content[:40], content[:40] + bytes(5000)):
        (tmp_path / f"b.{suffix}").write_bytes(content + damaged + content)
        got, _ = read_audio(tmp_path / f"b.{suffix}")
        assert got.shape[-1] == pytest.approx(2 * whole.shape[-1], abs=16384)
        assert min(snr(whole[..., part], got[..., part]) for part in (slice(sure), slice(-sure, None))) > 100
    assert tuple(capfd.readouterr()) == ("", "")


@pytest.mark.parametrize("header", [True, False])
def test_a_cut_mp3_is_as_long_as_what_is_left_of_it(tmp_path, header):
    """Of quiet and loud seconds in turn at bit rates to match, with and without the frame that counts the others."""
    time = np.arange(20 * 44100) / 44100
    hiss = np.random.default_rng(0).normal(0, 0.2, time.size)
    sound = np.where(time % 2 < 1, 0.001 * np.sin(440 * 2 * np.pi * time), hiss).astype(np.float32)
    variable = {"flags": "+qscale", "global_quality": "236"}
    write_with_ffmpeg(tmp_path / "whole.mp3", sound[:, None], 44100, codec="libmp3lame", options=variable)
    content = (tmp_path / "whole.mp3").read_bytes()
    if not header:
        first = content.index(b"\xff\xfb")
        content = content[content.index(content[first : first + 2], first + 4) :]
        (tmp_path / "whole.mp3").write_bytes(content)
    (tmp_path / "cut.mp3").write_bytes(content[: len(content) // 2])
    whole, cut = (read_audio(tmp_path / name)[0] for name in ("whole.mp3", "cut.mp3"))
    assert whole.shape[-1] == pytest.approx(time.size, abs=3 * MP3_FRAME)
    assert 9 * 44100 < cut.shape[-1] < 11 * 44100
    sure = cut.shape[-1] - 2 * MP3_FRAME
    assert torch.equal(cut[..., :sure], whole[..., :sure])
    part, _ = read_audio(tmp_path / "whole.mp3", start=12.5, duration=3)
    assert snr(whole[..., 551250:683550], part) > 60
    with pytest.raises(ValueError, match=r"'cut\.mp3' holds no sound after 15 s"):
        read_audio(tmp_path / "cut.mp3", start=15)


def test_a_small_file_that_unpacks_to_hours_is_refused(tmp_path):
    for path in write_bombs(tmp_path):
        for read in (read_audio, lambda path: spool_audio(path, tmp_path)):
            with pytest.raises(ValueError, match=rf"'{path.name}' (unpacks to more sound|is joined)"):
                read(path)


@pytest.mark.skipif(sys.platform == "win32", reason="files there are not sparse")
def test_samples_that_memory_or_disk_have_no_room_for_are_refused_before_any_is_kept(tmp_path):
    path = tmp_path / "days.wav"
    write_days(path)
    with pytest.raises(ValueError, match=r"'days\.wav' .* memory has room for"):
        read_audio(path)
    with pytest.raises(ValueError, match=r"'days\.wav' .* the disk of .* has room for"):
        spool_audio(path, tmp_path)
    assert read_audio(path, start=3600, duration=1)[0].shape == (1, 1, 48000)


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
    encode(target, melody(1.0, 44100), 44100)
    (tmp_path / name).write_text(PLAYLISTS[name].format(url=target.as_uri(), name=target.name))
    with pytest.raises(ValueError, match=f"'{name}' can't be read as audio"):
        read_audio(tmp_path / name)


@pytest.mark.parametrize("name", ["a.m4a", "a.mkv", "a.webm", "a.avi", "a.wv", "a.mp3", "a.flac"])
def test_tags_that_are_not_utf_8_do_not_matter(tmp_path, name):
    encode(tmp_path / name, tones(0.5, 48000), 48000)
    content = (tmp_path / name).read_bytes()
    assert b"Stylus damage test" in content
    (tmp_path / f"b{name}").write_bytes(content.replace(b"Stylus damage test", b"\xe9" * 18))
    assert torch.equal(read_audio(tmp_path / name)[0], read_audio(tmp_path / f"b{name}")[0])


@pytest.mark.parametrize("sample", [1e18, math.nan, -math.inf])
def test_samples_that_no_sound_has_are_refused(tmp_path, sample):
    samples = np.full((100, 2), 32768.0, np.float32)
    soundfile.write(tmp_path / "loud.wav", samples, 44100, subtype="FLOAT")
    assert read_audio(tmp_path / "loud.wav")[0].max() == 32768
    samples[50, 1] = sample
    soundfile.write(tmp_path / "a.wav", samples, 44100, subtype="FLOAT")
    with pytest.raises(ValueError, match=r"'a\.wav'"):
        read_audio(tmp_path / "a.wav")


def test_a_name_with_a_colon_is_a_name_and_the_ending_raw_does_not_matter(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("concat:a.mp3", "data:,a.flac", "a.wav"):
        write_audio(name, melody(0.5, 44100)[0], 44100)
        assert read_audio(name)[0].shape == (1, 2, 22050)
    (tmp_path / "a.wav").rename("a.raw")
    assert read_audio("a.raw")[0].shape == (1, 2, 22050)


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


def test_files_without_sound_are_refused_by_name_and_no_library_prints_its_remarks(tmp_path, capfd):
    """As libsndfile's over SDS and what looks like MPEG, which would stand before the report of --json."""
    write_with_ffmpeg(tmp_path / "silent.mp4", None, 44100, picture=True)
    soundfile.write(tmp_path / "empty.wav", np.zeros((0, 2)), 44100)
    encode(tmp_path / "aac.mka", tones(1.0, 44100), 44100, codec="aac")
    (tmp_path / "codec.mka").write_bytes((tmp_path / "aac.mka").read_bytes().replace(b"A_AAC", b"A_XYZ"))
    (tmp_path / "a.raw").write_bytes(np.random.default_rng(0).bytes(50_000))
    soundfile.write(tmp_path / "sound.sds", tones(1.0, 8000, 1)[0, 0].numpy(), 8000, format="SDS", subtype="PCM_16")
    content = (tmp_path / "sound.sds").read_bytes()
    (tmp_path / "dump.sds").write_bytes(content[:21] + bytes(300) + content[321:])
    (tmp_path / "a.caf").write_bytes(b"\xff\xff" + bytes(5000))  # an MPEG frame's first bytes
    for name in ("silent.mp4", "empty.wav", "codec.mka", "a.raw", "dump.sds", "a.caf"):
        with pytest.raises(ValueError, match=f"'{name}'"):
            read_audio(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"'lost\.wav'"):
        read_audio(tmp_path / "lost.wav")
    assert tuple(capfd.readouterr()) == ("", "")


@pytest.mark.parametrize("suffix", ["wav", "mka"])
def test_what_is_no_fault_of_the_file_is_not_reported_as_one(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    encode(path, tones(1.0, 44100), 44100)
    with pytest.raises(OSError, match="lost has no room"):
        Spool(tmp_path / "lost", 1, 44100)
    for fault in (TypeError("a program's"), OSError(errno.EMFILE, "the system's")):

        def gather(pieces, rate, expected, fault=fault):
            next(iter(pieces))
            raise fault

        with pytest.raises(type(fault)) as caught:
            fold_audio(path, gather)
        assert caught.value is fault
