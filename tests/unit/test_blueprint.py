"""The subgraph that ComfyUI offers is made of nodes as they are, wired soundly, with the quick start's values."""

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
(PATH,) = (ROOT / "subgraphs").iterdir()
FILE = json.loads(PATH.read_text(encoding="utf-8"))
(OUTSIDE,) = FILE["nodes"]
(INSIDE,) = FILE["definitions"]["subgraphs"]
NODES = {node["id"]: node for node in INSIDE["nodes"]}
SCHEMAS = json.loads((ROOT / "tests" / "integration" / "schemas.json").read_text(encoding="utf-8"))
CORE = {
    "VAEEncode": {"inputs": {"pixels": "IMAGE", "vae": "VAE"}, "outputs": {"LATENT": "LATENT"}},
    "VAEDecode": {"inputs": {"samples": "LATENT", "vae": "VAE"}, "outputs": {"IMAGE": "IMAGE"}},
}
DIALS = ["alpha", "gamma", "tone", "steps"]
ENTRY, EXIT = -10, -20


def inputs(kind: str) -> dict[str, str]:
    """The type of each input of a node; one that grows has the type of what goes into it."""
    if kind in CORE:
        return CORE[kind]["inputs"]
    named = {name.split(" ")[0]: schema["type"] for name, schema in SCHEMAS[kind]["inputs"].items()}
    return {name: "AUDIO" if type_ == "COMFY_AUTOGROW_V3" else type_ for name, type_ in named.items()}


def outputs(kind: str) -> dict[str, str]:
    return (CORE | SCHEMAS)[kind]["outputs"]


def test_it_has_a_name_that_every_file_system_takes_and_says_what_it_is() -> None:
    assert PATH.name == "Stylus style transfer.json"
    assert OUTSIDE["type"] == INSIDE["id"]
    assert INSIDE["name"] == OUTSIDE["title"] == "Stylus: style transfer"
    assert INSIDE["category"]
    assert INSIDE["description"]


def test_sound_and_model_go_in_sound_comes_out_and_four_dials_are_shown() -> None:
    sockets = {socket["name"]: socket["type"] for socket in INSIDE["inputs"]}
    assert sockets == {
        "content": "AUDIO",
        "style": "AUDIO",
        "model": "MODEL",
        "conditioning": "CONDITIONING",
        "vae": "VAE",
        "alpha": "FLOAT",
        "gamma": "FLOAT",
        "tone": "FLOAT",
        "steps": "INT",
    }
    assert {socket["name"]: socket["type"] for socket in OUTSIDE["inputs"]} == sockets
    assert [socket["name"] for socket in OUTSIDE["inputs"] if "widget" in socket] == DIALS
    assert [widget for _, widget in OUTSIDE["properties"]["proxyWidgets"]] == DIALS
    for node, widget in OUTSIDE["properties"]["proxyWidgets"]:
        assert widget in inputs(NODES[int(node)]["type"])
    for ends in (INSIDE["outputs"], OUTSIDE["outputs"]):
        assert [(socket["name"], socket["type"]) for socket in ends] == [("audio", "AUDIO")]


def test_nothing_that_plays_loads_or_saves_is_inside() -> None:
    assert {node["type"] for node in NODES.values()} == {
        "StylusSchedule",
        "StylusMatchTone",
        "StylusAudioToMel",
        "VAEEncode",
        "StylusDDIMInvert",
        "StylusCaptureStyle",
        "StylusInjectSampler",
        "VAEDecode",
        "StylusPhaseDecode",
    }


@pytest.mark.parametrize("link", INSIDE["links"], ids=lambda link: str(link["id"]))
def test_a_link_joins_sockets_of_one_type_and_is_known_at_both_ends(link: dict[str, Any]) -> None:
    if link["origin_id"] == ENTRY:
        source = INSIDE["inputs"][link["origin_slot"]]
        assert link["id"] in source["linkIds"]
    else:
        node = NODES[link["origin_id"]]
        source = node["outputs"][link["origin_slot"]]
        assert link["id"] in source["links"]
        assert list(outputs(node["type"]).items())[link["origin_slot"]] == (source["name"], source["type"])
    if link["target_id"] == EXIT:
        target = INSIDE["outputs"][link["target_slot"]]
        assert link["id"] in target["linkIds"]
    else:
        node = NODES[link["target_id"]]
        target = node["inputs"][link["target_slot"]]
        assert target["link"] == link["id"]
        assert inputs(node["type"])[target["name"].split(".")[0]] == target["type"]
    assert source["type"] == target["type"] == link["type"]


def test_every_required_input_is_wired_or_has_a_value() -> None:
    for node in NODES.values():
        wired = {socket["name"].split(".")[0] for socket in node["inputs"] if socket["link"] is not None}
        required = SCHEMAS.get(node["type"], {"inputs": {}})["inputs"] or {name: {} for name in inputs(node["type"])}
        sockets = {
            name.split(" ")[0]
            for name, schema in required.items()
            if not name.endswith("(optional)") and "default" not in schema
        }
        assert sockets - wired <= {"weights"}


def test_every_inversion_has_the_spectrogram_of_its_own_recording() -> None:
    links = {(link["target_id"], link["target_slot"]): link for link in INSIDE["links"]}

    def source(node: int, name: str) -> tuple[int, int]:
        slots = [socket["name"] for socket in NODES[node]["inputs"]]
        link = links[node, slots.index(name)]
        return link["origin_id"], link["origin_slot"]

    inverting = [key for key, node in NODES.items() if node["type"] in {"StylusDDIMInvert", "StylusCaptureStyle"}]
    assert len(inverting) == 2
    for node in inverting:
        encoded, _ = source(node, "latent")
        assert source(node, "spectrogram") == (source(encoded, "pixels")[0], 1)


def test_its_values_are_those_of_the_quick_start() -> None:
    start = json.loads((ROOT / "workflows" / "quick_start_tiny.json").read_text(encoding="utf-8"))
    values = {node["type"]: node["widgets_values"] for node in start["nodes"]}
    values["StylusAudioToMel", "style"] = [*values["StylusAudioToMel"][:-1], "loop"]
    for node in NODES.values():
        looped = node["type"] == "StylusAudioToMel" and node["color"] == "#322"
        assert node["widgets_values"] == values[(node["type"], "style") if looped else node["type"]]
