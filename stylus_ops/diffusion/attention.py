"""Style injection into self-attention: the read and write pass of one evaluation of the model.

A host calls the hook at every chosen self-attention layer, twice: `tokens` with the normed hidden states before projection,
`attend` with what the layer's own projections made of the result. `to_q`, `to_k` and `to_v` have no bias, so mixing hidden
states before projection equals mixing queries after it, and one stored hidden state serves for all three.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..dials import Steering
from .host import Attend
from .sites import Site


def attends_content(steering: Steering, mask: Tensor | None) -> bool:
    """Whether content keys and values have a share in the result."""
    return steering.alpha != 1 or mask is not None


class Capture:
    """Write pass: keeps the hidden states of every site and changes nothing."""

    def __init__(self, sites: Sequence[Site]):
        self.sites = tuple(sites)
        self.features: dict[Site, Tensor] = {}

    def tokens(self, site: Site, hidden: Tensor) -> tuple[Tensor, Tensor]:
        self.features[site] = hidden
        return hidden, hidden

    def attend(self, site: Site, q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> Tensor:
        return attend(q, k, v)


class Injection:
    """Read pass: queries of the running sample, keys and values of content and styles.

    Args:
        content: per site [B, Tc, C], one row for each row of the sample; empty if the steering does not read it.
        styles: per style and site [windows, Ts, C]; a style's windows are one long sequence of tokens for every row. Empty
            if the steering does not attend to it.
        weights: of the styles, summing to 1.
        steering: alpha, gamma and temperature.
        latent_size: (h, w) of the latents in latent pixels, to lay the mask over each site's tokens.
        mask: [B or 1, H, W] in 0..1: multiplies alpha over time (W) and frequency (H).
    """

    def __init__(
        self,
        content: Mapping[Site, Tensor],
        styles: Sequence[Mapping[Site, Tensor]],
        weights: Sequence[float],
        steering: Steering,
        latent_size: tuple[int, int],
        mask: Tensor | None = None,
    ):
        self.sites = tuple(content or styles[0])
        self.content, self.styles, self.weights = content, styles, weights
        self.steering, self.latent_size, self.mask = steering, latent_size, mask
        self.attend_content = attends_content(steering, mask)

    def tokens(self, site: Site, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """The inputs of `to_q` [B, N, C], and of `to_k` and `to_v` [1, sum of the sources' tokens, C].

        Raises ValueError if the layer sees another number of tokens than was recorded.
        """
        # Query preservation (Stylus Eq. 1) is q~ = gamma W h_content + (1 - gamma) W h = W (gamma h_content + (1 - gamma) h).
        # The projection W acts on every token by itself, so the tokens of all sources may be projected as one row: once,
        # however many windows of the sample share a style. `attend` cuts the row up again.
        query, packed = hidden, []
        if self.content:
            content = self.content[site]
            if hidden.shape != content.shape:
                raise ValueError(
                    f"decoder block {site[0]} sees {hidden.shape[1]} tokens where {content.shape[1]} were recorded: "
                    "remove patches that merge or tile tokens (ToMe, HyperTile) and area conditioning, "
                    "and give the sampler the inversion's own latent size"
                )
            content = content.to(hidden.dtype)
            query = torch.lerp(hidden, content, self.steering.gamma)
            if self.attend_content:
                packed.append(content)
        packed += [style[site].to(hidden.dtype) for style in self.styles]
        return query, torch.cat([source.flatten(0, 1) for source in packed])[None]

    def attend(self, site: Site, q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> Tensor:
        """`phi_c + alpha * (phi_s - phi_c)` (Stylus Eq. 3, StyleID's key/value swap at alpha 1), [B, N, C].

        Args:
            q: [B, N, C], projected.
            k, v: [1, sum of the sources' tokens, C], projected.
        """
        # Attn(q, K, V) = softmax(q K^T / sqrt(d)) V. The temperature tau multiplies the logits, and tau (q K^T) = (tau q) K^T:
        # scaling q once serves both branches, and any attention the host has.
        q = q * self.steering.temperature
        rows, tokens = q.shape[:2]
        sizes = [rows * tokens] if self.attend_content else []
        sizes += [style[site].shape[0] * style[site].shape[1] for style in self.styles]
        keys, values = list(k.split(sizes, dim=1)), list(v.split(sizes, dim=1))
        # phi_c: every row attends to the tokens of its own window, so the packed row is folded back to [B, N, C].
        content = q.new_zeros(())
        if self.attend_content:
            content_k, content_v = (t.pop(0).reshape(rows, tokens, -1) for t in (keys, values))
            content = attend(q, content_k, content_v)
        if not self.styles:
            return content
        # phi_s = sum_j w_j Attn(q, K_j, V_j): every row attends to all tokens of a style. The styles are blended after their
        # softmax, each within itself: in one softmax over both, the louder style's logits would crowd out the other's.
        style = sum(
            (w * attend(q, key.expand(rows, -1, -1), value.expand(rows, -1, -1)))
            for w, key, value in zip(self.weights, keys, values, strict=True)
        )
        if not self.attend_content:
            return torch.as_tensor(style)
        return content + self._alpha(tokens, q) * (style - content)

    def _alpha(self, tokens: int, like: Tensor) -> Tensor | float:
        """Scalar, or one value per query token [B, N, 1]."""
        if self.mask is None:
            return self.steering.alpha
        mask = self.mask.to(like.device, torch.float32)[:, None]
        per_token = interpolate(mask, size=site_size(tokens, self.latent_size), mode="area").flatten(2).movedim(1, 2)
        return (self.steering.alpha * per_token).to(like.dtype)


class JointInjection:
    """Read and write pass in one: the batch holds the clips at the sample's own noise level and, last, the sample.

    Args:
        sites: where it is injected.
        rows: of the batch: the content's windows, each style's, and the sample's, which are as many as the content's.
        inject: makes the `Injection` of a content and styles, whose steering attends to both.
    """

    def __init__(self, sites: Sequence[Site], rows: Sequence[int], inject: Callable[..., Injection]):
        self.sites, self.rows, self.inject = tuple(sites), list(rows), inject

    def tokens(self, site: Site, hidden: Tensor) -> tuple[Tensor, Tensor]:
        *clips, sample = hidden.split(self.rows)
        content, *styles = ({site: clip} for clip in clips)
        self.injection = self.inject(content, styles)
        query, packed = self.injection.tokens(site, sample)
        return torch.cat([*clips, query]), packed

    def attend(self, site: Site, q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> Tensor:
        """The packed keys and values are those of the clips' rows, in order: they serve both."""
        *clips, sample = q.split(self.rows)
        own = torch.cat(clips)
        attended = attend(own, k.reshape(own.shape), v.reshape(own.shape))
        return torch.cat([attended, self.injection.attend(site, sample, k, v, attend)])


def site_size(tokens: int, latent_size: tuple[int, int]) -> tuple[int, int]:
    """(h, w) of a site's token grid: the latent halved, rounding up, until the count fits. Raises ValueError if it never does."""
    h, w = latent_size
    while h * w > tokens and h * w > 1:
        h, w = -(-h // 2), -(-w // 2)
    if h * w != tokens:
        raise ValueError(
            f"mask meets a site of {tokens} tokens, which is no halving of the {latent_size[0]}x{latent_size[1]} latent: "
            "remove the mask, or patches that merge tokens (ToMe)"
        )
    return h, w
