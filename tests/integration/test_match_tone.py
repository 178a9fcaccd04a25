"""Match Tone in a running ComfyUI."""

import pytest

from .comfy_server import ComfyServer, Graph, Run


def matched(comfy: ComfyServer, styles: list[str], **inputs: object) -> tuple[Run, list[str]]:
    graph = Graph()
    content = graph.add("TestAudio", content="noise", samples=44100, channels=2, sample_rate=44100)
    sounds = [graph.add("TestAudio", content=style, samples=30000, channels=1, sample_rate=48000) for style in styles]
    tone = graph.add(
        "StylusMatchTone",
        audio=[content, 0],
        tone=1.0,
        **{f"styles.style_{i}": [sound, 0] for i, sound in enumerate(sounds)},
        **inputs,
    )
    nodes = [tone, graph.add("PreviewAudio", audio=[tone, 0]), graph.add("PreviewImage", images=[tone, 1])]
    return comfy.run(graph), nodes


@pytest.mark.parametrize("weights", ["", "2, 1"])
def test_a_recording_takes_the_tone_of_two_others_and_shows_the_curve(comfy: ComfyServer, weights: str) -> None:
    run, (_, sound, curve) = matched(comfy, ["noise", "noise"], weights=weights)

    assert run.error is None
    assert run.outputs[sound]["audio"]
    assert run.outputs[curve]["images"]


def test_a_silent_style_is_told_of_on_its_node(comfy: ComfyServer) -> None:
    run, (tone, *_) = matched(comfy, ["silence"])

    assert run.error is None
    assert any("a style is silent" in text for node, text in run.texts if node == tone)
    assert "a style is silent" in comfy.log
