"""Read pass: evaluating the model with content and style features injected, the windows split so that a pass fits in memory."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..copies import to_device
from ..dials import Steering
from .adain import match_statistics
from .attention import Injection, JointInjection, attends_content
from .features import Inversion, Style, check_same_schedule
from .host import Evaluate, passes
from .reader import FeatureReader, Part
from .schedule import nearest_node

CONTENT = 0
"""Number of the content among the clips; the styles follow."""


class Stylizer:
    """Mixes the content's and the styles' features into evaluations of the model.

    A step of sampling at a node is one evaluation of all B windows of the sample x:

        D(x, sigma; h_c, h_s)       h_c[b] the content's features of window b, h_s the styles' of all their windows, at that node

    Window b attends to its own content and to every style window, and to no other window of the sample. So the batch may be
    split into passes of any size without a change in the result: a pass needs its own rows of h_c, and all of h_s.

    Args:
        content: inversion of the clip that keeps its structure; B windows.
        style: captured at the same steps and sites.
        steering: evaluations outside of `start_percent` to `end_percent` of the sampling run are plain.
        mask: [B or 1, H, W] in 0..1, where the style is applied; None for everywhere.

    Raises ValueError: content and style don't belong together, or the mask doesn't fit.
    """

    def __init__(self, content: Inversion, style: Style, steering: Steering, mask: Tensor | None = None):
        for capture in style.captures:
            check_same_schedule(content, capture, "style", "the inversion")
        if mask is not None and len(mask) not in (1, len(content.noise)):
            raise ValueError(f"mask has {len(mask)} images: give one, or one for each of {len(content.noise)} windows")
        self.content, self.style, self.steering, self.mask = content, style, steering, mask
        self.reader = FeatureReader((content, *style.captures))

    def __call__(self, evaluate: Evaluate, x: Tensor, sigma: Tensor, per_pass: int, chunks: int = 1) -> Tensor:
        """Denoised prediction of x with the style in it, same shape; plain where nothing is injected.

        Args:
            x: [chunks * B, C, h, w]: the content's B windows, `chunks` times over (conditional and unconditional halves under
                classifier-free guidance).
            sigma: scalar.
            per_pass: windows that one evaluation may hold.

        Raises ValueError: x is not of the inversion's windows and size.
        """
        windows = len(x) // chunks
        if x.shape[1:] != self.content.noise.shape[1:] or windows != len(self.content.noise):
            raise ValueError(
                f"the sampler's latents are {tuple(x.shape)}, the inversion's {tuple(self.content.noise.shape)}: "
                "sample the latent that came with the style patch, without area conditioning"
            )
        level, mask = sigma.cpu(), self.mask  # a host whose sigma lies on a GPU waits for it here and nowhere else
        node = nearest_node(self.content.sigmas, level)
        if mask is not None:
            mask = to_device(mask, x.device)
        size = (x.shape[-2], x.shape[-1])
        inject = partial(Injection, weights=self.style.weights, steering=self.steering, latent_size=size)
        if chunks == 1 and self._fits_one_batch(x, level, node, per_pass):
            points = [to_device(clip.trajectory[node], x.device).to(x.dtype) for clip in self.reader.clips]
            counts = [len(part) for part in (*points, x)]
            joint = JointInjection(self.content.sites, counts, partial(inject, mask=mask))
            return evaluate(torch.cat([*points, x]), sigma, slice(0, len(x)), joint)[-len(x) :]

        # h_s is the same for every pass: read once a step. h_c is read with the pass that needs it, so that a song's features
        # are never on the device all at once. While a pass is evaluated, those of the next one are on their way, and after the
        # last pass of a node comes the first of the node below.
        parts = list(passes(windows, per_pass))
        following = [*((node, rows) for rows in parts[1:]), (node - 1, parts[0])]
        _, parts_of_styles = self._parts(node, parts[0], x.device)
        styles = [self.reader.read(part, evaluate, x.dtype, per_pass) for part in parts_of_styles]
        outputs = x.new_empty((chunks, windows, *x.shape[1:]))
        batch = x.unflatten(0, (chunks, windows))
        for rows, (next_node, next_rows) in zip(parts, following, strict=True):
            parts_of_content, _ = self._parts(node, rows, x.device)
            content = [self.reader.read(part, evaluate, x.dtype, per_pass) for part in parts_of_content]
            hook = None
            if self._injects(node):
                own_mask = mask if mask is None or len(mask) == 1 else mask[rows]
                hook = inject(content[0] if content else {}, styles, mask=own_mask)
            next_content, next_styles = self._parts(next_node, next_rows, x.device)
            self.reader.prefetch(next_content + (next_styles if next_rows is parts[0] else []))
            # Under guidance every chunk has the same windows with other prompts: the features serve them one after the other.
            for chunk in range(chunks):
                offset = slice(chunk * windows + rows.start, chunk * windows + rows.stop)
                outputs[chunk, rows] = evaluate(batch[chunk, rows], sigma, offset, hook)
        return outputs.flatten(0, 1)

    def release(self) -> None:
        """Drop what was copied ahead, for a run that may have ended before the last node."""
        self.reader.prefetch(())

    def _injects(self, node: int) -> bool:
        """Sampling goes from node N - 1 down to 0: `start_percent` and `end_percent` are shares of the N steps on this way."""
        steps = len(self.content.sigmas)
        return self.steering.start_percent <= (steps - 1 - node) / steps < self.steering.end_percent

    def _parts(self, node: int, rows: slice, device: torch.device) -> tuple[list[Part], list[Part]]:
        """What a pass over `rows` at `node` needs of the content and of the styles. Node -1, the end of the run, needs nothing."""
        if not self._injects(node):
            return [], []
        captures = self.style.captures if self.steering.alpha != 0 else ()
        styles = [Part(number, node, 0, len(clip.noise), device) for number, clip in enumerate(captures, CONTENT + 1)]
        if not attends_content(self.steering, self.mask) and self.steering.gamma == 0:
            return [], styles
        return [Part(CONTENT, node, rows.start, rows.stop, device)], styles

    def _fits_one_batch(self, x: Tensor, sigma: Tensor, node: int, per_pass: int) -> bool:
        """Whether features to be evaluated again and the sample have one size and noise level, and one pass has room for all.

        Then [content, styles, x] is one evaluation instead of three, which also saves projecting the clips' tokens twice.
        """
        clips = self.reader.clips
        return (
            self._injects(node)
            and attends_content(self.steering, self.mask)
            and self.steering.alpha != 0
            and all(clip.bank is None and clip.noise.shape[1:] == x.shape[1:] for clip in clips)
            and sum(len(clip.noise) for clip in clips) + len(x) <= per_pass
            and math.isclose(sigma, self.content.sigmas[node], rel_tol=1e-5)
        )

    def start_latents(self) -> Tensor:
        """Where sampling starts, [B, C, h, w] at the last node: the content's noise with the styles' statistics."""
        noise, inside = self.content.noise, self.content.statistics
        styles = [capture.statistics for capture in self.style.captures]
        matched = match_statistics(inside, styles, self.style.weights, self.steering)
        # The same mask that multiplies alpha blends the start: else style would leak where nobody painted.
        if self.mask is not None:
            mask = interpolate(self.mask[:, None].to(noise), size=noise.shape[-2:], mode="area")
            matched = torch.lerp(inside, matched, mask[..., : self.content.valid_width])
        return torch.cat([matched, noise[..., self.content.valid_width :]], dim=-1)
