"""The other inputs of a node, while ComfyUI asks whether one is valid.

It repeats an answer for each input that a `validate_inputs` takes. So one that several inputs decide takes one of them.
"""

from contextvars import ContextVar
from typing import Any, TypeVar

from comfy_execution.utils import get_executing_context

from .graph import Prompt

Value = TypeVar("Value")

_graph: ContextVar[Prompt] = ContextVar("graph")


def remember(request: dict[str, Any]) -> dict[str, Any]:
    """Called by ComfyUI's server for each request to queue a graph, before its check."""
    _graph.set(request.get("prompt", {}))
    return request


def beside(name: str, unknown: Value) -> Value:
    """The widget `name` of the node that is checked; `unknown` where its value comes out of another node, or is of another type."""
    context = get_executing_context()
    node = _graph.get({}).get(context.node_id) if context else None
    value = node["inputs"].get(name) if node else None
    return value if isinstance(value, type(unknown)) else unknown
