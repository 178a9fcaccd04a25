"""Words that a node shows while it works."""

import numpy as np
import pytest
import soundfile

from .comfy_server import ComfyServer
from .graphs import TinyGraph, TransferGraph, upload_latent

CONTENT = {"audio": "stylus/melody.flac", "duration": 2.0}


def test_a_silent_style_ends_the_run_before_it_is_inverted(comfy: ComfyServer) -> None:
    soundfile.write(comfy.input / "silent.wav", np.zeros(132300), 44100)
    graph = TinyGraph(CONTENT, {"audio": "silent.wav"})
    graph.add("PreviewAudio", audio=[graph.decode, 0])
    run = comfy.run(graph)
    assert run.failed_node == graph.capture
    assert "the style is silent" in run.error
    assert graph.capture not in dict(run.progress)


@pytest.mark.parametrize("wrong", [True, False])
def test_wires_that_fit_and_make_no_sense_are_warned_about(comfy: ComfyServer, wrong: bool) -> None:
    """A style cut to 0.2 s, the content's latent in its place, the style's spectrogram for the content's."""
    graph = TinyGraph(CONTENT, {"audio": "stylus/style_a.flac", "duration": 0.2 if wrong else 2.0})
    if wrong:
        graph.set(graph.capture, latent=graph[graph.invert]["inputs"]["latent"])
        graph.set(graph.decode, spectrogram=[graph.style, 1])
    graph.add("PreviewAudio", audio=[graph.decode, 0])
    run = comfy.finish(graph)
    for node, expected in (
        (graph.style, "the recording lasts 0.2 s"),
        (graph.capture, "the style lasts 0.2 s"),
        (graph.sampler, "style is the content itself"),
        (graph.decode, "spectrogram is of another recording"),
    ):
        assert any(expected in text for text in run.words(node)) == wrong
    assert not wrong or "the style lasts 0.2 s" in comfy.log


def test_a_run_says_what_it_does_and_how_long_it_takes(comfy: ComfyServer) -> None:
    clip = upload_latent(comfy, "told", seed=21, batch=2)
    graph = TransferGraph(comfy, content=clip, steps=3)
    run = comfy.finish(graph)
    for node, work in ((graph.invert, "analysing 2 windows"), (graph.sampler, "restyling 2 windows")):
        first, *_, before_last, last = (text for name, text in run.texts if name == node)
        assert first == work
        assert before_last.startswith(f"{work}\nstep 2 of 3, ")
        assert before_last.endswith(" s left")
        assert last.startswith(f"{work}\n")
