"""Text on the node that is running, for whoever watches the graph."""

from __future__ import annotations

import logging
import textwrap

from comfy_execution.utils import ExecutionContext, get_executing_context
from server import PromptServer

LINE = 34  # letters that fit beside each other on a node; the browser would break longer lines within words

_warnings: tuple[ExecutionContext | None, list[str]] = (None, [])


def tell(text: str) -> None:
    """Show `text` on the node that is running, below its warnings and in place of its earlier text.

    While no node runs, nothing is shown.
    """
    context = get_executing_context()
    if context is not None:
        lines = [*_warnings_of(context), text] if text else _warnings_of(context)
        PromptServer.instance.send_progress_text("\n".join(lines), context.node_id, PromptServer.instance.client_id)


def warn(text: str) -> None:
    """Show a warning in the log and on the node that is running, where it stays above later texts."""
    logging.warning("Stylus: %s", text)
    context = get_executing_context()
    if context is not None:
        _warnings_of(context).append(textwrap.fill(f"\N{WARNING SIGN} {text}", LINE, break_long_words=False))
        tell("")


def _warnings_of(context: ExecutionContext) -> list[str]:
    """The warnings of this run of a node; those of the run before are forgotten."""
    global _warnings
    if _warnings[0] != context:
        _warnings = (context, [])
    return _warnings[1]


class _Warnings(logging.Handler):
    """Passes the core's warnings on to `warn`."""

    def emit(self, record: logging.LogRecord) -> None:
        warn(record.getMessage())


core = logging.getLogger("stylus")
core.addHandler(_Warnings())
core.propagate = False
