"""The templates that ComfyUI offers are the graphs that the integration tests run."""

import json
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted((ROOT / "workflows").glob("*.json"))
NOTES = {"MarkdownNote"}


def test_every_graph_is_a_template_with_a_thumbnail_and_nothing_else_is() -> None:
    graphs = {path.stem for path in (ROOT / "tests" / "workflows").glob("*.json")}
    assert {path.stem for path in TEMPLATES} == graphs
    assert {path.name for path in (ROOT / "workflows").iterdir()} == {
        f"{name}.{ending}" for name in graphs for ending in ("json", "jpg")
    }


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_template_has_the_graphs_nodes_links_and_values(path: Path) -> None:
    template = json.loads(path.read_text(encoding="utf-8"))
    graph = json.loads((ROOT / "tests" / "workflows" / path.name).read_text(encoding="utf-8"))
    nodes = {str(node["id"]): node for node in template["nodes"] if node["type"] not in NOTES}
    assert {key: node["type"] for key, node in nodes.items()} == {
        key: node["class_type"] for key, node in graph.items()
    }
    links = {link[0]: [str(link[1]), link[2]] for link in template["links"]}
    for key, node in nodes.items():
        inputs = graph[key]["inputs"]
        wired = {name: value for name, value in inputs.items() if isinstance(value, list)}
        slots = {slot["name"]: links[slot["link"]] for slot in node["inputs"] if slot["link"] is not None}
        assert slots == wired
        values = [value for value in inputs.values() if not isinstance(value, list)]
        assert [value for value in node["widgets_values"] if value != "fixed"] == values


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_links_are_known_at_both_ends(path: Path) -> None:
    template = json.loads(path.read_text(encoding="utf-8"))
    nodes = {node["id"]: node for node in template["nodes"]}
    for number, source, slot, target, position, kind in template["links"]:
        output, given = nodes[source]["outputs"][slot], nodes[target]["inputs"][position]
        assert number in output["links"]
        assert given["link"] == number
        assert output["type"] == given["type"] == kind


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_thumbnail_is_a_small_picture(path: Path) -> None:
    with Image.open(path.with_suffix(".jpg")) as image:
        assert image.format == "JPEG"
        assert 200 <= image.width <= 1200
        assert path.with_suffix(".jpg").stat().st_size < 300_000
