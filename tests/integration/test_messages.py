"""Words that a node shows while it works."""

import re

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
    warnings = [text for node, text in run.texts if node == capture and "⚠" in text]
    assert all(words and words in text for text in warnings)
    assert bool(warnings) == bool(words)
    assert words is None or words in comfy.log


def test_a_silent_style_ends_the_run_before_it_is_inverted(comfy: ComfyServer) -> None:
    graph, capture = captured(132300, "silence")
    run = comfy.run(graph)
    assert run.failed_node == capture
    assert "the style is silent: choose" in (run.error or "")
    assert not run.progress


@pytest.mark.parametrize(
    ("features", "while_inverting", "while_sampling"),
    [
        ("cache", "features kept", "9 evaluations, features kept in part"),
        ("recompute", "features evaluated again when", "15 evaluations, features evaluated again"),
    ],
)
def test_a_run_tells_its_windows_evaluations_features_and_time(
    comfy: ComfyServer, features: str, while_inverting: str, while_sampling: str
) -> None:
    clip = upload_latent(comfy, f"told_{features}", seed=21, batch=2)
    graph = TransferGraph(comfy, content=clip, steps=3)
    twice = graph.add("StylusSchedule", steps=3, corrections=2)
    graph.set(graph.invert, features=features, schedule=[twice, 0])
    graph.set(graph.capture, features="recompute")

    run = comfy.run(graph)

    assert run.error is None
    told = {node: [text for name, text in run.texts if name == node] for node in (graph.invert, graph.sampler)}
    for words in told.values():
        assert [re.sub(r"\d+ s", "_ s", text).rpartition(", ")[2] for text in words[1:]] == [
            "_ s left",
            "_ s left",
            "_ s",
        ]
        assert "step 2 of 3" in words[2]
        assert all("2 windows" in text for text in words)
    assert all("12 evaluations" in text and while_inverting in text for text in told[graph.invert])
    assert all(while_sampling in text for text in told[graph.sampler])
