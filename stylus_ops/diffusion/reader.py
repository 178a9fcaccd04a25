"""Features of content and styles as the read pass asks for them: from their banks, one pass ahead, or evaluated again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..copies import begin_copy, to_device
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
    """Hidden states [windows, tokens, C], by site, of parts of clips, which they name by their numbers."""

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
        points = to_device(clip.trajectory[part.node, part.start : part.stop], part.device).to(dtype)
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
