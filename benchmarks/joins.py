"""Whether the places where windows join can be told from the rest of a transfer's output.

`python -m benchmarks.joins CONTENT STYLE [CONTENT STYLE ...]` runs whole transfers with the bundled prior (or --model) and
prints for every pair, for the output and in brackets for the untouched content at the same frames:
step    median difference between neighbouring mel frames where windows join, over the median elsewhere
dB      the same of the frames' levels in dB, 60 dB down from the peak
across  difference in dB between the half windows before and after a join, over the median of that elsewhere
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path

import torch
from torch import Tensor

from stylus_ops.audio.backend import resample
from stylus_ops.audio.files import read_audio, write_audio
from stylus_ops.audio.mel import mel_amplitudes
from stylus_ops.audio.windows import Recording, Spectrogram
from stylus_ops.diffusion.features import Style
from stylus_ops.engine.engine import Engine
from stylus_ops.pipeline.settings import Settings
from stylus_ops.pipeline.transfer import Clip, Transfer

FLOOR = 1e-3  # of the peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="content and style, once or several times")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=40.0, help="of the content; the style's first 5 s are taken")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--out", type=Path, help="a folder for the sounds")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()
    if len(options.files) % 2:
        parser.error("give a style for each content")
    torch.set_num_threads(options.threads)
    engine = Engine.load(options.model)
    results = {}
    for content, style in zip(options.files[::2], options.files[1::2], strict=True):
        results[f"{content.stem} + {style.stem}"] = measure(engine, content, style, options)
    if options.json:
        print(json.dumps({"model": options.model, "steps": options.steps, "pairs": results}))
        return
    print(f"{'':44}{'joins':>6}" + "".join(f"{name:>14}" for name in ("step", "dB", "across")))
    for name, row in results.items():
        pairs = (f"{row[column]:.2f} ({row[column + ' of content']:.2f})" for column in ("step", "dB", "across"))
        print(f"{name[:43]:44}{row['joins']:>6}" + "".join(f"{pair:>14}" for pair in pairs))


def measure(engine: Engine, content: Path, style: Path, options: argparse.Namespace) -> dict[str, float]:
    run = Transfer(engine, Settings(steps=options.steps), quiet=True)
    clips = []
    for path, seconds, short_clip in ((content, options.seconds, "pad"), (style, 5.0, "loop")):
        waveform, rate = read_audio(path, 0, seconds)
        clips.append(Clip(path.name, Recording.cut(waveform[0], rate, run.params, run.settings.overlap, short_clip)))
    inversion, capture = run.invert(clips)
    output = run.decode(run.restyle(inversion, Style((capture,), (1.0,))), clips[0])[:, :]
    spectrogram = clips[0].recording.part(slice(None))
    if len(spectrogram.starts) < 2:
        raise SystemExit(f"{content} is one window long and has no joins: give a longer recording")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        write_audio(options.out / f"{content.stem} + {style.stem}.flac", output, spectrogram.sample_rate)
    row: dict[str, float] = {"joins": len(spectrogram.starts) - 1}
    for suffix, waveform in (("", output[None]), (" of content", spectrogram.waveform)):
        row |= {name + suffix: value for name, value in at_joins(waveform, spectrogram).items()}
    return row


def at_joins(waveform: Tensor, spectrogram: Spectrogram) -> dict[str, float]:
    """Differences where windows join over those elsewhere, of a waveform [1, C, T] cut like `spectrogram`."""
    params, starts = spectrogram.params, spectrogram.starts
    mel = mel_amplitudes(resample(waveform, spectrogram.sample_rate, params.sample_rate), params)[0]
    level = 20 * mel.clamp(min=FLOOR * mel.max()).log10()
    joined = torch.zeros(mel.shape[-1] - 1, dtype=torch.bool)
    for earlier, later in itertools.pairwise(starts):
        joined[later - 1 : earlier + params.width] = True
    step = mel.diff().norm(dim=0)
    decibels = level.diff().abs().mean(0)
    half = params.width // 2
    sums = torch.nn.functional.pad(level.cumsum(1), (1, 0))
    means = (sums[:, half:] - sums[:, :-half]) / half
    across = (
        (means[:, half:] - means[:, :-half]).abs().mean(0)
    )  # of the frames t .. t + half - 1 and the next half window
    centres = [(later + earlier + params.width) // 2 - half for earlier, later in itertools.pairwise(starts)]
    at = across[[centre for centre in centres if centre < len(across)]]
    return {
        "step": float(step[joined].median() / step[~joined].median()),
        "dB": float(decibels[joined].median() / decibels[~joined].median()),
        "across": float(at.median() / across.median()),
    }


if __name__ == "__main__":
    main()
