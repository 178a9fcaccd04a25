"""Words that a node shows while it works."""

import re

import pytest

from .comfy_server import ComfyServer, Graph
from .graphs import TransferGraph, upload_latent


@pytest.mark.parametrize(
    ("content", "samples", "words"),
    [
        ("noise", 44100, "the style lasts 1.0 s"),
        ("silence", 132300, "the recording is silent"),
        ("noise", 132300, None),
    ],
)
def test_a_clip_with_little_to_take_is_told_of_on_its_node(
    comfy: ComfyServer, content: str, samples: int, words: str | None
) -> None:
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

    run = comfy.run(graph)

    assert run.error is None
    warnings = [text for node, text in run.texts if node in (mel, capture) and "⚠" in text]
    assert warnings if words else not warnings
    assert words is None or all(words in text for text in warnings)
    assert words is None or words in comfy.log


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
