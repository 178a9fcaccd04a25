"""The English words in locales/ are those of the nodes themselves.

STYLUS_FREEZE_WORDS=1 python -m pytest tests/integration/test_words.py    # writes them
"""

import json
import os
from typing import Any

from .comfy_server import PACK, ComfyServer


def words(node: dict[str, Any]) -> dict[str, Any]:
    groups = [node["input"].get(group, {}) for group in ("required", "optional")]
    inputs = {
        name: {"name": name, "tooltip": rest[0]["tooltip"]} for group in groups for name, (_, *rest) in group.items()
    }
    outputs = zip(node["output_name"], node["output_tooltips"], strict=True)
    shown = {
        "display_name": node["display_name"],
        "description": node["description"],
        "inputs": inputs,
        "outputs": {str(place): {"name": name, "tooltip": tip} for place, (name, tip) in enumerate(outputs)},
    }
    return {key: value for key, value in shown.items() if value}


def test_the_english_words_are_those_of_the_nodes(comfy: ComfyServer) -> None:
    nodes = {name: words(node) for name, node in comfy.nodes.items()}
    stored = PACK / "locales" / "en" / "nodeDefs.json"
    if os.environ.get("STYLUS_FREEZE_WORDS"):
        stored.write_text(json.dumps(nodes, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    assert nodes == json.loads(stored.read_text(encoding="utf-8"))
