"""What the core imports is declared, not left to come along with something else."""

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CALLED = {"PIL": "pillow"}
OPTIONAL = {"torchaudio", "matplotlib", "mir_eval", "ray"}
"""torchaudio may be missing or built for another torch; the others are of the extras `evaluation` and `cluster`."""


def imported(file: Path) -> set[str]:
    """Top-level names of the packages that a file imports by their full names."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_every_package_that_the_core_imports_is_required() -> None:
    required = {re.split(r"[<>=!~; ]", line)[0] for line in (ROOT / "requirements.txt").read_text().split("\n")} - {""}
    used = set().union(*(imported(file) for file in (ROOT / "stylus_ops").rglob("*.py"))) - sys.stdlib_module_names
    assert {CALLED.get(name, name) for name in used - OPTIONAL} == required
