"""Ids, inputs, their order, types, defaults and ranges are stored in people's workflows: they change by decision only.

STYLUS_FREEZE_SCHEMAS=1 python -m pytest tests/integration/test_schemas.py    # takes what is there as decided
"""

import json
import os
from pathlib import Path
from typing import Any

from .comfy_server import ComfyServer

FROZEN = Path(__file__).with_name("schemas.json")
KEPT = ("default", "min", "max", "step")
FILES = {"StylusLoadAudioMel.audio", "StylusLoadAudioFolder.folder", "StylusLoadStyle.name"}
"""Inputs whose choices are what lies in a folder, which differs from place to place."""


def schema(node: dict[str, Any]) -> dict[str, Any]:
    """Of a node, as the browser gets it, what a stored workflow depends on."""
    inputs = {
        f"{name} ({group})": described(f"{node['name']}.{name}", *node["input"][group][name])
        for group, names in node["input_order"].items()
        if group != "hidden"
        for name in names
    }
    return {"inputs": inputs, "outputs": dict(zip(node["output_name"], node["output"], strict=True))}


def described(name: str, kind: str | list[str], options: dict[str, Any] | None = None) -> dict[str, Any]:
    options = options or {}
    words = {key: options[key] for key in KEPT if key in options}
    choices = kind if isinstance(kind, list) else options.get("options", [])
    if choices and name not in FILES:
        words["options"] = choices
    return {"type": "COMBO" if isinstance(kind, list) else kind, **words}


def test_schemas_are_those_that_were_frozen(comfy: ComfyServer) -> None:
    now = {name: schema(node) for name, node in sorted(comfy.nodes.items())}
    if os.environ.get("STYLUS_FREEZE_SCHEMAS") == "1":
        FROZEN.write_text(json.dumps(now, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    frozen = json.loads(FROZEN.read_text(encoding="utf-8"))
    assert sorted(now) == sorted(frozen)
    for name, node in frozen.items():
        assert json.dumps(now[name]) == json.dumps(node), f"{name} differs; see the head of this file"
