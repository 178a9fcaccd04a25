"""The templates that ComfyUI offers are the graphs that the integration tests run."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted((ROOT / "workflows").glob("*.json"))
NOTES = {"MarkdownNote"}
INVERTING = {"StylusDDIMInvert", "StylusCaptureStyle"}
BYPASSED = 4


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
    every = {node["id"]: node for node in template["nodes"]}
    nodes = {str(key): node for key, node in every.items() if node["type"] not in NOTES and node["mode"] != BYPASSED}
    assert {key: node["type"] for key, node in nodes.items()} == {
        key: node["class_type"] for key, node in graph.items()
    }
    links = {link[0]: link for link in template["links"]}

    def source(link: int) -> list[Any]:
        """Where a link comes from, through bypassed nodes."""
        _, node, slot, _, _, kind = links[link]
        if every[node]["mode"] != BYPASSED:
            return [str(node), slot]
        return source(next(given["link"] for given in every[node]["inputs"] if given["type"] == kind))

    for key, node in nodes.items():
        inputs = graph[key]["inputs"]
        wired = {name: value for name, value in inputs.items() if isinstance(value, list)}
        assert {slot["name"]: source(slot["link"]) for slot in node["inputs"] if slot["link"] is not None} == wired
        values = [value for value in inputs.values() if not isinstance(value, list)]
        assert [value for value in node["widgets_values"] if value != "fixed"] == values


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_every_inversion_has_the_spectrogram_of_its_own_recording(path: Path) -> None:
    """By which a style is known to be short, and a clip's padding left out."""
    graph = json.loads((ROOT / "tests" / "workflows" / path.name).read_text(encoding="utf-8"))
    inverting = [node["inputs"] for node in graph.values() if node["class_type"] in INVERTING]
    assert len(inverting) >= 2
    for inputs in inverting:
        recording, _ = graph[inputs["latent"][0]]["inputs"]["pixels"]
        assert inputs["spectrogram"] == [recording, 1]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_file_to_be_downloaded_is_offered_and_told_of(path: Path) -> None:
    template = json.loads(path.read_text(encoding="utf-8"))
    (note,) = [node["widgets_values"][0] for node in template["nodes"] if node["type"] in NOTES]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (row,) = [line for line in readme.splitlines() if line.startswith(f"| `{path.stem}` |")]
    wanted = [
        (value, node)
        for node in template["nodes"]
        for value in node["widgets_values"]
        if isinstance(value, str) and value.endswith(".safetensors")
    ]
    for value, node in wanted:
        (offered,) = node["properties"]["models"]
        assert offered["name"] == value
        assert offered["url"].endswith("/" + value)
        assert value in note
    assert bool(wanted) == ("download" in row) == ("Needs a download" in note)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_titles_can_be_read_at_the_zoom_that_a_template_opens_with(path: Path) -> None:
    """ComfyUI fits a graph into three quarters of the window and leaves titles out below 8 pixels, from 14 at 100 %."""
    template = json.loads(path.read_text(encoding="utf-8"))
    boxes = [group["bounding"] for group in template["groups"]]
    width = max(left + across for left, _, across, _ in boxes) - min(left for left, *_ in boxes)
    height = max(top + down for _, top, _, down in boxes) - min(top for _, top, *_ in boxes)
    assert 0.75 * min(1680 / width, 1000 / height) >= 8 / 14


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
def test_thumbnail_is_a_small_image(path: Path) -> None:
    with Image.open(path.with_suffix(".jpg")) as image:
        assert image.format == "JPEG"
        assert 200 <= image.width <= 1200
        assert path.with_suffix(".jpg").stat().st_size < 300_000
