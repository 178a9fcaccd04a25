"""The templates on small checkpoints and few steps, and one of them on real music."""

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
    run = comfy.run(graph)
    assert run.error is None
    recording = next(node["inputs"]["audio"] for node in graph.values() if node["class_type"] == "StylusLoadAudioMel")
    content = soundfile.info(RECORDINGS / recording.removeprefix("stylus/"))
    (saved,) = comfy.files(run, only(graph, "StylusSaveAudio"), "audio")
    result = soundfile.info(saved)
    assert (result.frames, result.samplerate, result.channels) == (
        round(SMALL["duration"] * content.samplerate),
        content.samplerate,
        content.channels,
    )


@pytest.fixture
def real_music() -> list[Path]:
    """Two recordings of minutes, from Debian's wesnoth-music."""
    folders = sorted(Path("/usr/share/games/wesnoth").glob("*/data/core/music"))
    if not folders:
        pytest.skip("Debian's package wesnoth-music is not installed")
    return [folders[0] / "sad.ogg", folders[0] / "wanderer.ogg"]


def test_real_music_longer_than_a_window_and_again_with_another_alpha(
    comfy: ComfyServer, real_music: list[Path]
) -> None:
    (path,) = [path for path in TEMPLATES if path.stem.endswith("Stable Diffusion 1.5")]
    graph = shrunk(path)
    sources = [node for node in graph.values() if node["class_type"] == "StylusLoadAudioMel"]
    for node, recording in zip(sources, real_music, strict=True):
        node["inputs"].update(audio=comfy.upload(recording.name, recording.read_bytes()), start=1.0)
    sources[0]["inputs"]["duration"] = 6.0

    first = comfy.run(graph)
    assert first.error is None
    sampler, saver = only(graph, "StylusInjectSampler"), only(graph, "StylusSaveAudio")
    (saved,) = comfy.files(first, saver, "audio")
    content = soundfile.info(real_music[0])
    assert soundfile.info(saved).frames == 6 * content.samplerate
    assert soundfile.info(saved).channels == content.channels

    graph[sampler]["inputs"]["alpha"] = 0.5
    second = comfy.run(graph)
    follows = {
        sampler,
        only(graph, "VAEDecode"),
        only(graph, "StylusPhaseDecode"),
        saver,
        only(graph, "StylusCompare"),
    }
    assert set(second.executed) == follows
    assert second.cached == graph.keys() - follows
    assert comfy.files(second, saver, "audio") != [saved]
