"""What is refused by looking at the graph."""

from typing import Any

import pytest

from nodes.wiring import check_wiring


def check(prompt: dict[str, Any]) -> None:
    check_wiring(prompt, {"strings.safetensors": 20}.get)


def graph(style: Any, **other: Any) -> dict[str, Any]:
    """A content and two styles in one blend, the second captured with a schedule of its own."""
    dials = {"steps": 50, "sites": "auto", "inversion": "fixed_point", "corrections": 1}
    nodes: list[tuple[str, dict[str, Any]]] = [
        ("Schedule", dials),
        ("Schedule", dials | other),
        ("DDIMInvert", {"schedule": ["1", 0]}),
        ("CaptureStyle", {"schedule": ["1", 0]}),
        ("CaptureStyle", {"schedule": ["2", 0]}),
        ("BlendStyles", {"styles.style_0": ["4", 0], "styles.style_1": ["5", 0]}),
        ("InjectSampler", {"inversion": ["3", 0], "style": style, "alpha": 0.9}),
    ]
    return {str(n): {"class_type": f"Stylus{kind}", "inputs": inputs} for n, (kind, inputs) in enumerate(nodes, 1)}


@pytest.mark.parametrize(("dial", "value"), [("steps", 20), ("sites", "9-11")])
def test_a_style_at_other_steps_or_sites_is_refused_by_name(dial, value):
    for style in (["5", 0], ["6", 0]):
        with pytest.raises(ValueError, match=f"{dial} is .* for DDIM Invert and {value} for Capture Style KV"):
            check(graph(style, **{dial: value}))


def test_what_fits_or_is_not_known_yet_passes():
    check(graph(["6", 0]))
    check(graph(["5", 0], corrections=3))
    check(graph(["5", 0], steps=["9", 0]))
    check(graph(["4", 0], steps=20))
    check({})
    lost = graph(["5", 0], steps=20)
    lost["5"]["inputs"]["schedule"] = ["10", 0]
    check(lost)


def test_a_graph_of_many_paths_is_looked_through_once():
    """40 blends in a row, each of the one before it twice: 2^40 paths; and each feeds itself."""
    prompt = graph(["139", 0], steps=20)
    for node in range(100, 140):
        before = ["5", 0] if node == 100 else [str(node - 1), 0]
        styles = {"styles.style_0": before, "styles.style_1": before, "styles.style_2": [str(node), 0]}
        prompt[str(node)] = {"class_type": "StylusBlendStyles", "inputs": styles}
    with pytest.raises(ValueError, match="steps is"):
        check(prompt)


def test_a_saved_style_of_other_steps_is_refused_before_the_inversion():
    prompt = graph(["8", 0])
    prompt["8"] = {"class_type": "StylusLoadStyle", "inputs": {"name": "strings.safetensors"}}
    with pytest.raises(ValueError, match="steps is 50 for DDIM Invert and 20 for Load Style"):
        check(prompt)
    for unknown in ("one that can't be read.safetensors", ["9", 0]):
        prompt["8"]["inputs"]["name"] = unknown
        check(prompt)


CHECKPOINT, TINY, PATCHED_TINY, ITSELF = "40", "41", "42", "43"
MODELS = {
    CHECKPOINT: {"class_type": "CheckpointLoaderSimple", "inputs": {}},
    TINY: {"class_type": "StylusLoadTiny", "inputs": {}},
    PATCHED_TINY: {"class_type": "LoraLoaderModelOnly", "inputs": {"model": [TINY, 0]}},
    ITSELF: {"class_type": "LoraLoaderModelOnly", "inputs": {"model": [ITSELF, 0]}},
}


def drawn(content: dict[str, Any], style: dict[str, Any], model: str = CHECKPOINT) -> dict[str, Any]:
    """A content and a style from the inputs of their Load Audio to Mel and Audio to Mel on, inverted by a model."""
    prompt = graph(["4", 0]) | MODELS
    for clip, inverting, kind, inputs in (("20", "3", "LoadAudioMel", content), ("30", "4", "AudioToMel", style)):
        encoding = f"{clip}1"
        prompt[clip] = {"class_type": f"Stylus{kind}", "inputs": inputs}
        prompt[encoding] = {"class_type": "VAEEncode", "inputs": {"pixels": [clip, 0], "vae": [model, 2]}}
        prompt[inverting]["inputs"] |= {"latent": [encoding, 0], "model": [model, 0]}
    return prompt


SD, SMALL, ALONE = ({"preset": preset} for preset in ("sd-512", "tiny-256", "auto"))


def auto(model: str) -> dict[str, Any]:
    return {"preset": "auto", "model": [model, 0]}


@pytest.mark.parametrize(
    ("content", "style"), [(SD, SMALL), (SMALL, SD), (ALONE, SMALL), (SD, auto(TINY)), (auto(PATCHED_TINY), ALONE)]
)
def test_images_of_two_presets_are_refused_by_name(content, style):
    with pytest.raises(ValueError, match=r"preset is .* for DDIM Invert and .* for Capture Style KV"):
        check(drawn(content, style))


@pytest.mark.parametrize("model", [TINY, PATCHED_TINY])
@pytest.mark.parametrize("other", [SD, ALONE])
def test_a_preset_that_is_not_stylus_tinys_is_refused_by_name(model, other):
    with pytest.raises(ValueError, match="preset is sd-512 for DDIM Invert and tiny-256 for Load Stylus Tiny"):
        check(drawn(other, other, model))
    check(drawn(SMALL, auto(model), model))


def test_presets_that_agree_or_are_not_known_yet_pass():
    for clips in ((SD, SD), (SD, ALONE), (SD, auto(CHECKPOINT)), (SMALL, auto(ITSELF)), (SD, {"preset": ["50", 0]})):
        check(drawn(*clips))
    for scaled in (drawn(SD, SMALL), drawn(SD, SMALL, TINY)):
        scaled["51"] = {"class_type": "ImageScale", "inputs": {"image": ["20", 0]}}
        scaled["201"]["inputs"]["pixels"] = ["51", 0]
        check(scaled)
    earlier = drawn(SMALL, {"audio": ["60", 0], **SMALL})
    earlier["60"] = {"class_type": "StylusPhaseDecode", "inputs": {"spectrogram": ["61", 1]}}
    earlier["61"] = {"class_type": "StylusLoadAudioMel", "inputs": SD}
    check(earlier)
