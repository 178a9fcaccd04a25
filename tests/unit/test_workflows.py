"""The templates and the blueprint that ComfyUI offers, as files. `tests/integration/test_workflows.py` runs them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.canvas import NOTES, prompt

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted((ROOT / "workflows").glob("*.json"))
QUICK_START, STEP_BY_STEP = TEMPLATES[:2]
(BLUEPRINT,) = (ROOT / "subgraphs").iterdir()
INVERTING = {"StylusDDIMInvert", "StylusCaptureStyle"}


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def downloads(path: Path) -> list[str]:
    """Files of models that a template's nodes name."""
    return sorted(set(re.findall(r'"([^"/]+\.safetensors)"', path.read_text(encoding="utf-8"))))


def values(nodes: dict[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """The types and widgets' values of the nodes of a subgraph, by their number in it."""
    return {
        key.split(":")[1]: (node["class_type"], {n: v for n, v in node["inputs"].items() if not isinstance(v, list)})
        for key, node in nodes.items()
        if ":" in key
    }


def test_templates_are_numbered_and_have_a_thumbnail_each() -> None:
    assert [path.stem.split(" ")[0] for path in TEMPLATES] == [str(number + 1) for number in range(len(TEMPLATES))]
    assert {path.name for path in (ROOT / "workflows").iterdir()} == {
        path.with_suffix(ending).name for path in TEMPLATES for ending in (".json", ".jpg")
    }


def test_what_needs_a_download_comes_last_offers_it_and_says_so() -> None:
    needing = [path for path in TEMPLATES if downloads(path)]
    assert needing == TEMPLATES[-len(needing) :]
    for path in TEMPLATES:
        nodes = read(path)["nodes"]
        offered = [model for node in nodes for model in node["properties"].get("models", [])]
        assert downloads(path) == [model["name"] for model in offered]
        assert all(model["url"].endswith("/" + model["name"]) for model in offered)
        notes = " ".join(node["widgets_values"][0] for node in nodes if node["type"] in NOTES)
        assert bool(offered) == ("Needs a download" in notes)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_every_inversion_has_the_spectrogram_of_its_own_recording(path: Path) -> None:
    """By which a style is known to be short, and a clip's padding left out."""
    graph = prompt(read(path))
    inverting = [node["inputs"] for node in graph.values() if node["class_type"] in INVERTING]
    assert len(inverting) >= 2
    for inputs in inverting:
        recording, _ = graph[inputs["latent"][0]]["inputs"]["pixels"]
        assert inputs["spectrogram"] == [recording, 1]


def test_the_quick_start_holds_the_blueprint_with_the_values_of_its_steps() -> None:
    blueprint = read(BLUEPRINT)
    (node,) = blueprint["nodes"]
    (definition,) = blueprint["definitions"]["subgraphs"]
    assert definition["category"]
    assert definition["description"]
    assert list(node["widgets_values_named"]) == ["alpha", "grain", "detail", "partials"]
    inside = values(prompt(blueprint))
    assert values(prompt(read(QUICK_START))) == inside
    steps = {node["class_type"]: node["inputs"] for node in prompt(read(STEP_BY_STEP)).values()}
    for kind, own in inside.values():
        assert {name: steps[kind][name] for name in own} == own or own.get("short_clip") == "loop"
