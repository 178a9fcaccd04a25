"""What the benchmarks share: a Stable-Diffusion-1.5-shaped U-Net with random weights, clocks, memory and tables."""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import psutil
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from stylus_ops.dials import Schedule
from stylus_ops.diffusion.features import Inversion, Style
from stylus_ops.diffusion.recorder import Recorder, record
from stylus_ops.diffusion.sampling import sample
from stylus_ops.diffusion.schedule import ddim_sigmas
from stylus_ops.diffusion.sites import Site, resolve_sites
from stylus_ops.diffusion.stylizer import Stylizer
from stylus_ops.engine.engine import DTYPES, Engine, choose_device
from stylus_ops.engine.model import LoadedModel, sd_sigmas
from stylus_ops.engine.stable_diffusion import CONFIGS, UNet2DConditionModel

MB = 1e6
Rows = list[tuple[str, float, str]]
"""Name, value and unit of every line of a report."""


def options_of(description: str | None) -> argparse.ArgumentParser:
    """The options of every benchmark."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps or auto")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    return parser


def arguments(description: str | None, steps: Sequence[int]) -> argparse.ArgumentParser:
    """The options of a benchmark on `random_sd15`; `steps` is the default of --steps, one number or several."""
    parser = options_of(description)
    parser.add_argument("--size", type=int, default=512, help="side of the square image in pixels")
    parser.add_argument("--dtype", default="float32", choices=DTYPES, help="of the U-Net")
    many: dict[str, Any] = {"nargs": "+", "default": list(steps)} if len(steps) > 1 else {"default": steps[0]}
    parser.add_argument("--steps", type=int, help="noise levels N", **many)
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


def latents(engine: Engine, options: argparse.Namespace, seed: int, windows: int = 1) -> Tensor:
    side = options.size // 8
    return torch.randn(windows, 4, side, side, generator=torch.Generator().manual_seed(seed)).to(engine.device)


def nodes(engine: Engine, steps: int) -> Tensor:
    return ddim_sigmas(engine.model.sigmas, steps).to(engine.device)


def sites(engine: Engine) -> tuple[Site, ...]:
    return resolve_sites("auto", engine.decoder)


def inverted(engine: Engine, clip: Tensor, sigmas: Tensor, features: str, per_pass: int = 1) -> Inversion:
    """The clip's inversion with its features under the policy `features`."""
    recorder = Recorder(sigmas, sites(engine), features)
    return record(recorder, lambda x, sigma: recorder(engine.evaluate, x, sigma, per_pass), clip, Schedule())


def restyled(
    engine: Engine,
    stylizer: Stylizer,
    per_pass: int = 1,
    on_step: Callable[[int, Tensor, Tensor], None] | None = None,
) -> Tensor:
    """Sampling with the style injected."""
    return sample(
        lambda x, sigma: stylizer(engine.evaluate, x, sigma, per_pass),
        stylizer.start_latents().to(engine.device),
        stylizer.content.sigmas.to(engine.device),
        on_step,
    )


def single(capture: Inversion) -> Style:
    return Style((capture,), (1.0,))


def clock(engine: Engine) -> float:
    """Processor seconds on a CPU, where others' work would show in wall time; else wall seconds, once the device is done."""
    if engine.device.type == "cpu":
        return time.process_time()
    if engine.device.type == "cuda":
        torch.cuda.synchronize(engine.device)
    return time.perf_counter()


def seconds(engine: Engine, work: Callable[[], Any]) -> float:
    """What one call costs by the `clock`."""
    began = clock(engine)
    work()
    return clock(engine) - began


class PeakMemory:
    """Peak memory above what was held on entry, in bytes, while the block runs: resident memory of the process, looked at every
    5 ms, or allocated memory of a CUDA device."""

    def __init__(self, engine: Engine):
        self.device = engine.device
        self.bytes = 0

    def __enter__(self) -> PeakMemory:
        gc.collect()
        _return_freed_memory()
        self._base = self._held()
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

    def _held(self) -> int:
        if self.device.type == "cuda":
            return torch.cuda.memory_allocated(self.device)
        return psutil.Process().memory_info().rss

    def _poll(self) -> None:
        while not self._done.wait(0.005):
            self.bytes = max(self.bytes, self._held() - self._base)


class LiveTensors(TorchDispatchMode):
    """Peak bytes of the tensors that operations made and that were still held, without the model's weights and without what an
    operation needs for itself or the allocator keeps back."""

    def __init__(self, engine: Engine):
        super().__init__()
        self.peak = 0
        self._held = 0
        self._known = {weight.untyped_storage()._cdata for weight in engine.model.unet.parameters()}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in filter(torch.is_tensor, tree_leaves(result)):
            storage = tensor.untyped_storage()
            if storage._cdata not in self._known:
                self._known.add(storage._cdata)
                self._held += storage.nbytes()
                weakref.finalize(storage, self._freed, storage._cdata, storage.nbytes())
        self.peak = max(self.peak, self._held)
        return result

    def _freed(self, storage: int, nbytes: int) -> None:
        self._known.discard(storage)
        self._held -= nbytes


def _return_freed_memory() -> None:
    """glibc keeps freed memory for later, which would hide what is taken next."""
    if sys.platform == "linux":
        with suppress(AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)


def live_tensor_bytes() -> int:
    """Bytes of every tensor that Python holds, shared storage counted once."""
    gc.collect()
    storages = {}
    for thing in gc.get_objects():
        if issubclass(type(thing), Tensor):
            storage = thing.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


def report(title: str, options: argparse.Namespace, rows: Rows) -> None:
    """Print the rows, as a table or as one JSON object with the options beside them."""
    if options.json:
        results = {f"{name} [{unit}]" if unit else name: value for name, value, unit in rows}
        print(json.dumps({"options": vars(options), "torch": torch.__version__, "results": results}, default=str))
        return
    print(f"{title}, {options.dtype} on {options.device}, {options.threads} thread(s)")
    width = max(len(name) for name, _, _ in rows)
    for name, value, unit in rows:
        print(
            f"{name:{width}}  {value:10.3f} {unit}"
            if isinstance(value, float)
            else f"{name:{width}}  {value:10} {unit}"
        )


def title(options: argparse.Namespace) -> str:
    return f"SD 1.5 shape, {options.size}x{options.size}"
