"""Installing requirements.txt must not change a package that is there already."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .comfy_server import PACK, ComfyInstall

REQUIREMENTS = PACK / "requirements.txt"

# Run in another interpreter: the metadata folders of the named packages and of all that they require there.
METADATA_FOLDERS = """
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pip._vendor.packaging.requirements import Requirement

seen, waiting = {}, [Requirement(text) for text in sys.argv[1:]]
while waiting:
    requirement = waiting.pop()
    key = (requirement.name.lower().replace("_", "-"), frozenset(requirement.extras))
    if key in seen:
        continue
    try:
        seen[key] = distribution(requirement.name)
    except PackageNotFoundError:
        continue
    for needed in map(Requirement, seen[key].requires or []):
        environments = [{"extra": extra} for extra in ("", *requirement.extras)]
        if needed.marker is None or any(map(needed.marker.evaluate, environments)):
            waiting.append(needed)
print("\\n".join({str(found._path) for found in seen.values()}))
"""


def run(*command: str | Path) -> str:
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout


def pip(environment: Path, *arguments: str | Path) -> str:
    python = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    return run(sys.executable, "-m", "pip", "--python", python, *arguments)


def environment_as_pip_sees_it(folder: Path, python: Path, packages: list[str]) -> Path:
    """A virtual environment with the metadata alone of packages installed for `python`, and of what they require."""
    run(python, "-m", "venv", "--without-pip", folder)
    (site_packages,) = folder.rglob("site-packages")
    for metadata in run(python, "-c", METADATA_FOLDERS, *packages).splitlines():
        shutil.copytree(metadata, site_packages / Path(metadata).name)
    return folder


def changes(environment: Path) -> dict[str, tuple[str, str]]:
    """Installed packages that requirements.txt would replace: name to versions before and after."""
    installed = {_canonical(p["name"]): p["version"] for p in json.loads(pip(environment, "list", "--format", "json"))}
    report = json.loads(
        pip(environment, "install", "--quiet", "--dry-run", "--report", "-", "--requirement", REQUIREMENTS)
    )
    planned = {_canonical(p["metadata"]["name"]): p["metadata"]["version"] for p in report["install"]}
    return {name: (installed[name], version) for name, version in planned.items() if name in installed}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module", autouse=True)
def package_index() -> None:
    """These tests ask pip's index."""
    try:
        run(sys.executable, "-m", "pip", "index", "versions", "tqdm")
    except subprocess.CalledProcessError:
        pytest.skip("pip reaches no package index")


def test_comfyui_keeps_its_packages(install: ComfyInstall, tmp_path: Path) -> None:
    """Not the venv itself, which has this pack's requirements by now, but what ComfyUI's own had installed."""
    lines = (install.path / "requirements.txt").read_text().splitlines()
    packages = [line for line in lines if line.strip() and not line.startswith("#")]
    environment = environment_as_pip_sees_it(tmp_path / "venv", install.python, packages)
    assert "torch" in pip(environment, "list")
    assert changes(environment) == {}


def test_older_transformers_stay(tmp_path: Path) -> None:
    torch_alone = environment_as_pip_sees_it(tmp_path / "venv", Path(sys.executable), ["torch"])
    pip(torch_alone, "install", "--quiet", "transformers>=4.50,<5", "huggingface-hub<1")
    assert changes(torch_alone) == {}
