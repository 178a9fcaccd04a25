"""What stands above a node in the prompt that is run."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

Prompt = Mapping[str, Mapping[str, Any]]
"""A graph as the host runs it: by id, each node's `class_type` and `inputs`; a link is [id, output]."""


def upstream(prompt: Prompt | None, start: str, until: Collection[str] = ()) -> Iterator[Mapping[str, Any]]:
    """The node `start` and all that feed it, each once, the nearest first; nothing beyond a `class_type` of `until`."""
    waiting, seen = [start], {start}
    while waiting:
        node = (prompt or {}).get(waiting.pop(0))
        if node is None:
            continue
        yield node
        if node["class_type"] in until:
            continue
        for value in node["inputs"].values():
            if (source := linked(value)) and source not in seen:
                seen.add(source)
                waiting.append(source)


def linked(value: object) -> str | None:
    """The id of the node at the other end of a link; None for the value of a widget."""
    return value[0] if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) else None
