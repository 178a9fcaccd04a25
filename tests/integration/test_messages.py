"""Words that a node shows while it works."""

import pytest

from .comfy_server import ComfyServer, Graph
from .graphs import TransferGraph, upload_latent


def captured(samples: int, content: str = "noise") -> tuple[Graph, str]:
    """A style captured from a test's recording; the node that captures it."""
    graph = Graph()
    prior = graph.add("StylusLoadTiny")
    audio = graph.add("TestAudio", content=content, samples=samples, channels=1, sample_rate=44100)
    mel = graph.add("StylusAudioToMel", audio=[audio, 0], preset="tiny-256", short_clip="loop")
    latent = graph.add("VAEEncode", pixels=[mel, 0], vae=[prior, 2])
    capture = graph.add(
        "StylusCaptureStyle",
        model=[prior, 0],
        conditioning=[prior, 1],
        latent=[latent, 0],
        spectrogram=[mel, 1],
        schedule=[graph.add("StylusSchedule", steps=2), 0],
    )
    graph.add("PreviewAny", source=[capture, 0])
    return graph, capture


@pytest.mark.parametrize(("samples", "words"), [(44100, "the style lasts 1.0 s"), (132300, None)])
def test_a_short_style_is_warned_of_on_its_node(comfy: ComfyServer, samples: int, words: str | None) -> None:
    graph, capture = captured(samples)
    run = comfy.run(graph)
    assert run.error is None
    warnings = [text for node, text in run.texts if node == capture and "\N{WARNING SIGN}" in text]
    assert all(words and words in text for text in warnings)
    assert bool(warnings) == bool(words)
    assert words is None or words in comfy.log


def test_a_silent_style_ends_the_run_before_it_is_inverted(comfy: ComfyServer) -> None:
    graph, capture = captured(132300, "silence")
    run = comfy.run(graph)
    assert run.failed_node == capture
    assert "the style is silent: choose" in (run.error or "")
    assert not run.progress


def test_a_run_says_what_it_does_and_how_long_it_takes(comfy: ComfyServer) -> None:
    clip = upload_latent(comfy, "told", seed=21, batch=2)
    graph = TransferGraph(comfy, content=clip, steps=3)
    run = comfy.run(graph)
    assert run.error is None
    for node, work in ((graph.invert, "analysing 2 windows"), (graph.sampler, "restyling 2 windows")):
        first, *_, before_last, last = (text.split("\n") for name, text in run.texts if name == node)
        assert first == [work]
        assert before_last[0] == last[0] == work
        assert before_last[1].startswith("step 2 of 3, ")
        assert before_last[1].endswith(" s left")
        assert last[1].endswith(" s")
