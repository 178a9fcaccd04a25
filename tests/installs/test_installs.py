"""Installed as users install today: a fresh environment for each Python, the package alone, and ComfyUI's requirements as they resolve now.

Each environment then goes through three states, by the commands that a user would type. Where ComfyUI itself does not start without
the pack, the pack can't register; that it is ComfyUI is asked of ComfyUI alone, and the pack's command line must work.

Downloads gigabytes: `make installs`. STYLUS_PYTHONS names the interpreters, separated as PATH is; else python3.10 and
python3.13 of the PATH and of pyenv.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from tests.integration.comfy_server import PACK, ComfyInstall, ComfyServer, ComfyUnavailable, find_installs
from tests.newcomer import visit

RECORDINGS = PACK / "stylus_ops" / "tiny" / "recordings"
STATES = {
    "as resolved now": ("install", "-r", "requirements.txt"),
    "without torchaudio": ("uninstall", "--yes", "torchaudio"),
    "versions that work": ("install", "torch==2.11.0", "torchvision==0.26.0", "torchaudio==2.11.0"),
}


def interpreters() -> dict[str, str | Path | None]:
    if named := os.environ.get("STYLUS_PYTHONS"):
        return {path: path for path in named.split(os.pathsep)}
    found: dict[str, str | Path | None] = {}
    for name in ("3.10", "3.13"):
        pyenv = sorted(Path.home().glob(f".pyenv/versions/{name}.*/bin/python"))  # its shims start what is chosen alone
        found[f"Python {name}"] = pyenv[0] if pyenv else shutil.which(f"python{name}")
    return found


def run(*command: str | Path, cwd: Path) -> None:
    subprocess.run(list(map(str, command)), cwd=cwd, check=True)


def transfers(*command: str | Path, folder: Path, cwd: Path) -> None:
    """The command line makes a sound as long as its content."""
    content, style, output = RECORDINGS / "melody.flac", RECORDINGS / "style_a.flac", folder / "out.flac"
    run(*command, "transfer", content, style, "-o", output, "--steps", "2", "--quiet", cwd=cwd)
    assert soundfile.info(output).frames == soundfile.info(content).frames


SCRIPTS, SUFFIX = ("Scripts", ".exe") if sys.platform == "win32" else ("bin", "")


@pytest.fixture(scope="module", params=interpreters().items(), ids=lambda item: item[0])
def empty(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The scripts of an empty virtual environment, gone when the module ends."""
    name, interpreter = request.param
    if interpreter is None:
        pytest.skip(f"{name} is not installed")
    folder = tmp_path_factory.mktemp("environment")
    run(interpreter, "-m", "venv", folder, cwd=folder)
    yield folder / SCRIPTS
    shutil.rmtree(folder)


def why_comfyui_does_not_start(install: ComfyInstall, folder: Path) -> str | None:
    """The last line of its log; None if it starts."""
    (folder / "models").mkdir(parents=True)
    try:
        with ComfyServer(install, folder / "base", folder / "models", packs={}):
            return None
    except ComfyUnavailable as reason:
        return str(reason).strip().splitlines()[-1]


def test_the_package_alone_gives_a_command_that_works_anywhere(empty: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(PACK, source, ignore=shutil.ignore_patterns(".*", "tests", "*.egg-info", "build"))
    run(empty / f"python{SUFFIX}", "-m", "pip", "install", "--quiet", source, cwd=tmp_path)
    shutil.rmtree(source)
    transfers(empty / f"stylus{SUFFIX}", folder=tmp_path, cwd=tmp_path)
    run(empty / f"python{SUFFIX}", "-m", "pip", "uninstall", "--quiet", "--yes", "stylus-audio", cwd=tmp_path)


@pytest.mark.parametrize("state", STATES)
def test_the_pack_registers_wherever_comfyui_starts(empty: Path, state: str, tmp_path: Path) -> None:
    installs = find_installs()
    if not installs:
        pytest.skip("no ComfyUI found: set COMFYUI_PATH to its folder")
    environment = ComfyInstall(installs[0].path, empty / f"python{SUFFIX}")
    run(environment.python, "-m", "pip", *STATES[state], "--quiet", cwd=environment.path)
    reason = why_comfyui_does_not_start(environment, tmp_path / "alone")
    if reason is None:
        visited = visit(environment, tmp_path / "visited")
        print(visited)
        assert soundfile.info(visited.file).frames == soundfile.info(RECORDINGS / "melody.flac").frames
        assert visited.seconds["import"] < max(1, 0.01 * visited.seconds["start"])  # a busy machine stretches both
        assert len(visited.log) == 1
        return
    print(reason)
    assert state != "versions that work"
    assert "torchaudio" in reason.lower()
    run(environment.python, "-m", "pip", "install", "--quiet", "-r", "requirements.txt", cwd=PACK)
    transfers(environment.python, "-m", "stylus_ops", folder=tmp_path, cwd=PACK)
