"""`pip install`: the wheel holds the package, whole and alone."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "stylus_ops"
NOT_SHIPPED = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"}


def test_the_wheel_holds_the_package_whole_and_alone_and_the_command(tmp_path: Path) -> None:
    """Built from a copy: setuptools leaves its folders behind, and would pack what an earlier build left."""
    source, out = tmp_path / "source", tmp_path / "wheel"
    shutil.copytree(CORE, source / "stylus_ops", ignore=shutil.ignore_patterns(*NOT_SHIPPED))
    for name in ("pyproject.toml", "requirements.txt", "README.md", "LICENSE", "__init__.py"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(out), str(source)]
    built = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    for reason in ("No module named pip", "No matching distribution found for setuptools"):
        if reason in built.stderr:
            pytest.skip(f"pip can't build a wheel here: {reason}")
    assert built.returncode == 0, built.stderr
    with zipfile.ZipFile(next(out.iterdir())) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        entry = archive.read(next(name for name in archive.namelist() if name.endswith("/entry_points.txt")))
    files = [path for path in CORE.rglob("*") if path.is_file() and not NOT_SHIPPED & set(path.parts)]
    assert packed == {path.relative_to(ROOT).as_posix() for path in files}
    assert {"stylus_ops/py.typed", "stylus_ops/tiny/prior.safetensors"} <= packed
    assert "stylus = stylus_ops.__main__:main" in entry.decode()
