"""What a run shows while it goes on: the host's bar and preview, and words on the node."""

from __future__ import annotations

import time

import latent_preview
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from .messages import tell


class Progress:
    """An `OnStep` of the core's loops. Made when the first step begins: before it the host loads the model.

    Args:
        steps: of the run.
        what: the work in words, which the step and the time that is left follow.
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
            tell(f"{self.what}, {duration(spent)}")
        else:
            left = duration(spent / done * (self.steps - done))
            tell(f"{self.what}, step {done} of {self.steps}, {left} left")


def duration(seconds: float) -> str:
    """Such as 8 s, 1 min 30 s."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
