"""Mistakes that a graph shows before anything runs."""

from collections.abc import Callable, Iterator
from typing import Any

from .graph import Prompt, linked, upstream

INVERTING = {"StylusDDIMInvert": "DDIM Invert", "StylusCaptureStyle": "Capture Style KV"}
DRAWING = {"StylusAudioToMel", "StylusLoadAudioMel"}
SAVED = "StylusLoadStyle"


def check_wiring(prompt: Prompt, kept_steps: Callable[[str], int | None]) -> None:
    """Compare the schedules of the inversion and the styles that meet in a node.

    A value that comes out of another node is not known yet; it is compared when the inversions are done.

    Args:
        kept_steps: the steps of a saved style by its name; None if they can't be read.

    Raises:
        ValueError: their steps or sites differ.
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
                    saved = "Load Style" in (name, other_name)
                    remedy = "choose the style's, or another style" if saved else "wire one Stylus Schedule to both"
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
        schedule = prompt.get(linked(inputs.get("schedule")) or "")
        if kind in INVERTING and schedule and schedule["class_type"] == "StylusSchedule":
            for dial in ("steps", "sites"):
                if not linked(value := schedule["inputs"].get(dial)):
                    yield dial, INVERTING[kind], value
