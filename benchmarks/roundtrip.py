"""What recordings lose from audio to images and back, without diffusion.

`python -m benchmarks.roundtrip FILE [FILE ...]` prints, for the same part of every file:
phase, gain, pinv signal-to-noise ratio over everything (phase, gain) and below 10 kHz (phase_pinv, the paper's), in dB
codec             the same as pinv for the codec of the paper's authors: centre crop to a square, resize to 512, 8 bit
mel 0, mel 16     distance of the sound from the mel that was asked for, after 0 and 16 iterations of phase_pinv, in dB
seams             windows against one wide image, in dB of the signal
speed, MB         audio → mel → audio in multiples of real time, and the peak memory of the whole process so far
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from stylus_ops.audio.backend import resample
from stylus_ops.audio.decode import decode, magnitude_change
from stylus_ops.audio.files import read_audio
from stylus_ops.audio.geometry import PRESETS, SpectrogramParams
from stylus_ops.audio.mel import image_to_mel, mel_amplitudes, mel_to_image
from stylus_ops.audio.windows import audio_to_windows
from stylus_ops.dials import Decoding
from stylus_ops.engine.memory import peak_memory

COLUMNS = ("phase", "gain", "pinv", "codec", "mel 0", "mel 16", "seams", "speed", "MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--start", type=float, default=0.0, help="seconds to skip")
    parser.add_argument("--seconds", type=float, default=10.0, help="seconds to measure, 0 for all")
    parser.add_argument("--preset", choices=PRESETS, default="sd-512")
    parser.add_argument("--speed-only", action="store_true", help="leave out all but speed and memory")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    params = PRESETS[options.preset]
    warm_up(params)
    results = {str(file): measure(file, options, params) for file in options.files}
    if options.json:
        print(json.dumps({"preset": options.preset, "seconds": options.seconds, "files": results}))
        return
    print(" " * 40 + "".join(f"{name:>9}" for name in ("Hz", "channels", *COLUMNS)))
    for name, row in results.items():
        cells = (row.get(column) for column in ("Hz", "channels", *COLUMNS))
        print(f"{Path(name).name[:39]:40}" + "".join(f"{'' if x is None else round(x, 1):>9}" for x in cells))


def warm_up(params: SpectrogramParams) -> None:
    decode(*audio_to_windows(torch.ones(1, 2, 44100), 44100, params), Decoding())


def measure(file: Path, options: argparse.Namespace, params: SpectrogramParams) -> dict[str, float]:
    clip, rate = read_audio(file, options.start, options.seconds)
    result: dict[str, float] = {"Hz": rate, "channels": clip.shape[1], "duration": clip.shape[-1] / rate}
    began = time.perf_counter()
    images, spectrogram = audio_to_windows(clip, rate, params)
    phase = decode(images, spectrogram, Decoding())
    result["speed"] = result["duration"] / (time.perf_counter() - began)
    result["MB"] = peak_memory() / 1e6
    if options.speed_only:
        return result

    top = min(params.f_max, rate / 2)
    result["phase"] = snr(clip, phase)
    pinv = decode(images, spectrogram, Decoding("phase_pinv"))
    result["pinv"] = snr(below(clip, rate, top), below(pinv, rate, top))
    result["gain"] = snr(clip, decode(images, spectrogram, Decoding("gain")))
    wide = replace(params, width=max(params.width, spectrogram.frames))
    result["seams"] = -snr(decode(*audio_to_windows(clip, rate, wide), Decoding("phase_pinv")), pinv)

    at_mel_rate = resample(clip, rate, params.sample_rate)[0]
    mel = mel_amplitudes(at_mel_rate[None], params)[0]
    result["codec"] = authors_codec(at_mel_rate, params)
    for iterations in (0, 16):
        output = at_mel_rate + magnitude_change(at_mel_rate, mel, params, mel.amax(), iterations, "phase_pinv")
        distance = (mel_amplitudes(output[None], params)[0] - mel).norm() / mel.norm()
        result[f"mel {iterations}"] = 20 * math.log10(float(distance))
    return result


def authors_codec(waveform: Tensor, params: SpectrogramParams) -> float:
    """dB below `f_max` of the paper authors' image of the first 5 s, decoded with the content's phase."""
    waveform = waveform[:, : 5 * params.sample_rate]
    mel = mel_amplitudes(waveform[None], params)
    peak = mel.amax((1, 2))
    image = mel_to_image(mel, peak, params)
    height, width = image.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[:, top : top + side, left : left + side]
    resized = torch.nn.functional.interpolate(square[None], (512, 512), mode="bicubic", antialias=True)[0]
    eight_bit = (resized.clamp(0, 1) * 255).round() / 255
    decoded = image_to_mel(eight_bit, peak, replace(params, n_mels=512))[0]
    frames = min(decoded.shape[-1], width)
    part = waveform[:, : frames * params.hop_length - 1]
    output = part + magnitude_change(
        part, decoded[: params.n_mels, :frames], params, decoded.amax(), method="phase_pinv"
    )
    return snr(*(below(x, params.sample_rate, params.f_max) for x in (part, output)))


def snr(wanted: Tensor, got: Tensor) -> float:
    """Decibels of `wanted` over the difference; infinite when equal."""
    error = float((wanted.double() - got.double()).square().sum())
    return 10 * math.log10(float(wanted.double().square().sum()) / error) if error else math.inf


def below(waveform: Tensor, rate: int, frequency: float) -> Tensor:
    """The waveform without what lies above `frequency`."""
    spectrum = torch.fft.rfft(waveform.double())
    spectrum[..., int(frequency * waveform.shape[-1] / rate) :] = 0
    return torch.fft.irfft(spectrum, n=waveform.shape[-1])


if __name__ == "__main__":
    main()
