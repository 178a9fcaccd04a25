"""Mistakes that a graph shows before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .graph import Prompt, linked, upstream

INVERTING = {"StylusDDIMInvert": "DDIM Invert", "StylusCaptureStyle": "Capture Style KV"}
COMMON = ("steps", "sites")
"""Of a schedule, what a content and its styles can't differ in."""
DRAWING = {"StylusAudioToMel", "StylusLoadAudioMel"}
ENCODING = {"VAEEncode", "VAEEncodeTiled"}
TINY, TINY_PRESET = "StylusLoadTiny", "tiny-256"
PRESET_WITHOUT_MODEL = "sd-512"


def check_wiring(prompt: Prompt) -> None:
    """Refuse content and styles that meet in a node and can't belong together.

    What comes out of another node is not known yet; it is compared when both inversions are done.

    Raises:
        ValueError: they are inverted at different steps or sites, or their images are of different presets, or of another
            than Stylus Tiny's where that is the model.
    """
    for node in prompt.values():
        ends = [linked(node["inputs"].get(name)) for name in ("inversion", "style")]
        if not all(ends):
            continue
        inversions = [found for end in ends if end for found in _inversions(prompt, end)]
        for name, inputs in inversions:
            _check_schedules(prompt, inversions[0], (name, inputs))
        for name, inputs in inversions:
            _check_presets(prompt, inversions[0], (name, inputs))


Named = tuple[str, Mapping[str, Any]]
"""An inverting node's title and its inputs."""


def _inversions(prompt: Prompt, end: str) -> Iterator[Named]:
    """The nearest inverting nodes above a node, itself included."""
    for node in upstream(prompt, end, until=INVERTING):
        if name := INVERTING.get(node["class_type"]):
            yield name, node["inputs"]
