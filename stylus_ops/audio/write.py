"""Writing wav, flac, mp3 and opus, with tags."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import av
import torch
from torch import Tensor

from ..disk import write_atomically
from .backend import resample
from .lazy import Resampled, Waveform

SAMPLES_PER_PIECE = 1 << 16


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
        "wav", {"24": ("pcm_s24le", "s32"), "16": ("pcm_s16le", "s16"), "float": ("pcm_f32le", "flt")}, single_tag=True
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
# FFmpeg's names.
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
        write_atomically(path, lambda file: _encode(file, form, codec, waveform, rate, tags or {}), overwrite)
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
    path: Path, form: _Format, codec: tuple[str, str], waveform: Waveform, rate: int, tags: Mapping[str, str]
) -> None:
    layout = LAYOUTS.get(waveform.shape[0], f"{waveform.shape[0]} channels")
    with av.open(f"file:{path}", "w", format=form.container) as container:
        container.metadata.update(tags)
        stream = cast(av.AudioStream, container.add_stream(codec[0], rate=rate, layout=layout))
        stream.codec_context.format = codec[1]
        if form.bit_rate:
            stream.bit_rate = form.bit_rate
        for first in range(0, waveform.shape[1], SAMPLES_PER_PIECE):
            samples = waveform[:, first : first + SAMPLES_PER_PIECE].numpy().T.reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(samples, format="flt", layout=layout)
            frame.sample_rate = rate
            frame.pts = first
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
