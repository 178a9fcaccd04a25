"""A whole song on a model of Stable Diffusion 1.5's shape: seconds by stage, memory, and what the method adds to bare evaluations.

`python -m benchmarks.song --device cuda --dtype float16` restyles three minutes of stereo by ten seconds of another recording, a
section at a time as the command line does, without files. Bare evaluations are the same passes of the same rows without a hook,
taken after the transfer. Weights are random: what is heard is noise, what it costs is not.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
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
from stylus_ops.engine.engine import DTYPES, Engine, choose_device
from stylus_ops.engine.memory import peak_memory
from stylus_ops.engine.model import LoadedModel, sd_sigmas
from stylus_ops.engine.stable_diffusion import CONFIGS, AutoencoderKL, ScaledAutoencoder, UNet2DConditionModel
from stylus_ops.pipeline.settings import Settings
from stylus_ops.pipeline.transfer import Clip, Transfer

MB = 1e6
RATE = 44100
STYLE_SECONDS = 10


def clock(engine: Engine) -> float:
    """Processor seconds on a CPU, where others' work would show in wall time; else wall seconds, once the device is done."""
    if engine.device.type == "cpu":
        return time.process_time()
    if engine.device.type == "cuda":
        torch.cuda.synchronize(engine.device)
    return time.perf_counter()


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
    """The engine around a U-Net and an autoencoder with random weights, the autoencoder in float32 as it always is."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    device, dtype = choose_device(options.device), DTYPES[options.dtype]
    unet_config, vae_config = (
        json.loads((CONFIGS / "sd1" / part / "config.json").read_text()) for part in ("unet", "vae")
    )
    with device:
        unet = UNet2DConditionModel.from_config(unet_config).to(dtype).eval().requires_grad_(False)
        vae = AutoencoderKL.from_config(vae_config).eval().requires_grad_(False)
    context = torch.randn(1, 77, unet_config["cross_attention_dim"]).to(device, dtype)
    model = LoadedModel(unet, ScaledAutoencoder(vae), context, sd_sigmas(), "epsilon", "sd-512")
    return Engine("SD 1.5 shape, random weights", model, device, dtype)


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps or auto")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--dtype", default="float32", choices=DTYPES, help="of the U-Net")
    parser.add_argument("--steps", type=int, default=10, help="noise levels N")
    parser.add_argument("--minutes", type=float, default=3.0, help="of the song")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()
    engine = random_model(options)
    before = engine.evaluations
    passes: Counter[torch.Size] = Counter()
    watch = engine.model.unet.register_forward_pre_hook(lambda unet, inputs: passes.update([inputs[0].shape]))
    with tempfile.TemporaryDirectory() as name, watch:
        folder = Path(name)
        run = TimedTransfer(engine, Settings(steps=options.steps), folder)
        song = Spool(folder, 2, RATE).extend([beats(60 * options.minutes, seed=1)])
        if engine.device.type == "cuda":
            base = torch.cuda.memory_allocated(engine.device)
            torch.cuda.reset_peak_memory_stats(engine.device)
        with run.stage("read", 1):
            sounds = ((song, "pad"), (beats(STYLE_SECONDS, seed=2), "loop"))
            content, style = (
                Clip("", Recording.cut(sound, RATE, run.params, run.settings.overlap, short)) for sound, short in sounds
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
    rows: list[tuple[str, float, str]] = [
        ("windows", len(content.recording.starts), ""),
        ("windows in a pass, at most", max(shape[0] for shape in passes), ""),
        ("evaluations of a window", evaluations, ""),
        *((name, value, "s") for name, value in spent.items()),
        ("all of it", total, "s"),
        ("a minute of the song", total / options.minutes, "s"),
        ("bare evaluations", alone, "s"),
        ("inversion, capture and sampling / bare evaluations", method / alone, ""),
    ]
    if engine.device.type == "cuda":
        above = torch.cuda.max_memory_allocated(engine.device) - base
        rows.append(("peak memory above the model", above / MB, "MB"))
    else:
        rows.append(("peak memory of the process", peak_memory() / MB, "MB"))
    if options.json:
        results = {f"{name} [{unit}]" if unit else name: value for name, value, unit in rows}
        print(json.dumps({"options": vars(options), "torch": torch.__version__, "results": results}))
        return
    print(f"SD 1.5 shape, {options.minutes:g} min of stereo, {options.dtype} on {options.device}")
    for name, value, unit in rows:
        print(f"{name:50}  {value:{'10.3f' if isinstance(value, float) else '10'}} {unit}")


if __name__ == "__main__":
    main()
