"""Audio files: reading what libsndfile or FFmpeg (PyAV) reads, writing wav, flac, mp3 and opus with tags."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, groupby
from pathlib import Path
from typing import TypeVar

import av
import numpy as np
import soundfile
import torch
from torch import Tensor

from ..output_files import write_atomically
from .backend import resample
from .lazy import Resampled, Waveform
from .loudness import check_level
from .spool import NoRoom, Spool

SEEK_MARGIN = 0.5  # seconds decoded and dropped before the start, while a lossy decoder settles
SAMPLES_PER_PIECE = 1 << 16
CHUNK_BYTES = 1 << 27  # of samples that are kept together until all are there
UNKNOWN_LENGTH = (1 << 63) - 1  # what libsndfile takes a flac for that was written into a pipe

LIBSNDFILE_FORMATS = "AIFF,AU,AVR,CAF,FLAC,HTK,IRCAM,MAT4,MAT5,MPC2K,NIST,OGG,PAF,PVF,RF64,SVX,VOC,W64,WAV,WAVEX,WVE,XI"
"""What libsndfile counts exactly. Not MP3, whose length it estimates, nor RAW, which it takes any file of some endings
for, nor SD2, whose header lies in another file, nor SDS, over whose damage it prints its remarks on standard output."""

FFMPEG_SUFFIXES = (".raw", ".mp1", ".mp2", ".mp3")
"""Endings that libsndfile isn't asked about: of the first it wants to be told what it holds, over the others it prints its
own remarks."""

TIMED_DEMUXERS = "asf,avi,flv,matroska,mov,mpeg,mpegts,mxf,nut,ogg,rm,webm,wtv"
BARE_DEMUXERS = (
    "aac,ac3,adx,aea,aiff,amr,amrnb,amrwb,ape,apm,aptx,aptx_hd,argo_asf,ast,au,avr,bonk,brstm,caf,codec2,dfpwm,dsf,"
    "dss,dts,dtshd,dv,eac3,flac,g722,gsm,gxf,hca,iff,ilbc,ircam,kvag,loas,mlp,mmf,mp3,mpc,mpc8,nistsphere,nsv,oma,"
    "osq,pvf,qcp,qoa,rso,sbc,shn,smjpeg,sox,spdif,swf,tak,truehd,tta,voc,vqf,w64,wav,wsaud,wv,wve,xwma"
)
"""FFmpeg's containers that carry their own samples: no playlist and no manifest, which name other files to open. Not SDS, on
whose samples of 8 and 24 bits it and libsndfile disagree. In those that are not timed, a place is found by counting from the
beginning."""


Samples = TypeVar("Samples")
Gather = Callable[[Iterable[np.ndarray], int, int], Samples]
"""`gather(pieces, rate, expected)`: pieces `[n, C]` in order, their rate, and how many samples the file is said to hold."""


class AudioFileError(ValueError):
    """A file holds no sound that can be read; the message names it."""


def read_audio(path: str | os.PathLike[str], start: float = 0.0, duration: float = 0.0) -> tuple[Tensor, int]:
    """Read a recording, or the sound track of a video; only the part asked for is decoded.

    What a file says about its length is not believed: what can be decoded is returned, and nothing else is opened.

    Args:
        start, duration: in seconds; a duration of 0 means up to the end. A part that reaches past the end is cut there.

    Returns:
        `[1, C, T]` float32, finite, and its sample rate in Hz.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no sound, `start` lies behind its end, or a number is below 0; the message names the file.
    """
    samples, rate = _read_all(path, start, duration, lambda pieces, rate, expected: (_gather(pieces, expected), rate))
    _check_sounds(path, samples.shape[1], start)
    waveform = torch.from_numpy(samples)[None]
    check_level(waveform, f"audio file {Path(path).name!r}")
    return waveform, rate


def spool_audio(
    path: str | os.PathLike[str], folder: str | os.PathLike[str], start: float = 0.0, duration: float = 0.0
) -> Spool:
    """`read_audio` onto the disk, for a recording that may not fit into memory.

    Args:
        folder: where there is room for the samples.
    """

    def store(pieces: Iterable[np.ndarray], rate: int, expected: int) -> Spool:
        spool = None
        for piece in pieces:
            waveform = torch.from_numpy(np.ascontiguousarray(piece)).t()
            spool = spool or Spool(folder, len(waveform), rate)
            if len(piece):
                try:
                    check_level(waveform, f"audio file {Path(path).name!r}")
                except ValueError as error:
                    raise AudioFileError(str(error)) from error
                spool.append(waveform)
        return spool or Spool(folder, 1, rate)

    spool = _read_all(path, start, duration, store)
    _check_sounds(path, spool.samples, start)
    return spool


def _read_all(path: str | os.PathLike[str], start: float, duration: float, gather: Gather[Samples]) -> Samples:
    path = Path(path)
    with _words_for(path.name):
        there = path.is_file()
    if not there:
        raise FileNotFoundError(f"audio file {path.name!r} does not exist: check its name and folder")
    if not (0 <= start < float("inf") and 0 <= duration < float("inf")):
        raise ValueError(f"start ({start} s) and duration ({duration} s) must be 0 or more")
    with _words_for(path.name):
        return _read(path, start, duration, gather)


def _check_sounds(path: str | os.PathLike[str], samples: int, start: float) -> None:
    if samples == 0:
        remedy = f" after {start:g} s: choose an earlier start" if start else ": is the file damaged?"
        raise AudioFileError(f"audio file {Path(path).name!r} holds no sound{remedy}")


@contextmanager
def _words_for(name: str) -> Iterator[None]:
    """Whatever the libraries raise over a file, as one sentence that names it."""
    try:
        yield
    except (AudioFileError, NoRoom):
        raise
    except MemoryError as error:
        raise AudioFileError(f"{name!r} does not fit into memory: read a part of it (start, duration)") from error
    except Exception as error:
        reason = f" ({error.strerror})" if isinstance(error, (av.FFmpegError, OSError)) and error.strerror else ""
        if isinstance(error, av.ArgumentError):  # FFmpeg's word for a container that is not on the lists above
            reason = " (no known kind of recording; playlists are not followed)"
        raise AudioFileError(f"{name!r} cannot be read as audio{reason}: is the file damaged?") from error


def _read(path: Path, start: float, duration: float, gather: Gather[Samples]) -> Samples:
    """What `gather` makes of the samples."""
    if path.suffix.lower() not in FFMPEG_SUFFIXES:
        with suppress(soundfile.SoundFileError), soundfile.SoundFile(path) as file:
            counted = 0 <= file.frames < UNKNOWN_LENGTH and not file.subtype.startswith("MPEG")
            if file.format in LIBSNDFILE_FORMATS.split(",") and counted:
                return _read_with_libsndfile(file, start, duration, gather)
    return _read_with_ffmpeg(path, start, duration, gather)


def _read_with_libsndfile(file: soundfile.SoundFile, start: float, duration: float, gather: Gather[Samples]) -> Samples:
    wanted = file.frames - file.seek(min(round(start * file.samplerate), file.frames))
    if duration:
        wanted = min(wanted, round(duration * file.samplerate))

    def pieces(left: int) -> Iterator[np.ndarray]:
        while len(piece := file.read(min(left, SAMPLES_PER_PIECE), dtype="float32", always_2d=True)):
            yield piece
            left -= len(piece)

    return gather(pieces(wanted), file.samplerate, wanted)


def _read_with_ffmpeg(path: Path, start: float, duration: float, gather: Gather[Samples]) -> Samples:
    with av.open(
        f"file:{path.absolute()}",
        metadata_errors="replace",
        container_options={
            "protocol_whitelist": "file",
            "format_whitelist": f"{TIMED_DEMUXERS},{BARE_DEMUXERS}",
        },
    ) as container:
        if not container.streams.audio:
            raise AudioFileError(f"{path.name!r} has no audio stream: choose a recording or a video with sound")
        known = [stream for stream in container.streams.audio if stream.codec_context]
        if not known:
            raise AudioFileError(f"{path.name!r} has its sound in a codec that is not known here: convert it to flac")
        return _decode(container, known[0], start, duration, gather)


def _decode(
    container: av.container.InputContainer,
    stream: av.AudioStream,
    start: float,
    duration: float,
    gather: Gather[Samples],
) -> Samples:
    frames = _frames(container, stream, start - SEEK_MARGIN)
    head = next(frames, None)
    if head is None:
        return gather([], 0, 0)
    rate, skipped = head.sample_rate, 0
    if start > SEEK_MARGIN:
        skipped = round(((head.time or 0) - _seconds(stream, stream.start_time)) * rate)
    first = max(round(start * rate) - skipped, 0)
    last = round(start * rate) + round(duration * rate) - skipped if duration else None
    frames = _until(chain([head], frames), last / rate if last is not None else float("inf"))

    def pieces() -> Iterator[np.ndarray]:
        position = 0
        for piece in _interleaved(frames, head.layout.name, rate):
            yield piece[max(first - position, 0) : None if last is None else max(last - position, 0)]
            position += len(piece)

    declared = round(_seconds(stream, stream.duration) * rate)
    return gather(pieces(), rate, declared if last is None else min(declared, last - first))


def _seconds(stream: av.AudioStream, ticks: int | None) -> Fraction:
    return (ticks or 0) * (stream.time_base or Fraction(1, av.time_base))


def _frames(container: av.container.InputContainer, stream: av.AudioStream, early: float) -> Iterator[av.AudioFrame]:
    """Decoded frames, those that end before the second `early` left out; what is damaged is passed over."""
    target = (stream.start_time or 0) + early / _seconds(stream, 1)
    if early > 0 and not {*container.format.name.split(",")}.isdisjoint(TIMED_DEMUXERS.split(",")):
        with suppress(av.FFmpegError, OverflowError):
            container.seek(int(target), stream=stream)
    with suppress(av.InvalidDataError):
        for packet in container.demux(stream):
            if packet.pts is None or packet.pts + (packet.duration or 0) >= target:
                with suppress(av.InvalidDataError):
                    yield from packet.decode()


def _until(frames: Iterable[av.AudioFrame], seconds: float) -> Iterator[av.AudioFrame]:
    for frame in frames:
        yield frame
        seconds -= frame.samples / frame.sample_rate
        if seconds <= 0:
            return


def _interleaved(frames: Iterable[av.AudioFrame], layout: str, rate: int) -> Iterator[np.ndarray]:
    """Frames as `[n, C]` of one layout and rate, which a damaged or joined file may change midway."""
    for _, alike in groupby(frames, key=lambda frame: (frame.format.name, frame.layout.name, frame.sample_rate)):
        # Interleaved: PyAV cannot hand out the planes of a planar frame with 8 channels.
        resampler = av.AudioResampler(format="flt", layout=layout, rate=rate, frame_size=SAMPLES_PER_PIECE)
        for frame in chain(alike, [None]):
            for converted in resampler.resample(frame):
                yield converted.to_ndarray().reshape(-1, converted.layout.nb_channels)


def _gather(pieces: Iterable[np.ndarray], expected: int) -> np.ndarray:
    """Pieces `[n, C]` as one `[C, T]`, in little more memory than that takes.

    Args:
        expected: samples that the file is said to hold; where it is right, nothing is copied twice.
    """
    chunks: list[np.ndarray] = []
    free = total = 0  # samples in the last chunk, and in all
    for piece in pieces:
        while len(piece):
            if not free:
                most = max(CHUNK_BYTES // (4 * piece.shape[1]), 1)
                free = min(expected, most) if expected > total else most
                chunks.append(np.empty((piece.shape[1], free), np.float32))
            part, piece = piece[:free], piece[free:]
            used = chunks[-1].shape[1] - free
            chunks[-1][:, used : used + len(part)] = part.T
            free -= len(part)
            total += len(part)
    if not chunks:
        return np.empty((1, 0), np.float32)
    chunks[-1] = chunks[-1][:, : chunks[-1].shape[1] - free]
    if len(chunks) == 1:
        return np.ascontiguousarray(chunks[0])
    samples, end = np.empty((chunks[0].shape[0], total), np.float32), total
    while chunks:
        chunk = chunks.pop()
        samples[:, end - chunk.shape[1] : end] = chunk
        end -= chunk.shape[1]
    return samples


@dataclass(frozen=True)
class _Format:
    container: str
    codecs: Mapping[str, tuple[str, str]]  # bit depth -> codec, sample format
    channels: int | None = None  # at most
    rates: tuple[int, ...] = ()  # any when empty
    bit_rate: int | None = None
    single_tag: bool = False  # one "comment" as JSON, for a container that keeps no tags of other names
    tag_bytes: int | None = None  # at most


FORMATS = {
    "flac": _Format("flac", {"24": ("flac", "s32"), "16": ("flac", "s16")}, channels=8, tag_bytes=(1 << 24) - 256),
    "wav": _Format(
        "wav",
        {"24": ("pcm_s24le", "s32"), "16": ("pcm_s16le", "s16"), "float": ("pcm_f32le", "flt")},
        single_tag=True,
    ),
    "mp3": _Format(
        "mp3",
        {"": ("libmp3lame", "fltp")},
        channels=2,
        rates=(8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
        bit_rate=320_000,
    ),
    "opus": _Format(
        "ogg", {"": ("libopus", "flt")}, channels=2, rates=(8000, 12000, 16000, 24000, 48000), bit_rate=192_000
    ),
}
LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}


def check_format(path: str | os.PathLike[str], channels: int, bit_depth: str = "24") -> None:
    """Raises ValueError if the format that the suffix of `path` chooses can't hold such audio."""
    name = Path(path).suffix.lstrip(".").lower()
    if name not in FORMATS:
        raise ValueError(f"{Path(path).name!r} has no known audio format: end it in .{', .'.join(FORMATS)}")
    form = FORMATS[name]
    if "" not in form.codecs and bit_depth not in form.codecs:
        raise ValueError(f"bit_depth is {bit_depth!r} and {name} has {', '.join(form.codecs)}: choose one of them")
    if form.channels and channels > form.channels:
        raise ValueError(f"{name} holds at most {form.channels} channels and the audio has {channels}: save it as wav")


def tags_fit(name: str, tags: Mapping[str, str]) -> bool:
    """Whether a file of the format `name` can hold these tags."""
    limit = FORMATS[name].tag_bytes
    return limit is None or sum(len(f"{key}={value}".encode()) + 4 for key, value in tags.items()) <= limit


def write_audio(
    path: str | os.PathLike[str],
    waveform: Waveform,
    sample_rate: int,
    bit_depth: str = "24",
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write one clip; the suffix of `path` chooses the format. Nothing is left behind when writing fails.

    A rate that mp3 or opus do not know is resampled to the next one that they do. Samples beyond full scale are
    clipped by every format but a wav of float.

    Args:
        waveform: `[C, T]` at `sample_rate` Hz; one that is computed where it is read is never held as a whole.
        bit_depth: "16" or "24" for flac and wav, "float" for wav; mp3 and opus have none.
        tags: written as they are; in a wav, which knows no free names, as one JSON object in its comment.

    Raises:
        ValueError: format, bit depth, rate, channel count or tags that cannot be written.
        OSError: the folder cannot be written to, or is full.
    """
    path = Path(path)
    check_format(path, waveform.shape[0], bit_depth)
    name = path.suffix.lstrip(".").lower()
    form = FORMATS[name]
    if tags and not tags_fit(name, tags):
        raise ValueError(f"the tags are too large for a {name}: leave them out or save as wav")
    rate = next((rate for rate in form.rates if rate >= sample_rate), max(form.rates, default=sample_rate))
    if isinstance(waveform, Tensor):
        waveform = resample(waveform.detach().to("cpu", torch.float32), sample_rate, rate)
    elif rate != sample_rate:
        waveform = Resampled(waveform, sample_rate, rate)
    if form.single_tag and tags:
        tags = {"comment": json.dumps(dict(tags))}

    codec = form.codecs[bit_depth if "" not in form.codecs else ""]
    try:
        write_atomically(path, lambda temporary: _encode(os.fspath(temporary), form, codec, waveform, rate, tags or {}))
    except OSError as error:
        raise OSError(
            f"cannot write {path.name!r} to the folder {path.parent}: {error.strerror}. Choose another name or folder."
        ) from error
    except (av.FFmpegError, ValueError) as error:
        raise ValueError(
            f"{path.name!r} cannot be written as {name} at {rate} Hz with {waveform.shape[0]} channels: choose another format."
        ) from error


def _encode(
    path: str, form: _Format, codec: tuple[str, str], waveform: Waveform, rate: int, tags: Mapping[str, str]
) -> None:
    channels = waveform.shape[0]
    layout = LAYOUTS.get(channels, f"{channels} channels")
    with av.open(f"file:{path}", "w", format=form.container) as container:
        container.metadata.update(tags)
        stream = container.add_stream(codec[0], rate=rate, layout=layout)
        stream.codec_context.format = codec[1]
        if form.bit_rate:
            stream.bit_rate = form.bit_rate
        for first in range(0, waveform.shape[1], SAMPLES_PER_PIECE):
            samples = waveform[:, first : first + SAMPLES_PER_PIECE].t().reshape(1, -1).numpy()
            frame = av.AudioFrame.from_ndarray(samples, format="flt", layout=layout)
            frame.sample_rate = rate
            frame.pts = first
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
