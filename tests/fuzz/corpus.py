"""A corpus of damaged recordings that is the same every time it is made.

Good files are written in every format that libsndfile and FFmpeg (PyAV) write on this machine, then each file of the
corpus is one of them with one kind of damage, drawn from its number.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile

SECONDS = 0.25
TAG = "Stylus damage test"  # what is replaced by bytes that are no UTF-8
LAYOUTS = {1: "mono", 2: "stereo", 8: "7.1"}
SETUPS = ((44100, 2), (48000, 2), (8000, 1), (16000, 1))  # rates and channels, until a codec takes one

NOT_RECORDINGS = (
    "alsa caca chromaprint crc dash data fbdev ffmetadata fifo fifo_test filmstrip framecrc framehash framemd5 hash hds "
    "hls image2 image2pipe ismv md5 mpjpeg null oss opengl pulse rtp rtp_mpegts rtsp sap sdl sdl2 segment "
    "smoothstreaming stream_segment streamhash stream_segment,ssegment tee uncodedframecrc video4linux2,v4l2 "
    "webm_chunk webm_dash_manifest whip xv"
)
"""Muxers that write to devices, to the network, more than one file, or something else than what was given to them."""

CONTAINERS = "aiff asf au avi caf flv matroska mov mp4 mpegts nut ogg w64 wav webm"
JOINED = (".flac", ".mp3", ".ogg", ".opus")  # of which several in one file are one recording
CODECS = (
    "aac ac3 adpcm_ima_wav adpcm_ms alac dca eac3 flac libmp3lame libopus libvorbis mp2 pcm_f32be pcm_f32le pcm_f64le "
    "pcm_mulaw pcm_s16be pcm_s16le pcm_s24le pcm_u8 tta wavpack wmav2"
)


def write_seeds(folder: Path, seconds: float = SECONDS) -> list[Path]:
    """Good recordings in every format that can be written here, the name of each its format and codec."""
    sounds = {setup: _sound(seconds, *setup) for setup in SETUPS}

    def attempt(name: str, write: Callable[..., None], form: str, codec: str | None) -> None:
        for (rate, _), sound in sounds.items():
            with suppress(av.FFmpegError, soundfile.SoundFileError, ValueError, TypeError):
                return write(folder / name, sound, rate, form, codec)
            (folder / name).unlink(missing_ok=True)

    for form in set(soundfile.available_formats()) - {"RAW"}:
        for subtype in soundfile.available_subtypes(form):
            attempt(f"{form}-{subtype}.{form.lower()}", _write_with_libsndfile, form, subtype)
    for form in av.formats_available.difference(NOT_RECORDINGS.split()):
        if av.ContainerFormat(form).is_output:
            attempt(f"{form}.{form}", write_with_ffmpeg, form, None)
    for form, codec in product(CONTAINERS.split(), CODECS.split()):
        attempt(f"{form}-{codec}.{form}", write_with_ffmpeg, form, codec)
    for form in ("avi", "matroska", "mov"):
        write_with_ffmpeg(folder / f"{form}-video.{form}", sounds[SETUPS[0]], SETUPS[0][0], form, "aac", picture=True)
    for path in [path for path in folder.iterdir() if path.suffix in JOINED]:
        (folder / f"joined-{path.name}").write_bytes(path.read_bytes() * 2)
    return sorted(path for path in folder.iterdir() if path.stat().st_size)


def _sound(seconds: float, rate: int, channels: int) -> np.ndarray:
    """`[T, C]`: two notes, and a hiss so that nothing packs it to nothing."""
    time = np.arange(round(seconds * rate))[:, None] / rate
    notes = 0.3 * np.sin(2 * np.pi * 440 * time * np.arange(1, channels + 1))
    return (notes + np.random.default_rng(0).normal(0, 0.02, notes.shape)).astype(np.float32)


def _write_with_libsndfile(path: Path, sound: np.ndarray, rate: int, form: str, subtype: str) -> None:
    with soundfile.SoundFile(path, "w", rate, sound.shape[1], format=form, subtype=subtype) as file:
        if form in ("AIFF", "CAF", "FLAC", "OGG", "WAV"):
            file.title = TAG
        file.write(sound)


def write_with_ffmpeg(
    path: Path,
    sound: np.ndarray | None,
    rate: int,
    form: str | None = None,
    codec: str | None = None,
    *,
    picture: bool = False,
    options: Mapping[str, str] | None = None,
) -> None:
    """Write `sound` `[T, C]`, a few black frames, or both, by default as the path's ending says."""
    with av.open(f"file:{path}", "w", format=form) as container:
        container.metadata["title"] = TAG
        if sound is not None:
            codec, layout = codec or container.default_audio_codec, LAYOUTS[sound.shape[1]]
            stream: Any = container.add_stream(codec, rate=rate, layout=layout, options=dict(options or {}))
        if picture:
            video = container.add_stream("mpeg4", rate=10)
            video.width = video.height = 32
            black = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))
            container.mux([*video.encode(black), *video.encode(None)])
        if sound is not None:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound).reshape(1, -1), format="flt", layout=layout)
            frame.sample_rate = rate
            frame.pts = 0
            container.mux([*stream.encode(frame), *stream.encode(None)])


def write_bombs(folder: Path) -> list[Path]:
    """A few kilobytes each that unpack to hours: constant frames, recordings joined, edits that play one track again."""
    once = folder / "frame.flac"
    write_with_ffmpeg(once, np.zeros((65535, 8), np.float32), 44100, options={"frame_size": "65535"})
    content = bytearray(once.read_bytes())
    content[22:26] = (2000 * 65535).to_bytes(4, "big")  # the lowest 32 bits of the header's count of samples
    (folder / "constant.flac").write_bytes(content + content[content.rindex(b"\xff\xf8") :] * 1999)
    frame = bytes.fromhex("fff8700800fffe3900000006d2")  # 65535 times 0, at the rate of the head before it
    heads = [(rate << 44 | 15 << 36 | 65535).to_bytes(8, "big") for rate in (384000, 1000)]  # mono of 16 bits
    chain = [b"fLaC\x80\0\0\x22" + b"\xff" * 4 + bytes(6) + head + bytes(16) + frame for head in heads]
    (folder / "chain.flac").write_bytes(b"".join(chain))
    for rate in (44100, 8000):
        write_with_ffmpeg(folder / f"{rate}.mp3", np.zeros((rate, 1), np.float32), rate)
    (folder / "chain.mp3").write_bytes(b"".join((folder / f"{rate}.mp3").read_bytes() for rate in (44100, 8000)))
    write_with_ffmpeg(folder / "once.mov", _sound(1.0, 44100, 1), 44100, "mov", "pcm_s16le")
    (folder / "edits.mov").write_bytes(_repeated((folder / "once.mov").read_bytes(), 2000))
    return [folder / name for name in ("constant.flac", "chain.flac", "chain.mp3", "edits.mov")]


def write_days(path: Path) -> None:
    """A terabyte of silence that takes no room on the disk."""
    soundfile.write(path, np.zeros((100, 1)), 48000, format="W64", subtype="PCM_16")
    content = bytearray(path.read_bytes())
    size, head = 1 << 40, content.index(b"data") + 24
    content[head - 8 : head] = size.to_bytes(8, "little")
    path.write_bytes(content)
    os.truncate(path, size)


def _repeated(movie: bytes, times: int) -> bytes:
    """A QuickTime file whose edit list, the only one in it, plays the track again and again."""
    content = bytearray(movie)
    place = content.index(b"elst") + 8  # behind version and flags
    edit = content[place + 4 : place + 16]
    for atom in (b"elst", b"edts", b"trak", b"moov"):
        field = slice(content.index(atom) - 4, content.index(atom))
        content[field] = (int.from_bytes(content[field], "big") + 12 * (times - 1)).to_bytes(4, "big")
    content[place : place + 16] = times.to_bytes(4, "big") + edit * times
    return bytes(content)


def corpus(seeds: list[Path], folder: Path, count: int) -> Iterator[Path]:
    """Write `count` damaged files, one after the other; each number, however many there are, gives the same file."""
    for number in range(count):
        dice = random.Random(f"damage {number}")
        name, damage = list(DAMAGES.items())[number % len(DAMAGES)]
        path = dice.choice(seeds)
        content = path.read_bytes()
        for _ in range(dice.choice((1, 1, 1, 2, 5))):
            # Half of all damage is done to the header, which does the most.
            within = min(len(content), HEADER) if dice.random() < 0.5 else len(content)
            content = damage(content, dice.randrange(max(within, 1)), dice)
        suffix = dice.choice(SUFFIXES.split(" ")) if name == "rename" else path.suffix
        target = folder / f"{number:05}-{name}-{path.stem.strip('._')}{suffix}"
        target.write_bytes(content)
        yield target


HEADER = 1024
SUFFIXES = (
    ".raw .sd2 .vox .gsm .au .snd .mp3 .wav .flac .m4a .ogg .m3u8 .m3u .pls .mpd .ffconcat .sdp .txt .jpg .g722 .s16le "
)
EXTREMES = (0, 1, 2, 255, *((1 << bits) + more for bits in (15, 16, 31, 32, 63, 64) for more in (-2, -1, 0)))
NO_SAMPLES = (0x7F800000, 0xFF800000, 0x7FC00000, 0x7149F2CA, 0x5E5E0B6B)  # infinities, NaN, 1e30, 4e18 as float32
NO_RECORDINGS = (
    b"",
    b"\0",
    bytes(4096),
    b"not a recording at all\n" * 100,
    b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/hostname\n#EXT-X-ENDLIST\n",
    b"ffconcat version 1.0\nfile /etc/hostname\n",
    b"RIFF\xff\xff\xff\xffWAVEfmt ",
    b"fLaC" + bytes(200),
    b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(200),
)
CODEC_NAMES = re.compile(b"A_AAC|A_MPEG|A_OPUS|A_FLAC|A_PCM|mp4a|alac|fLaC|Opus|vorbis")


def _over(content: bytes, place: int, new: bytes) -> bytes:
    return content[:place] + new[: len(content) - place] + content[place + len(new) :]


def _flipped(content: bytes, place: int, dice: random.Random) -> bytes:
    for first in [place, *(dice.randrange(len(content) or 1) for _ in range(dice.choice((0, 3, 31))))]:
        content = _over(content, first, bytes(byte ^ 1 << dice.randrange(8) for byte in content[first : first + 1]))
    return content


def _number(choices: Sequence[int], size: int, dice: random.Random) -> bytes:
    return (dice.choice(choices) % (1 << 8 * size)).to_bytes(size, dice.choice(("little", "big")))


DAMAGES: dict[str, Callable[[bytes, int, random.Random], bytes]] = {
    "cut": lambda data, place, dice: data[:place],
    "behead": lambda data, place, dice: data[place:],
    "flip": _flipped,
    "scramble": lambda data, place, dice: _over(data, place, dice.randbytes(dice.choice((1, 8, 64, 1024)))),
    "blank": lambda data, place, dice: _over(data, place, dice.choice((b"\0", b"\xff")) * dice.choice((4, 64, 4096))),
    # A number of the header, be it a length, a rate or a count of channels, at an end of its range.
    "claim": lambda data, place, dice: _over(data, place % 256, _number(EXTREMES, dice.choice((1, 2, 4, 8)), dice)),
    # Samples that no sound has, where the file holds floats.
    "shout": lambda data, place, dice: _over(data, len(data) // 2 & ~3, _number(NO_SAMPLES, 4, dice)),
    "insert": lambda data, place, dice: data[:place] + dice.randbytes(dice.choice((1, 7, 512))) + data[place:],
    "drop": lambda data, place, dice: data[:place] + data[place + dice.choice((1, 7, 512)) :],
    "repeat": lambda data, place, dice: data + data[place:],
    "append": lambda data, place, dice: data + dice.randbytes(dice.choice((1, 128, 8192))),
    "tags": lambda data, place, dice: data.replace(TAG.encode(), bytes(dice.choices(range(0x80, 0x100), k=len(TAG)))),
    # No codec has these names, in those containers that name theirs.
    "codec": lambda data, place, dice: CODEC_NAMES.sub(lambda name: b"X" * len(name[0]), data),
    "rename": lambda data, place, dice: data,  # gets another ending
    "replace": lambda data, place, dice: dice.choice((dice.randbytes(4096), *NO_RECORDINGS)),
}
