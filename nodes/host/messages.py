"""Words on the node that is at work, for whoever watches the graph."""

from __future__ import annotations

import logging

from comfy_execution.utils import ExecutionContext, get_executing_context
from server import PromptServer

_warnings: tuple[ExecutionContext | None, list[str]] = (None, [])


def tell(text: str) -> None:
    """Show `text` on the node that is at work, below its warnings and in place of what it told before.

    Outside of a node's work nothing is shown.
    """
    context = get_executing_context()
    if context is not None:
        lines = [*_warnings_of(context), text] if text else _warnings_of(context)
        PromptServer.instance.send_progress_text("\n".join(lines), context.node_id, PromptServer.instance.client_id)


def warn(text: str) -> None:
    """Show a warning on the node that is at work, where it stays above what is told later, and in the log."""
    logging.warning("Stylus: %s", text)
    context = get_executing_context()
    if context is not None:
        _warnings_of(context).append(f"⚠ {text}")
        tell("")


def _warnings_of(context: ExecutionContext) -> list[str]:
    """The warnings of this run of a node; those of the run before are forgotten."""
    global _warnings
    if _warnings[0] != context:
        _warnings = (context, [])
    return _warnings[1]


class _Warnings(logging.Handler):
    """What the core warns of while a node is at work."""

    def emit(self, record: logging.LogRecord) -> None:
        warn(record.getMessage())


core = logging.getLogger("stylus")
core.addHandler(_Warnings())
core.propagate = False
