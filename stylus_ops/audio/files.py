"""Audio files: reading what libsndfile or FFmpeg (PyAV) reads, writing wav, flac, mp3 and opus with tags."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soundfile
import torch
from torch import Tensor

from ..output_files import write_atomically
from .backend import resample

SEEK_MARGIN = 0.5  # seconds decoded and dropped before the start, while a lossy decoder settles
SAMPLES_PER_FRAME = 1 << 16
UNKNOWN_LENGTH = (1 << 63) - 1  # what libsndfile takes a flac for that was written into a pipe


def read_audio(path: str | os.PathLike[str], start: float = 0.0, duration: float = 0.0) -> tuple[Tensor, int]:
    """Read a recording, or the sound track of a video; only the part asked for is decoded.

    Args:
        start, duration: in seconds; a duration of 0 means up to the end. A part that reaches past the end is cut there.
    Returns:
        `[1, C, T]` float32 and its sample rate.
    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no sound in it, or `start` lies behind its end.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"audio file {path.name!r} does not exist; check its name and folder.")
    if not (0 <= start < float("inf") and 0 <= duration < float("inf")):
        raise ValueError(f"start ({start} s) and duration ({duration} s) must be 0 or more.")
    try:
        samples, rate = _read_with_libsndfile(path, start, duration)
    except soundfile.LibsndfileError:
        samples, rate = _read_with_ffmpeg(path, start, duration)
    if samples.shape[1] == 0:
        raise ValueError(f"audio file {path.name!r} holds no sound after {start:g} s; choose an earlier start.")
    return torch.from_numpy(samples)[None], rate


def _read_with_libsndfile(path: Path, start: float, duration: float) -> tuple[np.ndarray, int]:
    with soundfile.SoundFile(path) as file:
        if file.frames == UNKNOWN_LENGTH:
            return _read_with_ffmpeg(path, start, duration)
        wanted = file.frames - file.seek(min(round(start * file.samplerate), file.frames))
        if duration:
            wanted = min(wanted, round(duration * file.samplerate))
        samples, read = np.empty((file.channels, wanted), np.float32), 0
        for block in file.blocks(SAMPLES_PER_FRAME, frames=wanted, dtype="float32", always_2d=True):
            samples[:, read : read + len(block)] = block.T
            read += len(block)
        return samples[:, :read], file.samplerate


def _read_with_ffmpeg(path: Path, start: float, duration: float) -> tuple[np.ndarray, int]:
    try:
        with av.open(os.fspath(path)) as container:
            if not container.streams.audio:
                raise ValueError(f"{path.name!r} has no audio stream; choose a recording or a video with sound.")
            stream = container.streams.audio[0]
            rate, channels = stream.codec_context.sample_rate, stream.codec_context.channels
            first = round(start * rate)
            last = first + round(duration * rate) if duration else None
            if start > SEEK_MARGIN and stream.time_base:
                origin = stream.start_time or 0
                container.seek(origin + int((start - SEEK_MARGIN) / stream.time_base), stream=stream)
            pieces = list(_decode(container, stream, first, last))
    except av.FFmpegError as error:
        raise ValueError(f"{path.name!r} cannot be read as audio ({error.strerror}); is the file damaged?") from error
    return np.concatenate(pieces or [np.empty((channels, 0), np.float32)], axis=1), rate


def _decode(
    container: av.container.InputContainer, stream: av.AudioStream, first: int, last: int | None
) -> Iterator[np.ndarray]:
    """Pieces `[C, T]` that together hold the samples `first` to `last` of the stream."""
    rate, channels = stream.codec_context.sample_rate, stream.codec_context.channels
    # Interleaved: PyAV cannot hand out the planes of a planar frame with 8 channels.
    interleave = av.AudioResampler(format="flt", layout=stream.codec_context.layout.name, rate=rate)
    position = None
    for frame in container.decode(stream):
        if position is None:
            origin = (stream.start_time or 0) * (stream.time_base or 0)
            position = round(((frame.time or 0.0) - origin) * rate)
        for converted in interleave.resample(frame):
            piece = converted.to_ndarray().reshape(-1, channels).T
            begin, end = max(first - position, 0), piece.shape[1] if last is None else last - position
            position += piece.shape[1]
            yield piece[:, begin : max(end, 0)]
        if last is not None and position >= last:
            return


@dataclass(frozen=True)
class _Format:
    container: str
    codecs: Mapping[str, tuple[str, str]]  # bit depth -> codec, sample format
    channels: int | None = None  # at most
    rates: tuple[int, ...] = ()  # any when empty
    bit_rate: int | None = None
    single_tag: bool = False  # one "comment" as JSON, for a container that keeps no tags of other names


FORMATS = {
    "flac": _Format("flac", {"24": ("flac", "s32"), "16": ("flac", "s16")}, channels=8),
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


def write_audio(
    path: str | os.PathLike[str],
    waveform: Tensor,
    sample_rate: int,
    bit_depth: str = "24",
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write one clip; the suffix of `path` chooses the format. Nothing is left behind when writing fails.

    A rate that mp3 or opus do not know is resampled to the next one that they do. Samples beyond full scale are
    clipped by every format but a wav of float.

    Args:
        waveform: `[C, T]`.
        bit_depth: "16" or "24" for flac and wav, "float" for wav; mp3 and opus have none.
        tags: written as they are; in a wav, which knows no free names, as one JSON object in its comment.
    Raises:
        ValueError: format, bit depth or channel count that cannot be written.
        OSError: the folder cannot be written to.
    """
    path = Path(path)
    name = path.suffix.lstrip(".").lower()
    if name not in FORMATS:
        raise ValueError(f"{path.name!r} has no known audio format; end it in .{', .'.join(FORMATS)}.")
    form = FORMATS[name]
    if "" not in form.codecs and bit_depth not in form.codecs:
        raise ValueError(f"bit_depth is {bit_depth!r}; {name} has {', '.join(form.codecs)}.")
    channels = waveform.shape[0]
    if form.channels and channels > form.channels:
        raise ValueError(f"{name} holds at most {form.channels} channels and the audio has {channels}; save it as wav.")
    rate = next((rate for rate in form.rates if rate >= sample_rate), max(form.rates, default=sample_rate))
    waveform = resample(waveform.detach().to("cpu", torch.float32), sample_rate, rate)
    if form.single_tag and tags:
        tags = {"comment": json.dumps(dict(tags))}

    codec = form.codecs[bit_depth if "" not in form.codecs else ""]
    try:
        write_atomically(path, lambda temporary: _encode(os.fspath(temporary), form, codec, waveform, rate, tags or {}))
    except OSError as error:
        raise OSError(f"cannot write to the folder {path.parent}: {error.strerror}. Choose another folder.") from error


def _encode(
    path: str, form: _Format, codec: tuple[str, str], waveform: Tensor, rate: int, tags: Mapping[str, str]
) -> None:
    channels = waveform.shape[0]
    layout = LAYOUTS.get(channels, f"{channels} channels")
    with av.open(path, "w", format=form.container) as container:
        container.metadata.update(tags)
        stream = container.add_stream(codec[0], rate=rate, layout=layout)
        stream.codec_context.format = codec[1]
        if form.bit_rate:
            stream.bit_rate = form.bit_rate
        for first in range(0, waveform.shape[1], SAMPLES_PER_FRAME):
            samples = waveform[:, first : first + SAMPLES_PER_FRAME].t().reshape(1, -1).numpy()
            frame = av.AudioFrame.from_ndarray(samples, format="flt", layout=layout)
            frame.sample_rate = rate
            frame.pts = first
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
