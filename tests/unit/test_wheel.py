"""`pip install`: the wheel holds the package, whole and alone."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORE = ROOT / "stylus_ops"
NOT_SHIPPED = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"}


def test_the_wheel_holds_the_package_whole_and_alone_and_the_command(tmp_path: Path) -> None:
    """Built from a copy: setuptools leaves its folders behind, and would pack what an earlier build left."""
    source, out = tmp_path / "source", tmp_path / "wheel"
    shutil.copytree(CORE, source / "stylus_ops", ignore=shutil.ignore_patterns(*NOT_SHIPPED))
    for name in ("pyproject.toml", "requirements.txt", "README.md", "LICENSE", "__init__.py"):
        shutil.copy(ROOT / name, source)
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(out)], cwd=source, check=True, capture_output=True)
    with zipfile.ZipFile(next(out.iterdir())) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        entry = archive.read(next(name for name in archive.namelist() if name.endswith("/entry_points.txt")))
    files = [path for path in CORE.rglob("*") if path.is_file() and not NOT_SHIPPED & set(path.parts)]
    assert packed == {path.relative_to(ROOT).as_posix() for path in files}
    assert {"stylus_ops/py.typed", "stylus_ops/tiny/prior.safetensors"} <= packed
    assert "stylus = stylus_ops.__main__:main" in entry.decode()
