"""A whole song stage by stage, its memory, and what the method adds to bare evaluations.

`python -m benchmarks.song` restyles three minutes of stereo by ten seconds of another recording with the bundled prior, as the
command line does. Bare evaluations are the same passes of the same rows without a hook, taken after the transfer.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from stylus_ops.audio.write import write_audio
from stylus_ops.engine.engine import DTYPES, Engine
from stylus_ops.pipeline import transfer
from stylus_ops.pipeline.settings import Settings

RATE = 44100
SPENT: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
"""Wall and processor seconds of each stage."""


@contextmanager
def timed(name: str, device: torch.device) -> Iterator[None]:
    """Takes the time of a stage until the device is done, too."""
    began = time.perf_counter(), time.process_time()
    yield
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    for clock, now in enumerate((time.perf_counter(), time.process_time())):
        SPENT[name][clock] += now - began[clock]


class TimedTransfer(transfer.Transfer):
    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[tqdm]:
        with timed(name, self.engine.device), super().stage(name, total) as bar:
            yield bar


def beats(seconds: float, seed: int) -> Tensor:
    """Noise that dies away twice a second, [2, samples]."""
    time = torch.arange(int(seconds * RATE)) / RATE
    return 0.1 * torch.randn(2, len(time), generator=torch.Generator().manual_seed(seed)) * torch.exp(-6 * (time % 0.5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny", help="as for stylus transfer")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps or auto")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--dtype", default="auto", choices=("auto", *DTYPES), help="of the U-Net")
    parser.add_argument("--steps", type=int, default=Settings().steps, help="noise levels N")
    parser.add_argument("--minutes", type=float, default=3.0, help="of the song")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    engine = Engine.load(options.model, options.device, options.dtype)
    device = engine.device
    passes: Counter[torch.Size] = Counter()
    watch = engine.model.unet.register_forward_pre_hook(lambda unet, inputs: passes.update([inputs[0].shape]))
    transfer.Transfer = TimedTransfer  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as name, watch:
        files = transfer.Files(Path(name, "song.wav"), [Path(name, "style.wav")], Path(name, "result.wav"))
        for path, seconds, seed in ((files.content, 60 * options.minutes, 1), (files.styles[0], 10, 2)):
            write_audio(path, beats(seconds, seed), RATE)
        with timed("all", device):
            report = transfer.transfer_files(engine, files, Settings(steps=options.steps), quiet=True)
    by, everything = int(device.type == "cpu"), SPENT.pop("all")  # on a CPU others' work shows in wall time
    SPENT["levels"] = [whole - sum(parts) for whole, *parts in zip(everything, *SPENT.values(), strict=True)]
    print(f"{engine.name}, {options.minutes:g} minutes, {report['windows']} windows, {report['chosen']}")
    for stage, spent in {**SPENT, "all": everything}.items():
        print("{:10} {:8.2f} s, {:8.2f} s of processor time, {:6.1%}".format(stage, *spent, spent[by] / everything[by]))
    mixed = torch.autocast("cpu", torch.bfloat16, enabled=engine.mixed and report["chosen"]["dtype"] == "bfloat16")
    with timed("bare", device), mixed:
        for shape, count in passes.items():
            x = torch.randn(shape).to(device)
            for _ in range(count):
                engine.evaluate(x, torch.tensor(1.0))
    method = SPENT["inversion"][by] + SPENT["sampling"][by]
    print(f"inversion and sampling: {method / SPENT['bare'][by]:.3f} of their bare evaluations")
    print({kind: report[f"peak_{kind}_bytes"] for kind in ("memory", "device_memory")}, "bytes at most")


if __name__ == "__main__":
    main()
