"""Features of content and styles as the read pass asks for them: from their banks, one pass ahead, or evaluated again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from .attention import Capture
from .features import Inversion
from .host import Evaluate, passes
from .sites import Site
from .streaming import Ahead, begin_copy


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
        self._banked = Ahead(partial(_begin, self.clips))

    def read(self, part: Part, evaluate: Evaluate, dtype: torch.dtype, per_pass: int) -> dict[Site, Tensor]:
        """From the clip's bank, or, where it has none, from evaluations at the points of its trajectory.

        Args:
            dtype: of the latents that `evaluate` is given.
            per_pass: windows that one evaluation may hold.
        """
        clip = self.clips[part.clip]
        if clip.bank is not None:
            return dict(zip(clip.sites, self._banked.take(part), strict=True))
        points = clip.trajectory[part.node, part.start : part.stop].to(part.device, dtype)
        captured = []
        for rows in passes(len(points), per_pass):
            hook = Capture(clip.sites)
            evaluate(points[rows], clip.sigmas[part.node].to(part.device), None, hook)
            captured.append(hook.features)
        return {site: torch.cat([features[site] for features in captured]) for site in clip.sites}

    def expect(self, parts: Iterable[Part]) -> None:
        """Begin to copy the banked ones of `parts`, and drop what was begun for any other."""
        self._banked.expect([part for part in parts if self.clips[part.clip].bank is not None])

    def release(self) -> None:
        """Let go of what was copied ahead, for a run that may have ended before the last node."""
        self.expect(())


def _begin(clips: tuple[Inversion, ...], part: Part) -> Callable[[], list[Tensor]]:
    """Begin to copy a part's features from its clip's bank."""
    bank = clips[part.clip].bank
    assert bank is not None
    return begin_copy([kept[part.start : part.stop] for kept in bank[part.node]], part.device)
