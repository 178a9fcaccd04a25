"""Write the blueprint in subgraphs/: the whole transfer as one node, for people's own graphs.

python -m scripts.blueprint http://127.0.0.1:8188       # in the repository's root; a ComfyUI with this pack runs there

Recordings, players and the model stay outside: what plays inside a subgraph can't be heard from without.
"""

from __future__ import annotations

import argparse
import json
import uuid
from collections.abc import Mapping
from typing import Any

from scripts.templates import ROOT, Model, Node, Output, Template, ask, capture, decode, encode, invert, sample

NAME = "Stylus style transfer"
"""Of the file, which ComfyUI's library shows; Windows allows no colon there."""
TITLE = "Stylus: style transfer"
DESCRIPTION = (
    "The content keeps its melody and rhythm and takes on the timbre of the style. Model, conditioning and vae are those of "
    "Load Stylus Tiny, or of a Stable Diffusion checkpoint and an empty prompt."
)
ENTRY, EXIT = -10, -20  # what the links inside a subgraph call its own inputs and outputs
ROW, ASIDE = 20, 180


class Blueprint(Template):
    """A template with sockets of its own: what comes in, what goes out, and widgets that are shown on the outside."""

    def __init__(self, name: str, schemas: Mapping[str, Any], **inputs: str):
        super().__init__(name, schemas)
        self.inputs = inputs
        self.entry = Node(ENTRY, "", {"output_name": list(inputs), "output": list(inputs.values())}, None, None)
        self.dials: list[tuple[Node, str]] = []
        self.outputs: dict[str, Output] = {}

    def promote(self, node: Node, widget: str) -> None:
        self.dials.append((node, widget))
        self.inputs[widget] = node.schema["input"]["required"][widget][0]

    def file(self) -> dict[str, Any]:
        """What ComfyUI reads: a graph of one node, and the definition of that node."""
        inside = self.workflow()
        nodes = {node["id"]: node for node in inside["nodes"]}
        names, links = list(self.inputs), inside["links"]
        for node, widget in self.dials:
            sockets = nodes[node.number]["inputs"]
            link = [len(links) + 1, ENTRY, names.index(widget), node.number, len(sockets), self.inputs[widget]]
            links.append(link)
            sockets.append({"name": widget, "type": link[-1], "widget": {"name": widget}, "link": link[0]})
        for place, output in enumerate(self.outputs.values()):
            links.append([len(links) + 1, output.node.number, output.slot, EXIT, place, output.kind])
            nodes[output.node.number]["outputs"][output.slot]["links"].append(links[-1][0])

        left, *_, (last, _, width, _) = (group["bounding"] for group in inside["groups"])
        right = last + width
        entries = [
            self._socket(name, kind, (left[0] - 80, place), [link[0] for link in links if link[1:3] == [ENTRY, place]])
            for place, (name, kind) in enumerate(self.inputs.items())
        ]
        exits = [
            self._socket(
                name, output.kind, (right + 80, place), [link[0] for link in links if link[3:5] == [EXIT, place]]
            )
            for place, (name, output) in enumerate(self.outputs.items())
        ]
        ends = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
        definition = {
            "id": self._id("definition"),
            "version": 1,
            "state": {
                "lastGroupId": len(inside["groups"]),
                "lastNodeId": len(nodes),
                "lastLinkId": len(links),
                "lastRerouteId": 0,
            },
            "revision": 0,
            "config": {},
            "name": TITLE,
            "inputNode": {"id": ENTRY, "bounding": [left[0] - ASIDE, 0, 120, ROW * (len(entries) + 2)]},
            "outputNode": {"id": EXIT, "bounding": [right + 60, 0, 120, ROW * (len(exits) + 2)]},
            "inputs": entries,
            "outputs": exits,
            "widgets": [],
            "nodes": inside["nodes"],
            "groups": inside["groups"],
            "links": [dict(zip(ends, link, strict=True)) for link in links],
            "extra": {},
            "category": "Audio/Style transfer",
            "description": DESCRIPTION,
        }
        return {
            "revision": 0,
            "last_node_id": len(nodes) + 1,
            "last_link_id": 0,
            "nodes": [self._outside(len(nodes) + 1, definition["id"])],
            "links": [],
            "version": 0.4,
            "definitions": {"subgraphs": [definition]},
            "extra": {},
        }

    def _outside(self, number: int, kind: str) -> dict[str, Any]:
        widgets = [widget for _, widget in self.dials]
        return {
            "id": number,
            "type": kind,
            "pos": [0, 0],
            "size": [280, 220],
            "flags": {},
            "order": 0,
            "mode": 0,
            "inputs": [
                {"name": name, "type": kind, "link": None} | ({"widget": {"name": name}} if name in widgets else {})
                for name, kind in self.inputs.items()
            ],
            "outputs": [{"name": name, "type": output.kind, "links": []} for name, output in self.outputs.items()],
            "title": TITLE,
            "properties": {
                "proxyWidgets": [[str(node.number), widget] for node, widget in self.dials],
                "cnr_id": "stylus-audio",
            },
            "widgets_values": [],
        }

    def _socket(self, name: str, kind: str, place: tuple[int, int], links: list[int]) -> dict[str, Any]:
        left, row = place
        position = [left, ROW * (row + 1)]
        return {"id": self._id(name), "name": name, "type": kind, "linkIds": links, "label": name, "pos": position}

    def _id(self, part: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"stylus/{self.name}/{part}"))


def style_transfer(schemas: Mapping[str, Any]) -> Blueprint:
    board = Blueprint(
        NAME, schemas, content="AUDIO", style="AUDIO", model="MODEL", conditioning="CONDITIONING", vae="VAE"
    )
    entry = board.entry
    model = Model(entry["model"], entry["conditioning"], entry["vae"])
    board.column("Images", 250)
    schedule = board.add("StylusSchedule")
    toned = board.add("StylusMatchTone", None, "content", audio=entry["content"], styles=[entry["style"]])
    content = board.add("StylusAudioToMel", None, "content", audio=toned["audio"], model=model.model)
    style = board.add("StylusAudioToMel", None, "style", audio=entry["style"], model=model.model, short_clip="loop")
    board.column("Inversion", 250)
    inversion = invert(board, model, schedule, content, encode(board, "content", model, content))
    captured = capture(board, model, schedule, style, encode(board, "style", model, style))
    board.column("Transfer", 250)
    sampled = sample(board, model, inversion, captured)
    board.outputs["audio"] = decode(board, model, sampled["latent"], content)
    for node, widget in ((sampled, "alpha"), (sampled, "gamma"), (toned, "tone"), (schedule, "steps")):
        board.promote(node, widget)
    return board


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.blueprint", description=__doc__)
    parser.add_argument("address", help="of a running ComfyUI, such as http://127.0.0.1:8188")
    board = style_transfer(ask(parser.parse_args().address))
    path = ROOT / "subgraphs" / f"{board.name}.json"
    path.write_text(json.dumps(board.file(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
