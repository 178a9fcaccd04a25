"""Audio files: reading what libsndfile or FFmpeg (PyAV) reads, writing wav, flac, mp3 and opus with tags."""

from __future__ import annotations

import errno
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, groupby, pairwise
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import av
import numpy as np
import soundfile
import torch
from torch import Tensor

from ..dials import Excerpt
from ..disk import write_atomically
from .backend import resample
from .lazy import Resampled, Waveform
from .loudness import check_level
from .spool import NoRoom, Spool

SEEK_MARGIN = 0.5  # seconds decoded and dropped before the start, while a lossy decoder settles
SAMPLES_PER_PIECE = 1 << 16
SCANNED_BYTES = 1 << 16  # at once; few enough for the processor's cache
CHUNK_BYTES = 1 << 27  # of samples that are kept together until all are there
UNKNOWN_LENGTH = (1 << 63) - 1  # what libsndfile takes a flac for that was written into a pipe

LIBSNDFILE_FORMATS = "AIFF,AU,AVR,CAF,FLAC,HTK,IRCAM,MAT4,MAT5,MPC2K,NIST,OGG,PAF,PVF,RF64,SVX,VOC,W64,WAV,WAVEX,WVE,XI"
"""What libsndfile counts exactly. Not MP3, whose length it estimates, nor RAW, which it takes any file of some endings
for, nor SD2, whose header lies in another file, nor SDS, over whose damage it prints its remarks on standard output."""

FFMPEG_SUFFIXES = (".raw", ".mp1", ".mp2", ".mp3")
"""Endings that are not given to libsndfile: it would need to be told the format of .raw, and prints messages of its own over
MPEG files."""

HEAD_BYTES = 8
HEADS = {"FLAC": re.compile(rb"fLaC[\x00\x80]\x00\x00\x22"), "OGG": re.compile(rb"OggS\x00\x02\x00\x00")}
"""How a recording begins in those of libsndfile's formats of which a file may hold several, one after the other."""

JOINED_DEMUXERS = ("flac", "ogg")
"""FFmpeg's names for them. Time begins anew in each recording, so that a place is found by counting from the beginning."""

TIMED_DEMUXERS = "asf,avi,flv,matroska,mov,mpeg,mpegts,mxf,nut,ogg,rm,webm,wtv"
BARE_DEMUXERS = (
    "aac,ac3,adx,aea,aiff,amr,amrnb,amrwb,ape,apm,aptx,aptx_hd,argo_asf,ast,au,avr,bonk,brstm,caf,codec2,dfpwm,dsf,"
    "dss,dts,dtshd,dv,eac3,flac,g722,gsm,gxf,hca,iff,ilbc,ircam,kvag,loas,mlp,mmf,mp3,mpc,mpc8,nistsphere,nsv,oma,"
    "osq,pvf,qcp,qoa,rso,sbc,shn,smjpeg,sox,spdif,swf,tak,truehd,tta,voc,vqf,w64,wav,wsaud,wv,wve,xwma"
)
"""FFmpeg's containers that carry their own samples: no playlist and no manifest, which name other files to open. Not SDS, on
whose samples of 8 and 24 bits it and libsndfile disagree. In those that are not timed, a place is found by counting from the
beginning."""

TAGS_AS_THEY_ARE: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
"""Earlier releases of PyAV refuse a file over a tag that is no UTF-8 unless told otherwise; from 19 on none does."""

OTHER_FILE = "export it again, or choose another file"

Samples = TypeVar("Samples")
Gather = Callable[[Iterable[np.ndarray], int, int], Samples]
"""`gather(pieces, rate, expected)`: pieces `[n, C]` in order, their rate, and how many samples the file is said to hold."""


class AudioFileError(ValueError):
    """A file holds no sound that can be read; the message names it."""


def read_audio(path: str | os.PathLike[str], start: float = 0.0, duration: float = 0.0) -> tuple[Tensor, int]:
    """Read a recording, or the sound track of a video; only the part asked for is kept.

    What a file says about its length is not believed: what can be decoded is returned, and nothing else is opened.

    Args:
        start, duration: in seconds, in the ranges of those dials; a duration of 0 means up to the end. A part that reaches
            past the end is cut there.

    Returns:
        `[1, C, T]` float32, finite, and its sample rate in Hz.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no sound, `start` lies behind its end, or a number is out of its range; the message names it.
    """
    samples, rate = fold_audio(path, lambda pieces, rate, expected: (_gather(pieces, expected), rate), start, duration)
    return torch.from_numpy(samples)[None], rate


def spool_audio(
    path: str | os.PathLike[str], folder: str | os.PathLike[str], start: float = 0.0, duration: float = 0.0
) -> Spool:
    """`read_audio` onto the disk, for a recording that may not fit into memory.

    Args:
        folder: where there is room for the samples.

    Raises:
        FileNotFoundError, ValueError: as `read_audio`.
        NoRoom: the disk is full.
    """

    def store(pieces: Iterable[np.ndarray], rate: int, expected: int) -> Spool:
        waveforms = (torch.from_numpy(np.ascontiguousarray(piece)).t() for piece in pieces)
        first = next(waveforms)
        return Spool(folder, len(first), rate).extend(chain([first], waveforms))

    return fold_audio(path, store, start, duration)


def fold_audio(
    path: str | os.PathLike[str], gather: Gather[Samples], start: float = 0.0, duration: float = 0.0
) -> Samples:
    """What `gather` makes of the pieces that `read_audio` puts together, of which there is at least one.

    Args:
        gather: called anew, from the first piece on, where a second library has to help the first out.

    Raises:
        FileNotFoundError, ValueError: as `read_audio`.
    """
    path = Path(path)
    with _words_for(path.name):
        there = path.is_file()
    if not there:
        raise FileNotFoundError(f"audio file {path.name!r} does not exist: check its name and folder")
    Excerpt(start, duration)
    with _words_for(path.name):
        return _read(
            path,
            start,
            duration,
            lambda pieces, rate, expected: gather(_checked(pieces, path.name, start), rate, expected),
        )


def _checked(pieces: Iterable[np.ndarray], name: str, start: float) -> Iterator[np.ndarray]:
    """The pieces that have samples; AudioFileError if there are none, or if they are not audio."""
    empty = True
    for piece in pieces:
        if len(piece):
            empty = False
            try:
                check_level(torch.from_numpy(piece), f"audio file {name!r}")
            except ValueError as error:
                raise AudioFileError(str(error)) from error
            yield piece
    if empty:
        remedy = f" after {start:g} s: choose an earlier start" if start else f": {OTHER_FILE}"
        raise AudioFileError(f"audio file {name!r} holds no sound{remedy}")


@contextmanager
def _words_for(name: str) -> Iterator[None]:
    """Whatever the libraries raise over a file, as one sentence that names it."""
    try:
        yield
    except (AudioFileError, NoRoom):
        raise
    except MemoryError as error:
        raise AudioFileError(f"{name!r} does not fit into memory: read a part of it (start, duration)") from error
    except (av.FFmpegError, soundfile.SoundFileError, OSError) as error:
        reason = f" ({error.strerror})" if isinstance(error, (av.FFmpegError, OSError)) and error.strerror else ""
        if (
            isinstance(error, av.FFmpegError) and error.errno == errno.EINVAL
        ):  # FFmpeg's word for a container that is not on the lists above
            reason = " (no known kind of recording; playlists are not followed)"
        raise AudioFileError(f"{name!r} can't be read as audio{reason}: {OTHER_FILE}") from error


def _read(path: Path, start: float, duration: float, gather: Gather[Samples]) -> Samples:
    """What `gather` makes of the samples."""
    if path.suffix.lower() not in FFMPEG_SUFFIXES:
        # As bytes, because soundfile knows no names but those in UTF-8; on Windows all are.
        name = os.fsencode(path) if os.name == "posix" else path
        with suppress(soundfile.SoundFileError), path.open("rb") as content, soundfile.SoundFile(name) as file:
            # A beginning needs no search. Of a later part of the first recording libsndfile may find the like in another.
            beginning = not start and 0 < duration * file.samplerate <= file.frames and file.format == "FLAC"
            if not beginning and (parts := _parts(content, file)):
                return _read_parts(parts, file, start, duration, gather)
            if file.format in LIBSNDFILE_FORMATS.split(",") and _is_counted(file):
                return _read_with_libsndfile(file, start, duration, gather)
    return _read_with_ffmpeg(path, start, duration, gather)


def _is_counted(file: soundfile.SoundFile) -> bool:
    """Whether the file tells its length; a wav of none may have been written into a pipe."""
    least = 1 if file.format in ("WAV", "WAVEX") else 0
    return least <= file.frames < UNKNOWN_LENGTH and not file.subtype.startswith("MPEG")


def _read_with_libsndfile(file: soundfile.SoundFile, start: float, duration: float, gather: Gather[Samples]) -> Samples:
    wanted = file.frames - file.seek(min(round(start * file.samplerate), file.frames))
    if duration:
        wanted = min(wanted, round(duration * file.samplerate))
    return gather(_pieces(file, wanted), file.samplerate, wanted)


def _pieces(file: soundfile.SoundFile, left: int) -> Iterator[np.ndarray]:
    while len(piece := file.read(min(left, SAMPLES_PER_PIECE), dtype="float32", always_2d=True)):
        yield piece
        left -= len(piece)


class _Part(io.RawIOBase):
    """A part of a file, from one byte to another, as a file."""

    def __init__(self, whole: BinaryIO, first: int, last: int):
        self._whole, self._first, self._last = whole, first, last

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: self._first, os.SEEK_CUR: self._whole.tell(), os.SEEK_END: self._last}[whence]
        return self._whole.seek(max(origin + offset, self._first)) - self._first

    def tell(self) -> int:
        return self._whole.tell() - self._first

    def readinto(self, buffer: Any) -> int:
        piece = self._whole.read(min(len(buffer), max(self._last - self._whole.tell(), 0)))
        buffer[: len(piece)] = piece
        return len(piece)


def _parts(content: BinaryIO, file: soundfile.SoundFile) -> list[_Part]:
    """The recordings of which `file` is made, if they are several.

    Of joined recordings libsndfile reads the first only, whose length in Ogg it may mistake, and FFmpeg those that are
    like it.
    """
    if file.format not in HEADS:
        return []
    heads, position, block = [], 0, b""
    while more := content.read(SCANNED_BYTES):
        block = block[-HEAD_BYTES + 1 :] + more
        heads += [position + len(more) - len(block) + match.start() for match in HEADS[file.format].finditer(block)]
        position += len(more)
    parts = [_Part(content, first, last) for first, last in pairwise([0, *heads[1:], position])]
    if len(parts) == 1:
        return []
    parts[0].seek(0)
    with soundfile.SoundFile(parts[0]) as first_recording:
        return parts if _is_counted(first_recording) else []


def _read_parts(
    parts: Iterable[_Part], like: soundfile.SoundFile, start: float, duration: float, gather: Gather[Samples]
) -> Samples:
    """All at the rate and with the channels of `like`."""
    rate, layout = like.samplerate, _layout(like.channels)
    frames = _until(_frames_of_parts(parts, start), duration or float("inf"))
    last = round(duration * rate) if duration else None
    return gather(_between(_interleaved(frames, layout, rate), 0, last), rate, last or 0)


def _frames_of_parts(parts: Iterable[_Part], start: float) -> Iterator[av.AudioFrame]:
    """From the second `start` on; a recording that is damaged is passed over."""
    for part in parts:
        part.seek(0)
        with suppress(soundfile.SoundFileError), soundfile.SoundFile(part) as file:
            if _is_counted(file):
                skipped = file.seek(min(round(start * file.samplerate), file.frames))
                start = max(start - file.frames / file.samplerate, 0)
                for piece in _pieces(file, file.frames - skipped):
                    frame = av.AudioFrame.from_ndarray(piece.reshape(1, -1), "flt", _layout(file.channels))
                    frame.sample_rate = file.samplerate
                    yield frame


def _read_with_ffmpeg(path: Path, start: float, duration: float, gather: Gather[Samples]) -> Samples:
    with av.open(
        f"file:{path.absolute()}",
        **TAGS_AS_THEY_ARE,
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
    early = 0.0 if _is_any_of(container, JOINED_DEMUXERS) else max(start - SEEK_MARGIN, 0)
    frames = _frames(container, stream, early)
    head = next(frames, None)
    if head is None:
        return gather([], 0, 0)
    rate, skipped = head.sample_rate, 0
    if early:
        skipped = round(((head.time or 0) - _seconds(stream, stream.start_time)) * rate)
    first = max(round(start * rate) - skipped, 0)
    last = round(start * rate) + round(duration * rate) - skipped if duration else None
    frames = _until(chain([head], frames), last / rate if last is not None else float("inf"))
    pieces = _between(_interleaved(frames, head.layout.name, rate), first, last)
    declared = round(_seconds(stream, stream.duration) * rate)
    return gather(pieces, rate, declared if last is None else min(declared, last - first))


def _is_any_of(container: av.container.InputContainer, demuxers: Iterable[str]) -> bool:
    return not {*container.format.name.split(",")}.isdisjoint(demuxers)


def _seconds(stream: av.AudioStream, ticks: int | None) -> Fraction:
    return (ticks or 0) * (stream.time_base or Fraction(1, av.time_base))


def _frames(container: av.container.InputContainer, stream: av.AudioStream, early: float) -> Iterator[av.AudioFrame]:
    """Decoded frames, those that end before the second `early` left out; what is damaged is passed over."""
    target = (stream.start_time or 0) + early / _seconds(stream, 1)
    if early and _is_any_of(container, TIMED_DEMUXERS.split(",")):
        with suppress(av.FFmpegError, OverflowError):
            container.seek(int(target), stream=stream)
    with suppress(av.InvalidDataError):
        for packet in container.demux(stream):
            if not early or packet.pts is None or packet.pts + (packet.duration or 0) >= target:
                with suppress(av.InvalidDataError):
                    yield from packet.decode()


def _until(frames: Iterable[av.AudioFrame], seconds: float) -> Iterator[av.AudioFrame]:
    for frame in frames:
        yield frame
        seconds -= frame.samples / frame.sample_rate
        if seconds <= 0:
            return


def _between(pieces: Iterable[np.ndarray], first: int, last: int | None) -> Iterator[np.ndarray]:
    position = 0
    for piece in pieces:
        yield piece[max(first - position, 0) : None if last is None else max(last - position, 0)]
        position += len(piece)


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


def _layout(channels: int) -> str:
    """FFmpeg's name for it."""
    return LAYOUTS.get(channels, f"{channels} channels")


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
    overwrite: bool = True,
) -> None:
    """Write one clip; the suffix of `path` chooses the format. Nothing is left behind when writing fails.

    A rate that mp3 or opus do not know is resampled to the next one that they do. Samples beyond full scale are
    clipped by every format but a wav of float.

    Args:
        waveform: `[C, T]` at `sample_rate` Hz; one that is computed where it is read is never held as a whole.
        bit_depth: "16" or "24" for flac and wav, "float" for wav; mp3 and opus have none.
        tags: written as they are; in a wav, which knows no free names, as one JSON object in its comment.

    Raises:
        FileExistsError: there is such a file, whoever made it meanwhile, and `overwrite` is False.
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
        write_atomically(
            path, lambda file: _encode(os.fspath(file), form, codec, waveform, rate, tags or {}), overwrite
        )
    except FileExistsError:
        raise
    except OSError as error:
        raise OSError(
            f"{path.name!r} can't be written to the folder {path.parent} ({error.strerror}): choose another name or folder"
        ) from error
    except (av.FFmpegError, ValueError) as error:
        raise ValueError(
            f"{path.name!r} can't be written as {name} at {rate} Hz with {waveform.shape[0]} channels: choose another format"
        ) from error


def _encode(
    path: str, form: _Format, codec: tuple[str, str], waveform: Waveform, rate: int, tags: Mapping[str, str]
) -> None:
    channels = waveform.shape[0]
    layout = _layout(channels)
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
