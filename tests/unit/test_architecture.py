"""Which room may import which: arrows run down, without a circle, and every file is on the map."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "stylus_ops"
FLOORS: dict[str, set[str]] = {
    "dials": set(),
    "shares": set(),
    "disk": set(),
    "audio": {"dials", "disk", "shares"},
    "diffusion": {"dials", "disk", "shares"},
    "tiny": set(),
    "engine": {"audio", "diffusion", "tiny"},
    "pipeline": {"dials", "disk", "shares", "audio", "diffusion", "tiny", "engine"},
    "evaluation": {"dials", "disk", "audio", "diffusion", "engine", "pipeline"},
    "__main__": {"dials", "shares", "engine", "pipeline", "evaluation"},
}
"""Each room of the core and the rooms it may import."""


def imported_modules(path: Path) -> Iterator[str]:
    """Absolute dotted names, relative ones resolved from the repository's root; a name may be a module's or a member's."""
    package = list(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{start}.{alias.name}" for alias in node.names)


def room(module: str) -> str:
    """The room of a dotted name in the core."""
    return module.split(".")[1]


def core_files() -> list[Path]:
    return sorted(path for path in CORE.rglob("*.py") if path != CORE / "__init__.py")


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", core_files(), ids=dotted)
def test_a_room_imports_only_what_lies_below_it(path: Path) -> None:
    own = room(dotted(path))
    used = {room(name) for name in imported_modules(path) if name.startswith("stylus_ops.")} - {own}
    assert used <= FLOORS[own]


def test_the_core_imports_neither_comfyui_nor_what_is_built_around_it() -> None:
    forbidden = re.compile(
        r"(comfy|comfy_api|comfy_extras|folder_paths|nodes|server|training|benchmarks|scripts|tests)(\.|$)"
    )
    assert not {(dotted(p), name) for p in core_files() for name in imported_modules(p) if forbidden.match(name)}


def test_only_the_host_rooms_touch_comfys_inside() -> None:
    """Nodes may use the published `comfy_api` and `folder_paths`; of `comfy` itself only types and the command line."""
    allowed = {"comfy.model_patcher.ModelPatcher", "comfy.cli_args.args"}
    outside = [path for path in (ROOT / "nodes").rglob("*.py") if path.parent.name != "host"]
    assert not {(p.name, n) for p in outside for n in imported_modules(p) if re.match(r"comfy(\.|$)", n)} - {
        (p.name, n) for p in outside for n in allowed
    }


def test_nodes_import_no_diffusers() -> None:
    loaded = {"diffusers", "transformers"}
    assert not {n for p in (ROOT / "nodes").rglob("*.py") for n in imported_modules(p) if n.split(".")[0] in loaded}
    reached = {n for p in (ROOT / "nodes").rglob("*.py") for n in imported_modules(p) if n.startswith("stylus_ops.")}
    assert not {name for name in reached if room(name) in {"engine", "pipeline", "evaluation", "__main__"}}


def test_the_command_line_imports_nothing_slow_before_it_can_answer_ctrl_c() -> None:
    """At the top of `__main__`, only the standard library and what type checkers alone see."""
    top = ast.parse((CORE / "__main__.py").read_text(encoding="utf-8")).body
    used = {
        node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in top
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert {name.split(".")[0] for name in used} <= sys.stdlib_module_names


def test_there_is_no_circle_between_modules() -> None:
    modules = {dotted(path): path for path in core_files()}
    arrows = {
        name: {next((m for m in (n, n.rpartition(".")[0]) if m in modules), "") for n in imported_modules(path)} - {""}
        for name, path in modules.items()
    }
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"circle: {' > '.join((*above, name))}"
        if name not in done:
            for target in arrows[name] - {name}:
                visit(target, (*above, name))
            done.add(name)

    for name in modules:
        visit(name, ())


def test_every_file_is_on_the_map() -> None:
    drawn = set(re.findall(r"^ *`([\w.]+)`", CORE.joinpath("__init__.py").read_text(encoding="utf-8"), re.MULTILINE))
    there = {dotted(path).removeprefix("stylus_ops.") for path in core_files()}
    assert drawn == there


def test_the_architecture_page_shows_these_floors() -> None:
    page = ROOT.joinpath("docs", "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| .* \| (nothing|`[`\w, ]+`) \|$", page, re.MULTILINE)
    assert {room: set(re.findall(r"`(\w+)`", below)) for room, below in rows} == FLOORS
