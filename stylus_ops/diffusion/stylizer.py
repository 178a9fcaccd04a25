"""Read pass: evaluating the model with content and style features injected, the windows split so that a pass fits in memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from .adain import match_statistics
from .attention import Capture, Dials, Injection, JointInjection
from .features import Inversion, Style, check_same_schedule
from .host import Evaluate, passes
from .schedule import nearest_node
from .sites import Site
from .streaming import Ahead, begin_copy


class Read(NamedTuple):
    """Features of windows `start` to `stop` of a clip at a node, wanted on a device."""

    clip: int
    """0 is the content, the styles follow."""
    node: int
    start: int
    stop: int
    device: torch.device


def _begin(clips: tuple[Inversion, ...], read: Read) -> Callable[[], list[Tensor]]:
    bank = clips[read.clip].bank
    assert bank is not None
    return begin_copy([kept[read.start : read.stop] for kept in bank[read.node]], read.device)


class Stylizer:
    """Read pass: evaluates the model with the content's and the styles' features injected.

    Args:
        content: inversion of the clip that keeps its structure; B windows.
        style: captured at the same steps and sites.
        dials: alpha, gamma, tau and mask.
        start, end: injected part of the sampling run, 0 (first step) to 1; evaluations outside it are plain.

    Raises:
        ValueError: a dial out of range, or content and style that don't belong together.
    """

    def __init__(self, content: Inversion, style: Style, dials: Dials, start: float = 0.0, end: float = 1.0):
        dials.check()
        if not 0 <= start <= end <= 1:
            raise ValueError(f"start is {start} and end is {end}: they need 0 <= start <= end <= 1")
        for capture in style.captures:
            check_same_schedule(content, capture, "style", "the inversion")
        if dials.mask is not None and len(dials.mask) not in (1, len(content.noise)):
            raise ValueError(
                f"mask has {len(dials.mask)} images: give one for all windows, or one for each of the {len(content.noise)}"
            )
        self.content, self.style, self.dials, self.start, self.end = content, style, dials, start, end
        self.clips = (content, *style.captures)
        self._banked = Ahead(partial(_begin, self.clips))

    def __call__(self, evaluate: Evaluate, x: Tensor, sigma: Tensor, per_pass: int, chunks: int = 1) -> Tensor:
        """`x` holds the content's B windows `chunks` times over (conditional and unconditional halves under cfg > 1)."""
        windows = len(x) // chunks
        if x.shape[1:] != self.content.noise.shape[1:] or windows != len(self.content.noise):
            raise ValueError(
                f"the sampler's latents are {tuple(x.shape)}, the inversion's {tuple(self.content.noise.shape)}: "
                "sample the latent that came with the style patch, without area conditioning"
            )
        node = nearest_node(self.content.sigmas, sigma.cpu())
        inject = self._injects(node)
        if inject and chunks == 1 and self._fits_one_batch(x, sigma, node, per_pass):
            return self._evaluate_together(evaluate, x, sigma, node)
        parts = list(passes(windows, per_pass))
        following = [*((node, rows) for rows in parts[1:]), (node - 1, parts[0])]
        styles = [self._features(evaluate, read, x, per_pass) for read in self._style_reads(node, x.device)]
        outputs = x.new_empty((chunks, windows, *x.shape[1:]))
        batch = x.unflatten(0, (chunks, windows))
        for rows, ahead in zip(parts, following, strict=True):
            hook = self._injection(evaluate, node, rows, styles, x, per_pass) if inject else None
            self._expect(*ahead, x.device)
            for chunk in range(chunks):
                offset = slice(chunk * windows + rows.start, chunk * windows + rows.stop)
                outputs[chunk, rows] = evaluate(batch[chunk, rows], sigma, offset, hook)
        return outputs.flatten(0, 1)

    def release(self) -> None:
        """Let go of what was copied ahead, for a run that may have ended before the last node."""
        self._banked.expect(())

    def _injects(self, node: int) -> bool:
        steps = len(self.content.sigmas)
        return self.start <= (steps - 1 - node) / steps < self.end

    def _style_reads(self, node: int, device: torch.device) -> list[Read]:
        if not (self._injects(node) and self.dials.attend_style):
            return []
        return [Read(i, node, 0, len(clip.noise), device) for i, clip in enumerate(self.clips) if i > 0]

    def _content_reads(self, node: int, rows: slice, device: torch.device) -> list[Read]:
        if not (self._injects(node) and self.dials.read_content):
            return []
        return [Read(0, node, rows.start, rows.stop, device)]

    def _expect(self, node: int, rows: slice, device: torch.device) -> None:
        """Begin to copy what the pass over `rows` at `node` reads. Node -1, the end of the run, reads nothing."""
        reads = self._content_reads(node, rows, device)
        if rows.start == 0:
            reads += self._style_reads(node, device)
        self._banked.expect([read for read in reads if self.clips[read.clip].bank is not None])

    def _fits_one_batch(self, x: Tensor, sigma: Tensor, node: int, per_pass: int) -> bool:
        """Whether clips to be recomputed and sample have one size and noise level, and one pass has room for them all."""
        return (
            self.dials.attend_content
            and self.dials.attend_style
            and all(clip.bank is None and clip.noise.shape[1:] == x.shape[1:] for clip in self.clips)
            and sum(len(clip.noise) for clip in self.clips) + len(x) <= per_pass
            and math.isclose(sigma, self.content.sigmas[node], rel_tol=1e-5)
        )

    def _evaluate_together(self, evaluate: Evaluate, x: Tensor, sigma: Tensor, node: int) -> Tensor:
        clips = [clip.trajectory[node].to(x) for clip in self.clips]
        batch = [*clips, x]
        height, width = x.shape[-2:]
        hook = JointInjection(
            self.content.sites, [len(part) for part in batch], self.style.weights, self.dials, (height, width)
        )
        return evaluate(torch.cat(batch), sigma, slice(0, len(x)), hook)[-len(x) :]

    def _injection(
        self, evaluate: Evaluate, node: int, rows: slice, styles: list[dict[Site, Tensor]], x: Tensor, per_pass: int
    ) -> Injection:
        mask = self.dials.mask
        dials = self.dials if mask is None or len(mask) == 1 else self.dials._replace(mask=mask[rows])
        reads = self._content_reads(node, rows, x.device)
        content = self._features(evaluate, reads[0], x, per_pass) if reads else {}
        height, width = x.shape[-2:]
        return Injection(content, styles, self.style.weights, dials, (height, width))

    def _features(self, evaluate: Evaluate, read: Read, x: Tensor, per_pass: int) -> dict[Site, Tensor]:
        """From the bank, or evaluated again."""
        clip = self.clips[read.clip]
        if clip.bank is not None:
            return dict(zip(clip.sites, self._banked.take(read), strict=True))
        points = clip.trajectory[read.node, read.start : read.stop].to(x.device, x.dtype)
        parts = []
        for part in passes(len(points), per_pass):
            hook = Capture(clip.sites)
            evaluate(points[part], clip.sigmas[read.node].to(x.device), None, hook)
            parts.append(hook.features)
        return {site: torch.cat([features[site] for features in parts]) for site in clip.sites}

    def start_latents(self, mode: str = "adain", strength: float = 1.0) -> Tensor:
        """Where sampling starts, [B, C, h, w] at the last node: the content's noise with the styles' statistics.

        With a mask, unpainted places start from the content's own noise, or style would leak where nobody painted.
        """
        noise = self.content.noise
        inside = self.content.statistics
        matched = match_statistics(
            inside, [c.statistics for c in self.style.captures], self.style.weights, mode, strength
        )
        if self.dials.mask is not None:
            mask = interpolate(self.dials.mask[:, None].to(noise), size=noise.shape[-2:], mode="area")
            matched = torch.lerp(inside, matched, mask[..., : self.content.valid_width])
        return torch.cat([matched, noise[..., self.content.valid_width :]], dim=-1)
