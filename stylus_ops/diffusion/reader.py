"""Features of content and styles as the read pass asks for them: from their banks, one pass ahead, or evaluated again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from .attention import Capture
from .features import Inversion
from .host import Evaluate, passes
from .sites import Site


class Part(NamedTuple):
    """Windows `start` to `stop` of a clip at a node, whose features are wanted on a device."""

    clip: int
    node: int
    start: int
    stop: int
    device: torch.device


class FeatureReader:
    """Hidden states [windows, tokens, C] of parts of clips, by site.

    Args:
        clips: by the numbers that parts name them with.
    """

    def __init__(self, clips: Sequence[Inversion]):
        self.clips = tuple(clips)
        self._begun: dict[Part, Callable[[], list[Tensor]]] = {}

    def read(self, part: Part, evaluate: Evaluate, dtype: torch.dtype, per_pass: int) -> dict[Site, Tensor]:
        """From the clip's bank, or, where it has none, from evaluations at the points of its trajectory.

        Args:
            dtype: of the latents that `evaluate` is given.
            per_pass: windows that one evaluation may hold.
        """
        clip = self.clips[part.clip]
        if clip.bank is not None:
            finish = self._begun.pop(part, None) or self._begin(part)
            return dict(zip(clip.sites, finish(), strict=True))
        points = clip.trajectory[part.node, part.start : part.stop].to(part.device, dtype)
        captured = []
        for rows in passes(len(points), per_pass):
            hook = Capture(clip.sites)
            evaluate(points[rows], clip.sigmas[part.node], None, hook)
            captured.append(hook.features)
        return {site: torch.cat([features[site] for features in captured]) for site in clip.sites}

    def prefetch(self, parts: Iterable[Part]) -> None:
        """Begin to copy the banked ones of `parts`, and drop every other copy: a wrong guess costs time, never the result."""
        banked = [part for part in parts if self.clips[part.clip].bank is not None]
        self._begun = {part: self._begun.get(part) or self._begin(part) for part in banked}

    def _begin(self, part: Part) -> Callable[[], list[Tensor]]:
        bank = self.clips[part.clip].bank
        assert bank is not None
        return begin_copy([kept[part.start : part.stop] for kept in bank[part.node]], part.device)


def begin_copy(tensors: Sequence[Tensor], device: torch.device) -> Callable[[], list[Tensor]]:
    """Copy host tensors to a device; what is returned gives them, to be used on the caller's current stream.

    For CUDA the copies are queued at once on a stream of their own, and the current stream waits for them when they are asked
    for (PyTorch's notes on CUDA semantics). On other devices nothing happens before that; what is there already is not copied.
    """
    if device.type != "cuda":
        return lambda: [tensor.to(device) for tensor in tensors]
    stream = _copy_stream(device)
    with torch.cuda.stream(stream):
        copies = [tensor.to(device, non_blocking=True) for tensor in tensors]
        done = stream.record_event()

    def finish() -> list[Tensor]:
        current = torch.cuda.current_stream(device)
        current.wait_event(done)
        for copy in copies:
            copy.record_stream(current)
        return copies

    return finish


@cache
def _copy_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)
