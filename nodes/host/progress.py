"""What a run shows while it goes on: the host's bar and preview, and a text on the node."""

from __future__ import annotations

import time

import latent_preview
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from .messages import tell


class Progress:
    """An `OnStep` of the core's loops. Made when the first step begins: before it the host loads the model.

    Args:
        steps: number of steps of the run.
        what: the work that is done; the number of the step and the time left follow on a line of their own.
    """

    def __init__(self, model: ModelPatcher, steps: int, what: str):
        self.steps, self.what = steps, what
        self._preview = latent_preview.prepare_callback(model, steps)
        self._began = time.monotonic()
        tell(what)

    def __call__(self, i: int, x: Tensor, denoised: Tensor) -> None:
        self._preview(i, denoised, x, self.steps)
        spent, done = time.monotonic() - self._began, i + 1
        if done == self.steps:
            tell(f"{self.what}\n{duration(spent)}")
        else:
            left = duration(spent / done * (self.steps - done))
            tell(f"{self.what}\nstep {done} of {self.steps}, {left} left")


def duration(seconds: float) -> str:
    """Seconds as a text, such as 8 s or 1 min 30 s."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
