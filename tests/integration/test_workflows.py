"""The templates on small checkpoints and few steps."""

import json
from pathlib import Path

import pytest
import soundfile

from stylus_ops.tiny import RECORDINGS
from tests.canvas import prompt

from .comfy_server import PACK, ComfyServer

TEMPLATES = sorted((PACK / "workflows").glob("*.json"))
SMALL = {"ckpt_name": "sd15-small.safetensors", "lora_name": "small.safetensors", "steps": 2, "duration": 3.0}


@pytest.mark.parametrize("path", TEMPLATES, ids=[path.stem for path in TEMPLATES])
def test_template_ends_with_a_file_of_the_contents_length(comfy: ComfyServer, path: Path) -> None:
    graph = prompt(json.loads(path.read_text(encoding="utf-8")))
    for node in graph.values():
        node["inputs"].update({name: value for name, value in SMALL.items() if name in node["inputs"]})
    (saver,) = (id for id, node in graph.items() if node["class_type"] == "StylusSaveAudio")
    recording = next(node["inputs"]["audio"] for node in graph.values() if node["class_type"] == "StylusLoadAudioMel")
    (saved,) = comfy.files(comfy.finish(graph), saver, "audio")
    content, result = soundfile.info(RECORDINGS / recording.removeprefix("stylus/")), soundfile.info(saved)
    assert result.frames == round(SMALL["duration"] * content.samplerate)
    assert (result.samplerate, result.channels) == (content.samplerate, content.channels)
