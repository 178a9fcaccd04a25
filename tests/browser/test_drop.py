"""Recordings that fall on the canvas: their workflow opens, or they become a Load Audio."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.integration.comfy_server import ComfyServer

from .conftest import EMPTY, Canvas

LOADER = {"class_type": "StylusLoadAudioMel", "inputs": {"audio": "stylus/melody.flac", "duration": 1.25}}
NODES = "() => app.graph.nodes.map(node => [node.type, node.widgets[0].value])"
COMMENTS = {
    "torn": '{"workflow": "{\\"nodes\\": [", "prompt": ""}',
    "of_another_program": json.dumps({"workflow": '{"tracks": 3}', "prompt": '"soft"'}),
    "words": "recorded on a Monday",
    "words_behind_empty_chunks": "recorded on a Monday",
}
"""Of recordings that hold no workflow; the first two look as if they did."""


def written(path: Path, comment: str) -> Path:
    with soundfile.SoundFile(path, "w", 22050, 1) as file:
        file.comment = comment
        file.write(np.zeros(2205))
    return path


@pytest.mark.parametrize("format", ["wav", "flac", "mp3", "opus"])
def test_a_saved_recording_opens_the_workflow_that_made_it(canvas: Canvas, comfy: ComfyServer, format: str) -> None:
    if format in ("mp3", "opus"):
        canvas.skip_where_missing(f"reader of the workflow in an {format}")
    canvas.open(EMPTY)
    values = {"audio": ["1", 2], "filename_prefix": f"dropped/{canvas.renderer}", "format": format, "bit_depth": "24"}
    prompt = {"1": LOADER, "2": {"class_type": "StylusSaveAudio", "inputs": values}}
    canvas.page.evaluate("prompt => app.loadApiJson(prompt, 'saved')", prompt)
    saved = canvas.run(comfy.output / "dropped", canvas.renderer)
    assert saved.suffix == f".{format}"
    canvas.open(EMPTY)
    canvas.drop(saved)
    canvas.page.wait_for_function("() => app.graph.nodes.length === 2")
    nodes = [["StylusLoadAudioMel", "stylus/melody.flac"], ["StylusSaveAudio", f"dropped/{canvas.renderer}"]]
    assert sorted(canvas.page.evaluate(NODES)) == nodes
    duration = "() => app.graph.nodes.flatMap(node => node.widgets).find(widget => widget.name === 'duration').value"
    assert canvas.page.evaluate(duration) == 1.25
    assert canvas.errors == []


def test_a_wav_of_a_prompt_alone_opens_it(canvas: Canvas, tmp_path: Path) -> None:
    canvas.open(EMPTY)
    canvas.drop(written(tmp_path / "prompt.wav", json.dumps({"prompt": json.dumps({"7": LOADER})})))
    canvas.page.wait_for_function("() => app.graph.nodes.length === 1")
    assert canvas.page.evaluate(NODES) == [["StylusLoadAudioMel", "stylus/melody.flac"]]


@pytest.mark.parametrize("name", COMMENTS)
def test_a_wav_without_a_workflow_is_loaded(canvas: Canvas, tmp_path: Path, name: str) -> None:
    canvas.open(EMPTY)
    path = written(tmp_path / f"{canvas.renderer}_{name}.wav", COMMENTS[name])
    if name.endswith("chunks"):  # a megabyte of them
        content = path.read_bytes()
        path.write_bytes(content[:12] + bytes(1 << 20) + content[12:])
    canvas.drop(path)
    message = canvas.page.get_by_text(f"Unable to find workflow in {path.name}").first
    if not name.startswith("words"):
        message.wait_for()  # and goes after some seconds
    canvas.page.wait_for_function("() => app.graph.nodes.some(node => node.type === 'LoadAudio')", timeout=10_000)
    assert canvas.page.evaluate(NODES) == [["LoadAudio", path.name]]
    canvas.page.wait_for_timeout(500)
    assert not name.startswith("words") or message.count() == 0
