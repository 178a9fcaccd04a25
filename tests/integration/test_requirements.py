"""Installing requirements.txt must not change a package that is there already."""

import subprocess
import sys
from pathlib import Path

import pytest

from .comfy_server import PACK, ComfyInstall


def pip(python: Path | str, *arguments: Path | str) -> str:
    command = [sys.executable, "-m", "pip", "--python", python, *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_installable(python: Path | str, constraints: list[str], folder: Path) -> None:
    """Pip finds versions for requirements.txt within the constraints."""
    file = folder / "constraints.txt"
    file.write_text("\n".join(constraints))
    pip(python, "install", "--quiet", "--dry-run", "--constraint", file, "--requirement", PACK / "requirements.txt")


def test_comfyui_keeps_its_packages(install: ComfyInstall, tmp_path: Path) -> None:
    frozen = [line for line in pip(install.python, "freeze", "--all").splitlines() if "==" in line]
    assert any(line.startswith("torch==") for line in frozen)
    check_installable(install.python, frozen, tmp_path)


def test_older_transformers_stay(tmp_path: Path) -> None:
    if subprocess.run([sys.executable, "-m", "pip", "index", "versions", "tqdm"], capture_output=True).returncode:
        pytest.skip("pip reaches no package index")
    check_installable(sys.executable, ["transformers>=4.50,<5", "huggingface-hub<1"], tmp_path)
