"""A whole song on a model of Stable Diffusion 1.5's shape: seconds by stage, memory, and what the method adds to bare evaluations.

`python -m benchmarks.song --device cuda --dtype float16` restyles three minutes of stereo by ten seconds of another recording, a
section at a time as the command line does, without files. Bare evaluations are the same passes of the same rows without a hook,
taken after the transfer. Weights are random: what is heard is noise, what it costs is not.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from stylus_ops.audio.lazy import blocks
from stylus_ops.audio.spool import Spool
from stylus_ops.audio.windows import Recording
from stylus_ops.diffusion.features import Style
from stylus_ops.engine.engine import Engine
from stylus_ops.engine.stable_diffusion import CONFIGS, AutoencoderKL, ScaledAutoencoder
from stylus_ops.pipeline.settings import Settings
from stylus_ops.pipeline.transfer import Clip, Transfer

from .common import MB, PeakMemory, Rows, clock, options_of, random_sd15, report

RATE = 44100
STYLE_SECONDS = 10


class TimedTransfer(Transfer):
    """A transfer whose stages are timed by the benchmarks' clock."""

    def __init__(self, engine: Engine, settings: Settings, folder: Path):
        super().__init__(engine, settings, folder, quiet=True)
        self.spent: dict[str, float] = defaultdict(float)

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[tqdm]:
        began = clock(self.engine)
        with super().stage(name, total) as bar:
            yield bar
        self.spent[name] += clock(self.engine) - began


def random_model(options: argparse.Namespace) -> Engine:
    """U-Net and autoencoder with random weights, the autoencoder in float32 as it always is."""
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


def bare(engine: Engine, shape: torch.Size, passes: int) -> float:
    """Seconds of so many evaluations of latents of this shape."""
    x, sigma = torch.randn(shape).to(engine.device), torch.tensor(1.0)
    engine.evaluate(x, sigma)  # the first use of a batch size chooses kernels
    began = clock(engine)
    for _ in range(passes):
        engine.evaluate(x, sigma)
    return clock(engine) - began


def main() -> None:
    parser = options_of(__doc__, steps=10)
    parser.add_argument("--minutes", type=float, default=3.0, help="of the song")
    options = parser.parse_args()
    engine = random_model(options)
    before = engine.evaluations
    passes: Counter[torch.Size] = Counter()
    watch = engine.model.unet.register_forward_pre_hook(lambda unet, inputs: passes.update([inputs[0].shape]))
    with tempfile.TemporaryDirectory() as name, watch:
        folder = Path(name)
        run = TimedTransfer(engine, Settings(steps=options.steps), folder)
        song = Spool(folder, 2, RATE).extend([beats(60 * options.minutes, seed=1)])
        with PeakMemory(engine) as peak:
            with run.stage("read", 1):
                sounds = ((song, "pad"), (beats(STYLE_SECONDS, seed=2), "loop"))
                content, style = (
                    Clip("", Recording.cut(sound, RATE, run.params, run.settings.overlap, short))
                    for sound, short in sounds
                )
            inversion, capture = run.invert([content, style])
            output = run.decode(run.restyle(inversion, Style((capture,), (1.0,))), content, [style])
            with run.stage("write", 1):
                for _ in blocks(output):
                    pass
    evaluations = engine.evaluations - before
    alone = sum(bare(engine, *of_one_shape) for of_one_shape in passes.items())
    spent = {
        "sound to images": run.spent["read"],
        "encode": run.spent["encode"],
        "inversion and capture": run.spent["inversion"],
        "sampling": run.spent["sampling"],
        "decode, images to sound": run.spent["decode"] + run.spent["write"],
    }
    total, method = sum(spent.values()), spent["inversion and capture"] + spent["sampling"]
    rows: Rows = [
        ("windows", len(content.recording.starts), ""),
        ("windows in a pass, at most", max(shape[0] for shape in passes), ""),
        ("evaluations of a window", evaluations, ""),
        *((name, value, "s") for name, value in spent.items()),
        ("all of it", total, "s"),
        ("a minute of the song", total / options.minutes, "s"),
        ("bare evaluations", alone, "s"),
        ("inversion, capture and sampling / bare evaluations", method / alone, ""),
        ("peak memory above the model", peak.bytes / MB, "MB"),
    ]
    report(f"SD 1.5 shape, {options.minutes:g} min of stereo", options, rows)


if __name__ == "__main__":
    main()
