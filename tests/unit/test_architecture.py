"""What import-linter's contracts in pyproject.toml don't see: the nodes, which only ComfyUI can import, and the map."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORE = ROOT / "stylus_ops"
NODES = sorted((ROOT / "nodes").rglob("*.py"))


def imported_modules(path: Path) -> Iterator[str]:
    """Dotted names, relative ones without their dots."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            module = getattr(node, "module", None)
            yield from (f"{module}.{alias.name}" if module else alias.name for alias in node.names)


def test_only_the_host_rooms_touch_comfys_inside() -> None:
    """Nodes may use the published `comfy_api` and `folder_paths`; of `comfy` itself only types and the command line."""
    allowed = {"comfy.model_patcher.ModelPatcher", "comfy.cli_args.args"}
    outside = {name for path in NODES if path.parent.name != "host" for name in imported_modules(path)}
    assert {name for name in outside if re.match(r"comfy(\.|$)", name)} <= allowed


def test_nodes_import_neither_diffusers_nor_the_command_line() -> None:
    rooms = r"(diffusers|transformers|stylus_ops\.(engine|pipeline|evaluation|__main__))(\.|$)"
    assert not [name for path in NODES for name in imported_modules(path) if re.match(rooms, name)]


def test_every_file_is_on_the_map() -> None:
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    table = page.partition("| file of `stylus_ops` |")[2].partition("\n\n")[0]
    drawn = set(re.findall(r"^\| `([\w.]+)` \|", table, re.MULTILINE))
    files = [path.relative_to(CORE) for path in CORE.rglob("*.py") if path != CORE / "__init__.py"]
    assert drawn == {".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in files}


def test_help_starts_without_torch() -> None:
    script = (
        "import sys\nfrom stylus_ops.__main__ import main\ntry:\n    main(['transfer', '--help'])\n"
        "except SystemExit:\n    print('loaded:', {'torch', 'numpy', 'diffusers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.endswith("loaded: set()\n"), done.stderr
