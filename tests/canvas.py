"""A saved workflow as the prompt that ComfyUI's frontend makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from tests.integration.comfy_server import Graph

NOTES, BYPASSED, ENTRY, EXIT = {"Note", "MarkdownNote"}, 4, -10, -20
Source = Any
"""What an input gets: [node, output], the value of a widget, or None."""


def prompt(workflow: Mapping[str, Any]) -> Graph:
    """The nodes of a saved workflow in API format: subgraphs opened, notes and bypassed nodes left out."""
    definitions = {graph["id"]: graph for graph in workflow.get("definitions", {}).get("subgraphs", [])}
    found = Graph()

    def open_graph(graph: Mapping[str, Any], prefix: str, given: Callable[[int], Source]) -> Callable[[int], Source]:
        """Add the nodes of a graph; `given` and what is returned say what comes in and goes out at each place."""
        nodes = {node["id"]: node for node in graph["nodes"]}
        ends = [list(link.values()) if isinstance(link, dict) else link for link in graph["links"]]
        origins = {number: (origin, slot) for number, origin, slot, *_ in ends}
        exits = {place: number for number, _, _, target, place, _ in ends if target == EXIT}

        def wired(node: Mapping[str, Any]) -> dict[str, Source]:
            sources = {i["name"]: source(i["link"]) for i in node["inputs"] if i["link"] is not None}
            return {name: value for name, value in sources.items() if value is not None}

        def source(link: int) -> Source:
            origin, slot = origins[link]
            if origin == ENTRY:
                return given(slot)
            node = nodes[origin]
            if node["mode"] == BYPASSED:
                kind = node["outputs"][slot]["type"]
                through = [i["link"] for i in node["inputs"] if i["type"] == kind and i["link"] is not None]
                return source(through[0]) if through else None
            return opened(origin)(slot) if node["type"] in definitions else [f"{prefix}{origin}", slot]

        @cache
        def opened(number: int) -> Callable[[int], Source]:
            node = nodes[number]
            inside, values = definitions[node["type"]], node["widgets_values_named"]
            names = [i["name"] for i in inside["inputs"]]
            return open_graph(inside, f"{prefix}{number}:", lambda place: (values | wired(node)).get(names[place]))

        for number, node in nodes.items():
            if node["type"] in definitions:
                opened(number)
            elif node["type"] not in NOTES and node["mode"] != BYPASSED:
                inputs = node.get("widgets_values_named", {}) | wired(node)
                found[f"{prefix}{number}"] = {"class_type": node["type"], "inputs": inputs}
        return lambda place: source(exits[place])

    open_graph(workflow, "", lambda place: None)
    return found
