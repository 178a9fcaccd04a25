"""`pip install`: the wheel holds the package, whole and alone, and its command works anywhere."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import soundfile

ROOT = Path(__file__).parents[2]
CORE = ROOT / "stylus_ops"
NOT_SHIPPED = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"}


def run(*command: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, encoding="utf-8"
    )


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


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of an empty virtual environment with the wheel in it; dependencies are borrowed from this one."""
    environment = tmp_path_factory.mktemp("venv")
    made = run(sys.executable, "-m", "venv", "--without-pip", environment)
    assert made.returncode == 0, made.stderr
    scripts = environment / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / ("python.exe" if os.name == "nt" else "python")
    put = run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel)
    assert put.returncode == 0, put.stderr
    (site_packages,) = environment.rglob("site-packages")
    borrowed = dict.fromkeys(sysconfig.get_paths()[kind] for kind in ("purelib", "platlib"))
    (site_packages / "borrowed.pth").write_text("\n".join(borrowed), encoding="utf-8")
    return scripts


def test_the_wheel_holds_the_package_whole_and_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    there = {
        path.relative_to(ROOT).as_posix()
        for path in CORE.rglob("*")
        if path.is_file() and not NOT_SHIPPED & set(path.parts)
    }
    assert packed == there
    assert {"stylus_ops/py.typed", "stylus_ops/tiny/prior.safetensors"} <= packed


def test_the_command_transfers_anywhere(installed: Path, tmp_path: Path) -> None:
    found = run(installed / "python", "-c", "import stylus_ops; print(stylus_ops.__path__[0])", cwd=tmp_path)
    package = Path(found.stdout.strip())
    assert package.is_relative_to(installed.parent), found.stderr

    recordings = package / "tiny" / "recordings"
    command = [installed / "stylus", "transfer", recordings / "melody.flac", recordings / "style_a.flac"]
    assert run(installed / "stylus", "--help", cwd=tmp_path).stdout.startswith("usage: stylus ")
    done = run(*command, "-o", "out.flac", "--steps", 2, "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    content, result = soundfile.info(recordings / "melody.flac"), soundfile.info(tmp_path / "out.flac")
    assert (result.frames, result.samplerate) == (content.frames, content.samplerate)
