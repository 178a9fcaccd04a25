"""What somebody does who has a ComfyUI and hears of Stylus: clone, install the requirements, start, press Run. With times.

python -m tests.newcomer COMFYUI [--python COMFYUI/venv/bin/python]      # requirements go into that Python
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.canvas import prompt
from tests.integration.comfy_server import PACK, ComfyInstall, ComfyServer

QUICK_START = PACK / "workflows" / "1 Quick start.json"


class Visit(NamedTuple):
    seconds: dict[str, float]
    """Wall time of each step; `import` is ComfyUI's own measure, a part of `start`."""
    log: list[str]
    """What was logged about the pack until the server answered."""
    file: Path
    """The recording that the quick start saved."""


def visit(install: ComfyInstall, folder: Path) -> Visit:
    """Install this repository's last commit into an empty base directory in `folder`, and run its quick start.

    Raises:
        ComfyUnavailable: this ComfyUI does not start.
        CalledProcessError: git or pip failed.
    """
    clone = folder / "base" / "custom_nodes" / "stylus"
    models = folder / "models"
    models.mkdir(parents=True)
    seconds: dict[str, float] = {}
    began = time.perf_counter()

    def done(step: str) -> None:
        seconds[step] = time.perf_counter() - began - sum(seconds.values())

    subprocess.run(["git", "clone", "--quiet", str(PACK), str(clone)], check=True)
    done("clone")
    pip = [str(install.python), "-m", "pip", "install", "--quiet", "-r", str(clone / "requirements.txt")]
    subprocess.run(pip, check=True)
    done("install")
    with ComfyServer(install, folder / "base", models, packs={}) as server:
        done("start")
        log = [line for line in server.log.splitlines() if "custom_nodes/stylus" in line.replace("\\", "/")]
        graph = prompt(json.loads(QUICK_START.read_text(encoding="utf-8")))
        run = server.finish(graph)
        done("quick start")
        (saver,) = [id for id, node in graph.items() if node["class_type"] == "StylusSaveAudio"]
        (file,) = server.files(run, saver, "audio")
    seconds["import"] = sum(float(found) for found in re.findall(r"([\d.]+) seconds", "\n".join(log)))
    return Visit(seconds, log, file)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.newcomer", description=__doc__)
    parser.add_argument("comfyui", type=Path, metavar="COMFYUI", help="folder of a ComfyUI")
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="Python that has its requirements")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        visited = visit(ComfyInstall(args.comfyui, args.python), Path(folder))
        for step, value in visited.seconds.items():
            print(f"{step:12}{value:8.1f} s")
        print(f"{visited.file.name}, {visited.file.stat().st_size} bytes", *visited.log, sep="\n")


if __name__ == "__main__":
    main()
