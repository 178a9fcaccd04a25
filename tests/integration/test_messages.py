"""Words that a node shows while it works."""

import pytest

from .comfy_server import ComfyServer, Graph


@pytest.mark.parametrize(
    ("content", "samples", "words"),
    [("noise", 44100, "the style lasts 1.0 s"), ("silence", 132300, "the style is silent"), ("noise", 132300, None)],
)
def test_a_style_with_little_to_take_is_told_of_on_its_node(
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
        steps=2,
    )
    graph.add("PreviewAny", source=[capture, 0])

    run = comfy.run(graph)

    assert run.error is None
    warnings = [text for node, text in run.texts if node == capture and "⚠" in text]
    assert warnings if words else not warnings
    assert words is None or all(words in text for text in warnings)
    assert words is None or words in comfy.log
