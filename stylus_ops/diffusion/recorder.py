"""Write pass: inverting a clip while the features of every node are kept."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..dials import Schedule
from .attention import Capture
from .ddim import invert
from .features import Bank, Inversion
from .host import Denoise, Evaluate, OnStep, passes
from .schedule import nearest_node
from .sites import Site


def record(
    recorder: Recorder,
    denoise: Denoise,
    latents: Tensor,
    schedule: Schedule,
    *,
    valid_width: int | None = None,
    on_step: OnStep | None = None,
    evaluated: Tensor | None = None,
) -> Inversion:
    """Invert a clip, and keep the features of every node as the recorder's policy asks.

    Args:
        denoise: the host's, whose evaluations all pass through `recorder`.
        latents, schedule, on_step, evaluated: as for `invert`.
        valid_width: latent columns that hold sound; None for all.
    """
    points, noise = invert(denoise, latents, recorder.sigmas, schedule, on_step, evaluated)
    # On a GPU this waits for all that was queued before it, so for the copies of points and features too.
    noise = noise.to("cpu", copy=True)
    return Inversion(recorder.sigmas, points, noise, recorder.sites, recorder.take(), valid_width or noise.shape[-1])


class Recorder:
    """Evaluates the model pass by pass and keeps the features of each node's last evaluation, in host memory.

    Args:
        sigmas: [N] ascending.
        sites: where features are taken.
        features: "cache" keeps them in the model's own dtype, "cache_fp16" in float16, "recompute" keeps nothing, "disk" keeps
            them in tensors that `on_disk` makes of a shape and dtype.
    """

    def __init__(
        self,
        sigmas: Tensor,
        sites: tuple[Site, ...],
        features: str = "cache",
        on_disk: Callable[[tuple[int, ...], torch.dtype], Tensor] | None = None,
    ):
        self.sigmas, self.sites = sigmas.cpu(), sites
        self.keep = features != "recompute"
        self.dtype = torch.float16 if features == "cache_fp16" else None
        self._on_disk = on_disk if features == "disk" else None
        self._steps: list[tuple[Tensor, ...]] = [()] * len(sigmas)

    def __call__(self, evaluate: Evaluate, x: Tensor, sigma: Tensor, per_pass: int) -> Tensor:
        outputs, node = [], nearest_node(self.sigmas, sigma.cpu())
        for rows in passes(len(x), per_pass):
            hook = Capture(self.sites) if self.keep else None
            outputs.append(evaluate(x[rows], sigma, rows, hook))
            if hook is not None:
                features = [hook.features[site] for site in self.sites]
                if not self._steps[node]:  # else this node is evaluated once more
                    self._steps[node] = tuple(self._allocate(part, len(x)) for part in features)
                for part, kept in zip(features, self._steps[node], strict=True):
                    kept[rows].copy_(part, non_blocking=part.is_cuda)
        return torch.cat(outputs)

    def _allocate(self, part: Tensor, windows: int) -> Tensor:
        if self._on_disk:
            return self._on_disk((windows, *part.shape[1:]), part.dtype)
        # Copies to the host run beside the model's work only if its memory is pinned.
        return torch.empty((windows, *part.shape[1:]), dtype=self.dtype or part.dtype, pin_memory=part.is_cuda)

    def take(self) -> Bank | None:
        """What was kept, None under `recompute`. The recorder drops it: a host may keep the recorder for longer."""
        bank, self._steps = tuple(self._steps), [()] * len(self._steps)
        return bank if self.keep else None
