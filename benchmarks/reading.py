"""What care costs on sound files: reading them whole, against the libraries' own decoding of the same file.

`python -m benchmarks.reading [--seconds 120]` writes stereo noise in every format and prints CPU seconds and their ratio.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

import av
import numpy as np
import soundfile
import torch

from stylus_ops.audio.files import read_audio, write_audio

from .common import cpu_seconds

RATE = 48000
BY_SOUNDFILE = ("wav", "flac", "ogg", "opus")
BY_FFMPEG = ("mp3", "m4a")


def write(path: Path, waveform: torch.Tensor) -> None:
    if path.suffix == ".ogg":  # which the pack reads and does not write, like m4a
        with soundfile.SoundFile(path, "w", RATE, 2, "VORBIS") as file:
            for piece in waveform.split(1 << 16, 1):
                file.write(piece.t().numpy())
    elif path.suffix == ".m4a":
        with av.open(str(path), "w", format="mp4") as container:
            stream = container.add_stream("aac", rate=RATE, layout="stereo")
            for piece in waveform.split(1024, 1):
                frame = av.AudioFrame.from_ndarray(piece.contiguous().numpy(), "fltp", "stereo")
                frame.sample_rate = RATE
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    else:
        write_audio(path, waveform, RATE)


def by_soundfile(path: Path) -> None:
    soundfile.read(path, dtype="float32", always_2d=True)


def by_ffmpeg(path: Path) -> None:
    with av.open(str(path)) as file:
        np.concatenate([frame.to_ndarray() for frame in file.decode(audio=0)], axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120)
    seconds = parser.parse_args().seconds
    torch.set_num_threads(1)
    noise = 0.1 * torch.randn(2, round(seconds * RATE), generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (*BY_SOUNDFILE, *BY_FFMPEG):
            path = Path(folder, f"noise.{suffix}")
            write(path, noise)
            bare = cpu_seconds(partial(by_soundfile if suffix in BY_SOUNDFILE else by_ffmpeg, path))
            ours = cpu_seconds(partial(read_audio, path))
            print(f"{suffix:4} {ours:6.3f} s, bare {bare:6.3f} s, {ours / bare:.2f} times", flush=True)


if __name__ == "__main__":
    main()
