"""The templates on small checkpoints and few steps."""

import json
from pathlib import Path

import pytest
import soundfile

from stylus_ops.tiny import RECORDINGS
from tests.canvas import prompt

from .comfy_server import PACK, ComfyServer, Graph

TEMPLATES = sorted((PACK / "workflows").glob("*.json"))
SMALL = {
    "ckpt_name": "sd15-small.safetensors",
    "lora_name": "small.safetensors",
    "steps": 2,
    "duration": 3.0,
}


def shrunk(path: Path) -> Graph:
    graph = prompt(json.loads(path.read_text(encoding="utf-8")))
    for node in graph.values():
        node["inputs"].update({name: value for name, value in SMALL.items() if name in node["inputs"]})
    return graph


def only(graph: Graph, class_type: str) -> str:
    (node,) = [id for id, node in graph.items() if node["class_type"] == class_type]
    return node


@pytest.mark.parametrize("path", TEMPLATES, ids=[path.stem for path in TEMPLATES])
def test_template_ends_with_a_file_of_the_contents_length(comfy: ComfyServer, path: Path) -> None:
    graph = shrunk(path)
    run = comfy.finish(graph)
    recording = next(node["inputs"]["audio"] for node in graph.values() if node["class_type"] == "StylusLoadAudioMel")
    content = soundfile.info(RECORDINGS / recording.removeprefix("stylus/"))
    (saved,) = comfy.files(run, only(graph, "StylusSaveAudio"), "audio")
    result = soundfile.info(saved)
    assert (result.frames, result.samplerate, result.channels) == (
        round(SMALL["duration"] * content.samplerate),
        content.samplerate,
        content.channels,
    )
