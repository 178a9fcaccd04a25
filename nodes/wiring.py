"""Mistakes that a graph shows before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Prompt = Mapping[str, Mapping[str, Any]]
"""A graph as the host runs it: by id, each node's `class_type` and `inputs`; a link is [id, output]."""

SCHEDULED = {"StylusDDIMInvert": "DDIM Invert", "StylusCaptureStyle": "Capture Style KV"}
COMMON = ("steps", "sites")
"""Of a schedule, what a content and its styles can't differ in."""


def check_one_schedule(prompt: Prompt) -> None:
    """Raises ValueError if an inversion and a style that meet in a node are made at different steps or sites.

    A value that comes out of another node is not known yet; it is compared when both inversions are done.
    """
    for node in prompt.values():
        ends = [node["inputs"].get(name) for name in ("inversion", "style")]
        if not all(map(_is_link, ends)):
            continue
        schedules = list(_schedules(prompt, ends, set()))
        for other_name, other in schedules[1:]:
            name, first = schedules[0]
            for dial in COMMON:
                value, other_value = first.get(dial), other.get(dial)
                if value != other_value and not (_is_link(value) or _is_link(other_value)):
                    raise ValueError(
                        f"{dial} is {value} for {name} and {other_value} for {other_name}: wire one Stylus Schedule to both"
                    )


def _schedules(prompt: Prompt, links: list[Any], seen: set[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Names of the nodes above these links that take a schedule, each with the values of its Stylus Schedule.

    Args:
        seen: ids of nodes that are left out; those that are met are added.
    """
    for source, _ in filter(_is_link, links):
        node = prompt.get(source)
        if node is None or source in seen:
            continue
        seen.add(source)
        inputs = node["inputs"]
        if node["class_type"] not in SCHEDULED:
            yield from _schedules(prompt, list(inputs.values()), seen)
        elif _is_link(schedule := inputs.get("schedule")) and schedule[0] in prompt:
            chosen = prompt[schedule[0]]
            if chosen["class_type"] == "StylusSchedule":
                yield SCHEDULED[node["class_type"]], chosen["inputs"]


def _is_link(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
