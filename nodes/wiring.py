"""Mistakes that a graph shows before anything runs."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .graph import Prompt, linked, upstream

Inputs = Mapping[str, Any]

INVERTING = {"StylusDDIMInvert": "DDIM Invert", "StylusCaptureStyle": "Capture Style KV"}
ENCODING = {"VAEEncode", "VAEEncodeTiled"}
DRAWING = {"StylusAudioToMel", "StylusLoadAudioMel"}
TINY, SAVED = "StylusLoadTiny", "StylusLoadStyle"
OTHER_STYLE = "choose the style's steps in Stylus Schedule, or another style"
ONE_SCHEDULE = "wire one Stylus Schedule to both"
OTHER_PRESET = "choose the model's in every Audio to Mel, or auto with the MODEL wired to it"
REMEDIES = {"steps": ONE_SCHEDULE, "sites": ONE_SCHEDULE, "preset": OTHER_PRESET}


def check_wiring(prompt: Prompt, kept_steps: Callable[[str], int | None]) -> None:
    """Compare the inversion and the styles that meet in a node.

    A value that comes out of another node, and the geometry of a checkpoint, are not known yet; they are compared when the
    inversions are made. `kept_steps` gives the steps of a saved style by its name, None if they can't be read.

    Raises ValueError if their steps, sites or presets differ, or a preset is not that of their model, Stylus Tiny.
    """
    for node in prompt.values():
        ends = [linked(node["inputs"].get(name)) for name in ("inversion", "style")]
        if not all(ends):
            continue
        first: dict[str, tuple[str, Any]] = {}
        for end in filter(None, ends):
            for dial, name, value in _known(prompt, end, kept_steps):
                other_name, other = first.setdefault(dial, (name, value))
                if value != other:
                    remedy = OTHER_STYLE if "Load Style" in (name, other_name) else REMEDIES[dial]
                    raise ValueError(f"{dial} is {other} for {other_name} and {value} for {name}: {remedy}")


def other_recording(prompt: Prompt, decoding: str) -> bool:
    """Whether the spectrogram of Phase-Preserving Decode is known to be of no content that its images are made of."""
    until = {*DRAWING, "StylusCaptureStyle", SAVED}
    images, spectrogram = (
        [node for node in upstream(prompt, end, until) if node["class_type"] in DRAWING] if end else []
        for end in (linked(prompt[decoding]["inputs"].get(name)) for name in ("images", "spectrogram"))
    )
    return bool(images and spectrogram) and not any(node in images for node in spectrogram)


def _known(prompt: Prompt, end: str, kept_steps: Callable[[str], int | None]) -> Iterator[tuple[str, str, Any]]:
    """Of the inversions above a node, each dial that is known, for whom, and its value."""
    for node in upstream(prompt, end, until=INVERTING):
        kind, inputs = node["class_type"], node["inputs"]
        if kind == SAVED and isinstance(inputs.get("name"), str) and (steps := kept_steps(inputs["name"])):
            yield "steps", "Load Style", steps
        if kind not in INVERTING:
            continue
        schedule = _source(prompt, inputs, "schedule")
        if schedule and schedule["class_type"] == "StylusSchedule":
            for dial in ("steps", "sites"):
                if not linked(value := schedule["inputs"].get(dial)):
                    yield dial, INVERTING[kind], value
        if preset := _preset(prompt, inputs):
            yield "preset", INVERTING[kind], preset
        if _is_tiny(prompt, inputs):
            yield "preset", "Load Stylus Tiny", "tiny-256"


def _preset(prompt: Prompt, inverting: Inputs) -> str | None:
    """The preset of the images that are inverted; None if it is not known."""
    encoding = _source(prompt, inverting, "latent")
    drawing = encoding and encoding["class_type"] in ENCODING and _source(prompt, encoding["inputs"], "pixels")
    if not drawing or drawing["class_type"] not in DRAWING:
        return None
    inputs = drawing["inputs"]
    preset = inputs.get("preset")
    if preset == "auto" and inputs.get("model"):
        return "tiny-256" if _is_tiny(prompt, inputs) else None
    return "sd-512" if preset == "auto" else preset if isinstance(preset, str) else None


def _is_tiny(prompt: Prompt, inputs: Inputs) -> bool:
    """Whether the MODEL of a node is Stylus Tiny, with whatever patches on its way."""
    source, passed = linked(inputs.get("model")), set[str]()
    while source and source not in passed and source in prompt:
        if prompt[source]["class_type"] == TINY:
            return True
        passed.add(source)
        source = linked(prompt[source]["inputs"].get("model"))
    return False


def _source(prompt: Prompt, inputs: Inputs, name: str) -> Mapping[str, Any] | None:
    """The node at the other end of an input's link."""
    return prompt.get(linked(inputs.get(name)) or "")
