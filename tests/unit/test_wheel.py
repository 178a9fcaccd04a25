"""`pip install`: the wheel holds the package, whole and alone, and its command works anywhere."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import soundfile

ROOT = Path(__file__).parents[2]
CORE = ROOT / "stylus_ops"
NOT_SHIPPED = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"}


def run(*command: object, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, encoding="utf-8")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: setuptools leaves its folders behind, and would pack what an earlier build left."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    shutil.copytree(CORE, source / "stylus_ops", ignore=shutil.ignore_patterns(*NOT_SHIPPED))
    for name in ("pyproject.toml", "requirements.txt", "README.md", "LICENSE", "__init__.py"):
        shutil.copy(ROOT / name, source)
    built = run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", out, source)
    for reason in ("No module named pip", "No matching distribution found for setuptools"):
        if reason in built.stderr:
            pytest.skip(f"pip can't build a wheel here: {reason}")
    assert built.returncode == 0, built.stderr
    (path,) = out.iterdir()
    return path


def test_the_wheel_holds_the_package_whole_and_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = [path for path in CORE.rglob("*") if path.is_file() and not NOT_SHIPPED & set(path.parts)]
    assert packed == {path.relative_to(ROOT).as_posix() for path in files}
    assert {"stylus_ops/py.typed", "stylus_ops/tiny/prior.safetensors"} <= packed


def test_the_command_transfers_anywhere(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed beside nothing; its dependencies are this environment's."""
    monkeypatch.chdir(tmp_path)
    put = run(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", "installed", wheel)
    assert put.returncode == 0, put.stderr
    stylus = tmp_path / "installed" / "bin" / "stylus"
    recordings = tmp_path / "installed" / "stylus_ops" / "tiny" / "recordings"
    content, style = recordings / "melody.flac", recordings / "style_a.flac"
    parts = ["--content-duration", 1, "--style-duration", 2]
    command = [stylus, "transfer", content, style, "-o", "out.flac", "--steps", 2, "--quiet"]
    done = run(*command, *parts, PYTHONPATH="installed")
    assert done.returncode == 0, done.stderr
    result = soundfile.info("out.flac")
    assert (result.frames, result.samplerate) == (44100, 44100)
