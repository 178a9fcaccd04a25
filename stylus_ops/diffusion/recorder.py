"""Write pass: evaluating the model while the features of every node are kept."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from .attention import Capture
from .features import Bank, Inversion, bank_bytes
from .host import Evaluate, passes
from .inversion import Trajectory
from .schedule import nearest_node
from .sites import Site
from .streaming import host_room


class Recorder:
    """Write pass: evaluates the model and keeps the features of each node's last evaluation.

    Args:
        sigmas: [N] ascending.
        sites: where features are taken.
        dtype: of the kept features; None for the model's own.
        keep: False records nothing (the `recompute` policy).
    """

    def __init__(self, sigmas: Tensor, sites: tuple[Site, ...], dtype: torch.dtype | None = None, keep: bool = True):
        self.sigmas, self.sites, self.dtype, self.keep = sigmas.cpu(), sites, dtype, keep
        self._steps: list[tuple[Tensor, ...]] = [()] * len(sigmas)
        self._skip = False

    def skip_next(self) -> None:
        """Keep nothing of the next evaluation: a later one of the same node follows."""
        self._skip = True

    def __call__(self, evaluate: Evaluate, x: Tensor, sigma: Tensor, per_pass: int) -> Tensor:
        keep, self._skip = self.keep and not self._skip, False
        outputs = []
        for rows in passes(len(x), per_pass):
            hook = Capture(self.sites) if keep else None
            outputs.append(evaluate(x[rows], sigma, rows, hook))
            if hook is not None:
                self._keep(nearest_node(self.sigmas, sigma.cpu()), rows, len(x), hook.features)
        return torch.cat(outputs)

    def _keep(self, node: int, rows: slice, windows: int, features: dict[Site, Tensor]) -> None:
        if rows.start == 0:
            self._steps[node] = tuple(host_room(features[site], windows, self.dtype) for site in self.sites)
        for site, kept in zip(self.sites, self._steps[node], strict=True):
            kept[rows] = features[site]

    def inversion(
        self, trajectory: Trajectory, valid_width: int, conditioning: object = None, weights: object = None
    ) -> Inversion:
        """The frozen result, in host memory. The recorder hands its features over: a host may keep it for longer."""
        bank: Bank | None = tuple(self._steps) if self.keep else None
        self._steps = [()] * len(self._steps)
        if bank:
            logging.info("Stylus: recorded %.1f MB of features", bank_bytes(bank) / 1e6)
        evaluated, noise = (t.to("cpu", copy=True) for t in trajectory)
        return Inversion(self.sigmas, evaluated, noise, self.sites, bank, valid_width, conditioning, weights)
