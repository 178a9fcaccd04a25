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
    run = comfy.finish(graph)
    warnings = [text for text in run.words(capture) if "\N{WARNING SIGN}" in text]
    assert all(words and words in text for text in warnings)
    assert bool(warnings) == bool(words)
    assert words is None or words in comfy.log


def test_a_silent_style_ends_the_run_before_it_is_inverted(comfy: ComfyServer) -> None:
    graph, capture = captured(132300, "silence")
    run = comfy.run(graph)
    assert run.failed_node == capture
    assert "the style is silent: choose" in (run.error or "")
    assert not run.progress


@pytest.mark.parametrize("wrong", [True, False])
def test_wires_that_fit_and_make_no_sense_are_warned_about(comfy: ComfyServer, wrong: bool) -> None:
    """A style cut to 0.2 s, the content's latent in its place, the style's spectrogram for the content's."""
    graph = Graph()
    prior = graph.add("StylusLoadTiny")
    shared = {"model": [prior, 0], "conditioning": [prior, 1]}
    schedule = [graph.add("StylusSchedule", steps=2), 0]
    content, style = (
        graph.add("StylusLoadAudioMel", audio=f"stylus/{name}.flac", preset="tiny-256", duration=seconds)
        for name, seconds in (("melody", 2.0), ("style_a", 0.2 if wrong else 2.0))
    )
    latents = [graph.add("VAEEncode", pixels=[mel, 0], vae=[prior, 2]) for mel in (content, style)]
    inverted = graph.add("StylusDDIMInvert", latent=[latents[0], 0], schedule=schedule, **shared)
    captured = graph.add("StylusCaptureStyle", latent=[latents[0 if wrong else 1], 0], schedule=schedule, **shared)
    sampler = graph.add("StylusInjectSampler", inversion=[inverted, 0], style=[captured, 0], **shared)
    images = graph.add("VAEDecode", samples=[sampler, 0], vae=[prior, 2])
    decoded = graph.add("StylusPhaseDecode", images=[images, 0], spectrogram=[style if wrong else content, 1])
    graph.add("PreviewAudio", audio=[decoded, 0])
    run = comfy.finish(graph)
    for node, expected in (
        (style, "the recording lasts 0.2 s"),
        (sampler, "style is the content itself"),
        (decoded, "spectrogram is of another recording"),
    ):
        assert any(expected in text for text in run.words(node)) == wrong


def test_a_run_says_what_it_does_and_how_long_it_takes(comfy: ComfyServer) -> None:
    clip = upload_latent(comfy, "told", seed=21, batch=2)
    graph = TransferGraph(comfy, content=clip, steps=3)
    run = comfy.finish(graph)
    for node, work in ((graph.invert, "analysing 2 windows"), (graph.sampler, "restyling 2 windows")):
        first, *_, before_last, last = (text.split("\n") for name, text in run.texts if name == node)
        assert first == [work]
        assert before_last[0] == last[0] == work
        assert before_last[1].startswith("step 2 of 3, ")
        assert before_last[1].endswith(" s left")
        assert last[1].endswith(" s")
