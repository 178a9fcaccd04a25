"""Reading sound files: what libsndfile counts exactly, and through FFmpeg (PyAV) all else."""

from __future__ import annotations

import errno
import math
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from itertools import chain, count, groupby, takewhile
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import av
import numpy as np
import psutil
import soundfile
import torch
from av.stream import Disposition
from torch import Tensor

from ..dials import Excerpt
from .loudness import check_level
from .spool import Spool

SEEK_MARGIN = 0.5  # seconds decoded and dropped before the start, while a lossy decoder settles
SAMPLES_PER_PIECE = 1 << 16
SCANNED_BYTES = 1 << 16  # at once; few enough for the processor's cache
SMALL = 1 << 25  # bytes of samples for which there is always room
CHUNK_BYTES = 1 << 27  # of samples that are kept together until all are there

LONGEST = 7 * 86400  # seconds that one file may last
SAMPLES_PER_BYTE = 1 << 10  # of all channels, that a file may unpack to; digital silence in flac is some 500
SAMPLES_OF_ANY = 1 << 24  # that even the smallest file may unpack to
BYTES_OF_ANY = 1 << 20  # that even the smallest file may play again by its edits

COUNTED = re.compile(
    rb"(?:RIF[FX]|RF64)....WAVE|riff\.\x91\xcf\x11|fLaC|OggS|caff|FORM....(?:AIF[FC]|8SVX|16SV)|\.snd|dns\.| paf|fap |2BIT"
    rb"|NIST|PVF1|Creative V|ALawSoundF|Extended Ins|MATL"
    b"|\0\0\3\xe8\0\0\0\1|\0{4}\1\0\0\0\1\0\0\0|\1\4|d\xa3[\0-\7]\0|\0[\0-\7]\xa3d|.{8}\0\2\0\0",
    re.DOTALL,
)
"""How a file begins that is given to libsndfile, which counts its samples exactly: WAV, W64, FLAC, OGG, CAF, AIFF, SVX, AU, PAF, AVR,
NIST, PVF, VOC, WVE, XI, MAT5, MAT4, MPC2K, IRCAM and HTK. Over MPEG and SDS it prints remarks, and the length of MP3 it estimates."""

OTHER_FILE = "export it again, or choose another file"

HEADS = {
    "FLAC": re.compile(rb"fLaC[\x00\x80]\x00\x00\x22.{10}(.{3})", re.DOTALL),
    "OGG": re.compile(rb"OggS\x00\x02\x00\x00.{13}()", re.DOTALL),
}
HEAD_BYTES = 21
"""How a recording begins in the formats in which several may be joined, of which libsndfile reads the first alone. In FLAC 20
bits are its rate in Hz: FFmpeg takes the first for all whose frames don't repeat it."""

DEMUXERS = (
    "aac,ac3,adx,aea,aiff,amr,amrnb,amrwb,ape,apm,aptx,aptx_hd,argo_asf,asf,ast,au,avi,avr,bonk,brstm,caf,codec2,dfpwm,"
    "dsf,dss,dts,dtshd,dv,eac3,flac,flv,g722,gsm,gxf,hca,iff,ilbc,ircam,kvag,loas,matroska,mlp,mmf,mov,mp3,mpc,mpc8,mpeg,"
    "mpegts,mxf,nistsphere,nsv,nut,ogg,oma,osq,pvf,qcp,qoa,rm,rso,sbc,shn,smjpeg,sox,spdif,swf,tak,truehd,tta,voc,vqf,w64,"
    "wav,webm,wsaud,wtv,wv,wve,xwma"
)
"""FFmpeg's containers that carry their own samples: no playlist and no manifest, which name other files to open. Not SDS, on
whose samples of 8 and 24 bits it and libsndfile disagree."""

TIMED_DEMUXERS = ("aac", "mp3", "mov,mp4,m4a,3gp,3g2,mj2")
"""FFmpeg's names for containers whose time tells a place to the sample, so that decoding need not begin at the beginning.
Matroska and asf, for two, round it to milliseconds."""

TAGS_AS_THEY_ARE: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
"""Earlier releases of PyAV refuse a file over a tag that is no UTF-8 unless told otherwise; from 19 on none does."""

Samples = TypeVar("Samples")
Gather = Callable[[Iterable[np.ndarray], int, int], Samples]
"""`gather(pieces, rate, expected)`: pieces `[n, C]` in order, their rate, and how many samples the file is said to hold."""


class Room(NamedTuple):
    """Where samples of 4 bytes are to be kept."""

    free: Callable[[], float]
    """Bytes that they may take; asked once they would take more than `SMALL`."""
    place: str
    remedy: str


def read_audio(path: str | os.PathLike[str], start: float = 0.0, duration: float = 0.0) -> tuple[Tensor, int]:
    """Read a recording, or the sound track of a video.

    What a file says about its length is not believed: what can be decoded is returned, and nothing else is opened.

    Args:
        start, duration: of the part that is kept, in seconds; 0 means up to the end. One that reaches past it is cut there.

    Returns:
        `[1, C, T]` float32, finite, and its sample rate in Hz.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no sound, more than half of the free memory, or more than its size explains, `start` lies behind
            its end, or a number is out of its range; the message names it.
    """
    room = Room(lambda: psutil.virtual_memory().available / 2, "memory", "read a part of it (start, duration)")
    samples, rate = fold_audio(path, _gather, start, duration, room)
    return torch.from_numpy(samples)[None], rate


def spool_audio(
    path: str | os.PathLike[str], folder: str | os.PathLike[str], start: float = 0.0, duration: float = 0.0
) -> Spool:
    """`read_audio` onto the disk, for a recording that may not fit into memory.

    Args:
        folder: where there is room for the samples; they take half of what is free there at most.

    Raises:
        FileNotFoundError, ValueError: as `read_audio`.
        OSError: the disk is full.
    """

    def store(pieces: Iterable[np.ndarray], rate: int, expected: int) -> Spool:
        waveforms = (torch.from_numpy(np.ascontiguousarray(piece)).t() for piece in pieces)
        first = next(waveforms)
        return Spool(folder, len(first), rate).extend(chain([first], waveforms))

    room = Room(lambda: shutil.disk_usage(folder).free / 2, f"the disk of {folder}", "make room, or write elsewhere")
    return fold_audio(path, store, start, duration, room)


def fold_audio(
    path: str | os.PathLike[str],
    gather: Gather[Samples],
    start: float = 0.0,
    duration: float = 0.0,
    room: Room = Room(lambda: math.inf, "", ""),  # noqa: B008
) -> Samples:
    """What `gather` makes of the pieces, at least one, that `read_audio` puts together; it raises the same errors.

    `gather` is called anew, from the first piece on, where a second library has to help the first out.
    """
    path = Path(path)
    size, beginning = _size_and_beginning(path)
    Excerpt(start, duration)

    def checked(pieces: Iterable[np.ndarray], rate: int, expected: int) -> Samples:
        return gather(_checked(pieces, rate, expected, path.name, start, room), rate, expected)

    with _readable_errors(path.name):
        return _read(path, size, beginning, start, duration, checked)


def _size_and_beginning(path: Path) -> tuple[int, bytes]:
    """Of a file that can be opened, how many bytes it has, and the first of them behind an ID3 tag."""
    try:
        if path.is_file():
            with path.open("rb") as file:
                beginning = file.read(HEAD_BYTES)
                if beginning.startswith(b"ID3"):
                    file.seek(10 + sum(byte << 7 * place for place, byte in enumerate(beginning[9:5:-1])))
                    beginning = file.read(HEAD_BYTES)
                return os.fstat(file.fileno()).st_size, beginning
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its name can't be one"
        raise ValueError(f"{path.name!r} can't be opened ({reason}): check it, or choose another file") from error
    raise FileNotFoundError(f"audio file {path.name!r} does not exist: check its name and folder")


@contextmanager
def _readable_errors(name: str) -> Iterator[None]:
    """What the libraries say about a file, as one sentence that names it. FFmpeg's own words for it would mislead."""
    try:
        yield
    except (av.FFmpegError, soundfile.SoundFileError) as error:
        code = getattr(error, "errno", None)
        reason = ""
        if code == errno.EINVAL:  # FFmpeg's word for a container that is not on the lists above
            reason = " (no known kind of recording; playlists are not followed)"
        elif isinstance(error, av.PatchWelcomeError):
            reason = " (recordings of different rates or channels are joined in it, or it is of a rare kind)"
        raise ValueError(f"{name!r} can't be read as audio{reason}: {OTHER_FILE}") from error
    except MemoryError as error:
        raise ValueError(f"{name!r} does not fit into memory: read a part of it (start, duration)") from error


def _checked(
    pieces: Iterable[np.ndarray], rate: int, expected: int, name: str, start: float, room: Room
) -> Iterator[np.ndarray]:
    """The pieces that have samples; ValueError if there are none or too many, or if they are not audio."""
    total, free = 0, float(SMALL)
    for piece in pieces:
        if len(piece):
            total += len(piece)
            size = 4 * piece.shape[1] * max(total, expected)
            if size > free and size > (free := room.free()):
                raise ValueError(
                    f"{name!r} unpacks to {size / 1e9:.2g} GB or more, and {room.place} has room for {free / 1e9:.2g} GB: "
                    f"{room.remedy}"
                )
            if total > LONGEST * rate:
                raise ValueError(f"{name!r} lasts more than {LONGEST:g} s: read a part of it (start, duration)")
            check_level(torch.from_numpy(piece), f"audio file {name!r}")
            yield piece
    if not total:
        remedy = f" after {start:g} s: choose an earlier start" if start else f": {OTHER_FILE}"
        raise ValueError(f"audio file {name!r} holds no sound{remedy}")


def _read(path: Path, size: int, beginning: bytes, start: float, duration: float, gather: Gather[Samples]) -> Samples:
    if COUNTED.match(beginning) and path.suffix.lower() != ".raw":  # soundfile believes that ending
        # As bytes, because soundfile knows no names but those in UTF-8; on Windows all are.
        name = os.fsencode(path) if os.name == "posix" else path
        with suppress(soundfile.SoundFileError), soundfile.SoundFile(name) as file:
            # A length that can be true; a wav without samples may have been written into a pipe.
            least = 1 if file.format in ("WAV", "WAVEX") else 0
            counted = least <= file.frames <= most_samples(size) // file.channels
            if not _is_joined(path, file.format) and counted and not file.subtype.startswith("MPEG"):
                return _read_with_libsndfile(file, start, duration, gather)
    allowed = {"protocol_whitelist": "file", "format_whitelist": DEMUXERS}
    with av.open(f"file:{path.absolute()}", container_options=allowed, **TAGS_AS_THEY_ARE) as container:
        return _read_with_ffmpeg(container, path.name, size, start, duration, gather)


def _is_joined(path: Path, form: str) -> bool:
    """Whether more than one recording begins in the file; ValueError if their heads tell different rates."""
    if form not in HEADS:
        return False
    rates: list[int] = []
    block = b""
    with suppress(FileNotFoundError), path.open("rb") as content:  # one deleted meanwhile is read from its open file
        while more := content.read(SCANNED_BYTES):
            block = block[1 - HEAD_BYTES :] + more
            rates += [int.from_bytes(rate, "big") >> 4 for rate in HEADS[form].findall(block)]
    for other in {*rates} - {*rates[:1]}:
        raise _joined_rates(path.name, rates[0], other)
    return len(rates) > 1


def _joined_rates(name: str, first: int, other: int) -> ValueError:
    return ValueError(f"{name!r} is joined from parts at {first} and {other} Hz: give it one rate, or split it")


def _read_with_libsndfile(file: soundfile.SoundFile, start: float, duration: float, gather: Gather[Samples]) -> Samples:
    first = min(round(start * file.samplerate), file.frames)
    last = min(first + round(duration * file.samplerate), file.frames) if duration else file.frames
    # In these subtypes a sample depends on all before it.
    skipped = 0 if file.subtype.startswith(("G72", "GSM")) else file.seek(first)
    pieces = takewhile(len, (file.read(SAMPLES_PER_PIECE, dtype="float32", always_2d=True) for _ in count()))
    return gather(_between(pieces, first - skipped, last - skipped), file.samplerate, last - first)


def _read_with_ffmpeg(
    container: av.container.InputContainer, name: str, size: int, start: float, duration: float, gather: Gather[Samples]
) -> Samples:
    stream = _sound_track(container, name)
    ticks = _seconds(stream, 1) * stream.codec_context.sample_rate
    timed = container.format.name in TIMED_DEMUXERS and ticks and (1 / ticks).denominator == 1
    early = max(start - SEEK_MARGIN, 0) if timed else 0.0
    frames = _frames(container, stream, early, name, size)
    head = next(frames, None)
    if head is None:
        return gather([], 0, 0)
    rate = head.sample_rate
    skipped = round(((head.time or 0) - _seconds(stream, stream.start_time)) * rate) if early else 0
    first = max(round(start * rate) - skipped, 0)
    last = round(start * rate) + round(duration * rate) - skipped if duration else None
    pieces = _between(_interleaved(chain([head], frames), head.layout.name, rate), first, last)
    declared = min(round(_seconds(stream, stream.duration) * rate), most_samples(size) // head.layout.nb_channels)
    return gather(pieces, rate, max(declared - skipped - first if last is None else min(declared, last - first), 0))


def _sound_track(container: av.container.InputContainer, name: str) -> av.AudioStream:
    """The track that a player plays."""
    if not container.streams.audio:
        raise ValueError(f"{name!r} has no audio stream: choose a recording or a video with sound")
    known = [stream for stream in container.streams.audio if stream.codec_context]
    if not known:
        raise ValueError(f"{name!r} has its sound in a codec that is not known here: convert it to flac")
    return next((stream for stream in known if stream.disposition & Disposition.default), known[0])


def _seconds(stream: av.AudioStream, ticks: int | None) -> Fraction:
    return (ticks or 0) * (stream.time_base or Fraction(1, av.time_base))


def _frames(
    container: av.container.InputContainer, stream: av.AudioStream, early: float, name: str, size: int
) -> Iterator[av.AudioFrame]:
    """Decoded frames, those that end before the second `early` left out; what is damaged is passed over.

    Raises ValueError if they are of different rates, or more than a file of `size` bytes has.
    """
    target = (stream.start_time or 0) + early / _seconds(stream, 1)
    if early and container.format.name.startswith("mov"):
        with suppress(av.FFmpegError, OverflowError):
            container.seek(int(target), stream=stream)
    rate = samples = packed = 0
    most, most_packed = most_samples(size), 2 * size + BYTES_OF_ANY
    with suppress(av.InvalidDataError):
        for packet in container.demux(stream):
            packed += packet.size
            if packed > most_packed or samples > most:
                raise ValueError(f"{name!r} unpacks to more sound than a file of its size has: {OTHER_FILE}")
            if early and packet.pts is not None and packet.pts + (packet.duration or 0) < target:
                continue
            decoded: list[av.AudioFrame] = []
            with suppress(av.InvalidDataError, ValueError):  # PyAV's for a decoder that damage kept from opening
                decoded = packet.decode()
            for frame in decoded:
                rate = rate or frame.sample_rate
                if frame.sample_rate != rate:
                    raise _joined_rates(name, rate, frame.sample_rate)
                samples += frame.samples * frame.layout.nb_channels
                yield frame


def most_samples(size: int) -> int:
    """Of all channels, that may come out of a file of `size` bytes."""
    return SAMPLES_OF_ANY + size * SAMPLES_PER_BYTE


def _between(pieces: Iterable[np.ndarray], first: int, last: int | None) -> Iterator[np.ndarray]:
    """The samples from `first` to before `last`, or to the end; pieces after them are not asked for."""
    position = 0
    for piece in pieces:
        yield piece[max(first - position, 0) : None if last is None else max(last - position, 0)]
        position += len(piece)
        if last is not None and position >= last:
            return


def _interleaved(frames: Iterable[av.AudioFrame], layout: str, rate: int) -> Iterator[np.ndarray]:
    """Frames as `[n, C]` of one layout, which a broadcast or a joined file may change midway."""
    for _, alike in groupby(frames, key=lambda frame: (frame.format.name, frame.layout.name)):
        # Interleaved: PyAV cannot hand out the planes of a planar frame with 8 channels.
        resampler = av.AudioResampler(format="flt", layout=layout, rate=rate, frame_size=SAMPLES_PER_PIECE)
        for frame in chain(alike, [None]):
            for converted in resampler.resample(frame):
                yield converted.to_ndarray().reshape(-1, converted.layout.nb_channels)


def _gather(pieces: Iterable[np.ndarray], rate: int, expected: int) -> tuple[np.ndarray, int]:
    """Pieces `[n, C]` as one `[C, T]`, in little more memory than that takes; where `expected` samples come, copied once."""
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
    chunks[-1] = chunks[-1][:, : chunks[-1].shape[1] - free]
    if len(chunks) == 1:
        return np.ascontiguousarray(chunks[0]), rate
    samples, end = np.empty((chunks[0].shape[0], total), np.float32), total
    while chunks:
        chunk = chunks.pop()
        samples[:, end - chunk.shape[1] : end] = chunk
        end -= chunk.shape[1]
    return samples, rate
