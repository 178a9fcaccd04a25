"""Stable Diffusion 1.5's own shapes with random weights, once through the ComfyUI graph and once through the command line.

    python -m tests.full_size

One window of 512x512, 2 steps, float32, on the CPU. Prints seconds and peak memory of both as JSON.
Needs 10 GB of memory, 2.2 GB on disk and a ComfyUI (see tests/integration/comfy_server.py).
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import soundfile
import torch

from stylus_ops.tiny import RECORDINGS
from tests.canvas import prompt
from tests.checkpoints import SD15, sd_checkpoint
from tests.integration.comfy_server import PACK, ComfyServer, Graph, find_installs

CHECKPOINT = "checkpoints/sd15-random.safetensors"
SECONDS = 4.0
STEPS = 2


class PeakMemory(threading.Thread):
    """Largest resident memory of a server, looked at five times a second."""

    def __init__(self, comfy: ComfyServer):
        super().__init__(daemon=True)
        self.comfy, self.bytes, self._ended = comfy, 0, threading.Event()

    def run(self) -> None:
        while not self._ended.wait(0.2):
            self.bytes = max(self.bytes, self.comfy.resident_memory)

    def end(self) -> int:
        self._ended.set()
        self.join()
        return self.bytes


def quick_start() -> Graph:
    (template,) = (PACK / "workflows").glob("*Stable Diffusion 1.5.json")
    graph = prompt(json.loads(template.read_text(encoding="utf-8")))
    for node in graph.values():
        inputs = node["inputs"]
        small = {"ckpt_name": Path(CHECKPOINT).name, "steps": STEPS, "duration": SECONDS}
        inputs.update({name: value for name, value in small.items() if name in inputs})
    return graph


def through_comfyui(folder: Path, models: Path) -> dict[str, float | str]:
    install = find_installs()[0]
    with ComfyServer(install, folder, models) as comfy:
        peak = PeakMemory(comfy)
        peak.start()
        start = time.perf_counter()
        run = comfy.run(quick_start(), timeout=3600)
        seconds = time.perf_counter() - start
    if run.error:
        raise RuntimeError(run.error)
    return {"host": f"ComfyUI {install.version}", "wall_seconds": seconds, "peak_bytes": peak.end()}


def through_the_command_line(folder: Path, models: Path) -> dict[str, float | str]:
    folder.mkdir()
    clips = []
    for name in ("melody", "style_a"):
        samples, rate = soundfile.read(RECORDINGS / f"{name}.flac")
        clips.append(folder / f"{name}.wav")
        soundfile.write(clips[-1], samples[: round(SECONDS * rate)], rate)
    command = [sys.executable, "-m", "stylus_ops", "transfer", *map(str, clips), "-o", str(folder / "out.flac")]
    command += ["--model", str(models / CHECKPOINT), "--steps", str(STEPS), "--dtype", "float32", "--json"]
    start = time.perf_counter()
    report = json.loads(subprocess.run(command, cwd=PACK, check=True, stdout=subprocess.PIPE).stdout)
    return {"host": "command line", "wall_seconds": time.perf_counter() - start, **report}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = folder / "models"
        sd_checkpoint(models / CHECKPOINT, SD15, torch.float16)
        for measure in (through_comfyui, through_the_command_line):
            print(json.dumps(measure(folder / measure.__name__, models), indent=1), flush=True)


if __name__ == "__main__":
    main()
