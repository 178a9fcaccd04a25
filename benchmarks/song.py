"""A whole song on a model of Stable Diffusion 1.5's shape: seconds, memory, and what the method adds to bare evaluations.

`python -m benchmarks.song --device cuda --dtype float16` restyles three minutes of stereo by ten seconds of another recording, a
section at a time as the command line does, without files. Weights are random: what is heard is noise, what it costs is not.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from functools import partial
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from stylus_ops.audio.lazy import blocks
from stylus_ops.audio.sections import LongRecording
from stylus_ops.audio.spool import Spool
from stylus_ops.diffusion.features import Inversion, Style
from stylus_ops.engine.engine import Engine
from stylus_ops.engine.loading import CONFIGS, ScaledAutoencoder
from stylus_ops.pipeline.long import LongTransfer
from stylus_ops.pipeline.settings import Settings
from stylus_ops.pipeline.transfer import Transfer
from stylus_ops.pipeline.transfer_files import LARGEST_BANK

from .common import MB, PeakMemory, Rows, arguments, latents, random_sd15, report, seconds, title

RATE = 44100
STYLE_SECONDS = 10
BARE_PASSES = 5


def random_model(options: argparse.Namespace) -> Engine:
    """U-Net and autoencoder with random weights."""
    engine = random_sd15(options)
    config = json.loads((CONFIGS / "sd1" / "vae" / "config.json").read_text())
    with engine.device:
        vae = AutoencoderKL.from_config(config).eval().requires_grad_(False)
    model = engine.model._replace(autoencoder=ScaledAutoencoder(vae))
    return Engine(engine.name, model, engine.device, engine.dtype)


def beats(seconds: float, seed: int) -> Tensor:
    """Noise that dies away twice a second, [2, samples]."""
    time = torch.arange(int(seconds * RATE)) / RATE
    return 0.1 * torch.randn(2, len(time), generator=torch.Generator().manual_seed(seed)) * torch.exp(-6 * (time % 0.5))


def main() -> None:
    parser = arguments(__doc__, [10])
    parser.add_argument("--minutes", type=float, default=3.0)
    options = parser.parse_args()
    engine = random_model(options)
    engine.evaluate(latents(engine, options, seed=0), torch.tensor(1.0))
    run = Transfer(engine, Settings(steps=options.steps), quiet=True)
    before = engine.evaluations
    with tempfile.TemporaryDirectory() as name, PeakMemory(engine) as peak:
        folder = Path(name)
        song = Spool(folder, 2, RATE).extend([beats(60 * options.minutes, seed=1)])
        style = run.clip(Path("style"), beats(STYLE_SECONDS, seed=2), RATE, "loop")
        content = LongRecording(song, RATE, run.params, run.settings.overlap)
        transfer = LongTransfer(run, content, folder)
        captures: list[Inversion] = []
        restyled: list[Tensor] = []

        def capture() -> None:
            captures.extend(run.invert([style], LARGEST_BANK))

        def restyle() -> None:
            restyled.append(transfer.restyle(Style(tuple(captures), (1.0,))))

        def hear() -> None:
            for _ in blocks(transfer.decode(*restyled)):
                pass

        spent = {work.__name__: seconds(engine, work) for work in (capture, restyle, hear)}
    evaluations, per_pass = engine.evaluations - before, run.chosen["windows_per_pass"]
    rows_of_noise = latents(engine, options, seed=3, windows=per_pass)
    engine.evaluate(rows_of_noise, torch.tensor(1.0))
    bare = partial(engine.evaluate, rows_of_noise, torch.tensor(1.0))
    a_row = seconds(engine, lambda: [bare() for _ in range(BARE_PASSES)]) / (BARE_PASSES * per_pass)
    model_seconds = spent["capture"] + spent["restyle"] - run.seconds["encode"]
    rows: Rows = [
        ("song", options.minutes, "min"),
        ("windows", len(content.starts), ""),
        ("windows in a pass", per_pass, ""),
        ("all of it", sum(spent.values()), "s"),
        ("of that the images encoded", run.seconds["encode"], "s"),
        ("of that inversion, capture and sampling", model_seconds, "s"),
        ("of that images decoded and heard", spent["hear"], "s"),
        ("evaluations of a window", evaluations, ""),
        ("inversion, capture and sampling / bare evaluations", model_seconds / (evaluations * a_row), ""),
        ("peak above the model", peak.bytes / MB, "MB"),
    ]
    report(title(options), options, rows)


if __name__ == "__main__":
    main()
