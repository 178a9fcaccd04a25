"""What the benchmarks share: a Stable-Diffusion-1.5-shaped U-Net with random weights, clocks, memory and tables."""

from __future__ import annotations

import argparse
import gc
import json
import threading
import time

import psutil
import torch

from stylus_ops.engine.engine import DTYPES, Engine, choose_device
from stylus_ops.engine.model import LoadedModel, sd_sigmas
from stylus_ops.engine.stable_diffusion import CONFIGS, UNet2DConditionModel

MB = 1e6
Rows = list[tuple[str, float, str]]
"""Name, value and unit of every line of a report."""


def options_of(description: str | None, steps: int) -> argparse.ArgumentParser:
    """The options of every benchmark; `steps` is the default of --steps."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps or auto")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--dtype", default="float32", choices=DTYPES, help="of the U-Net")
    parser.add_argument("--steps", type=int, default=steps, help="noise levels N")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    return parser


def random_sd15(options: argparse.Namespace) -> Engine:
    """The engine around a U-Net of Stable Diffusion 1.5's shape, without an autoencoder."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    device, dtype = choose_device(options.device), DTYPES[options.dtype]
    config = json.loads((CONFIGS / "sd1" / "unet" / "config.json").read_text())
    torch.set_default_dtype(dtype)
    with device:
        unet = UNet2DConditionModel.from_config(config).eval().requires_grad_(False)
    torch.set_default_dtype(torch.float32)
    context = torch.randn(1, 77, config["cross_attention_dim"]).to(device, dtype)
    model = LoadedModel(unet, None, context, sd_sigmas(), "epsilon", "sd-512")  # type: ignore[arg-type]
    return Engine("SD 1.5 shape, random weights", model, device, dtype)


def clock(engine: Engine) -> float:
    """Processor seconds on a CPU, where others' work would show in wall time; else wall seconds, once the device is done."""
    if engine.device.type == "cpu":
        return time.process_time()
    if engine.device.type == "cuda":
        torch.cuda.synchronize(engine.device)
    return time.perf_counter()


class PeakMemory:
    """Peak memory above what was used on entry, in bytes, while the block runs: resident memory of the process, read every
    5 ms, or allocated memory of a CUDA device."""

    def __init__(self, engine: Engine):
        self.device = engine.device
        self.bytes = 0

    def __enter__(self) -> PeakMemory:
        gc.collect()
        self._base = self._used()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            self._done = threading.Event()
            self._watch = threading.Thread(target=self._poll, daemon=True)
            self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.device.type == "cuda":
            self.bytes = torch.cuda.max_memory_allocated(self.device) - self._base
        else:
            self._done.set()
            self._watch.join()

    def _used(self) -> int:
        if self.device.type == "cuda":
            return torch.cuda.memory_allocated(self.device)
        return psutil.Process().memory_info().rss

    def _poll(self) -> None:
        while not self._done.wait(0.005):
            self.bytes = max(self.bytes, self._used() - self._base)


def report(title: str, options: argparse.Namespace, rows: Rows) -> None:
    """Print the rows, as a table or as one JSON object with the options beside them."""
    if options.json:
        results = {f"{name} [{unit}]" if unit else name: value for name, value, unit in rows}
        print(json.dumps({"options": vars(options), "torch": torch.__version__, "results": results}, default=str))
        return
    print(f"{title}, {options.dtype} on {options.device}, {options.threads} thread(s)")
    width = max(len(name) for name, _, _ in rows)
    for name, value, unit in rows:
        print(f"{name:{width}}  {value:{'10.3f' if isinstance(value, float) else '10'}} {unit}")
