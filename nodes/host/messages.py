"""What a node shows while it runs: text, warnings, how far it is."""

import logging
import textwrap
import time

import latent_preview
from comfy.model_patcher import ModelPatcher
from comfy_execution.utils import ExecutionContext, get_executing_context
from server import PromptServer
from torch import Tensor

from ...stylus_ops.diffusion.host import OnStep

LINE = 34  # letters that fit beside each other on a node; the browser would break longer lines within words

_warnings: tuple[ExecutionContext | None, list[str]] = (None, [])


def tell(text: str) -> None:
    """Show `text` on the node that is running, if any, below its warnings and in place of its earlier text."""
    if context := get_executing_context():
        lines = [*_warnings_of(context), text] if text else _warnings_of(context)
        PromptServer.instance.send_progress_text("\n".join(lines), context.node_id, PromptServer.instance.client_id)


def warn(text: str) -> None:
    """Show a warning in the log and on the node that is running, where it stays above later texts."""
    logging.warning("Stylus: %s", text)
    if context := get_executing_context():
        _warnings_of(context).append(textwrap.fill(f"\N{WARNING SIGN} {text}", LINE, break_long_words=False))
        tell("")


def _warnings_of(context: ExecutionContext) -> list[str]:
    """The warnings of this run of a node; those of the run before are forgotten."""
    global _warnings
    if _warnings[0] != context:
        _warnings = (context, [])
    return _warnings[1]


def progress(model: ModelPatcher, steps: int, what: str) -> OnStep:
    """Shows the work that is done, `what`, and below it the number of the step and the time left.
    Made when the first step begins: before it the host loads the model."""
    preview, began = latent_preview.prepare_callback(model, steps), time.monotonic()
    tell(what)

    def on_step(i: int, x: Tensor, denoised: Tensor) -> None:
        preview(i, denoised, x, steps)
        spent, done = time.monotonic() - began, i + 1
        left = duration(spent / done * (steps - done))
        tell(f"{what}\nstep {done} of {steps}, {left} left" if done < steps else f"{what}\n{duration(spent)}")

    return on_step


def count_windows(count: int) -> str:
    return "1 window" if count == 1 else f"{count} windows"


def duration(seconds: float) -> str:
    """Seconds as a text, such as 8 s or 1 min 30 s."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class _Warnings(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        warn(record.getMessage())


core = logging.getLogger("stylus")
core.addHandler(_Warnings())
core.propagate = False
