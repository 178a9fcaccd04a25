"""A network with two self-attention sites, small enough to say what every row should be, and clips recorded with it."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, scaled_dot_product_attention

from stylus_ops.dials import Schedule, Steering
from stylus_ops.diffusion.ddim import sample
from stylus_ops.diffusion.features import Inversion, Style
from stylus_ops.diffusion.host import Hook
from stylus_ops.diffusion.recorder import Recorder
from stylus_ops.diffusion.recorder import record as write
from stylus_ops.diffusion.sites import Site
from stylus_ops.diffusion.stylizer import Stylizer

COARSE: Site = (6, 0)
FINE: Site = (9, 0)
SITES = (COARSE, FINE)
SIGMAS = torch.tensor([0.05, 0.4, 1.5, 5.0])
WIDTH = 8


class SelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.to_q, self.to_k, self.to_v, self.to_out = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4))
        for projection in (self.to_q, self.to_k):
            projection.weight.data.mul_(2)  # far from uniform attention

    def forward(self, grid: Tensor, site: Site, hook: Hook | None) -> Tensor:
        hidden = self.norm(grid.flatten(2).mT)
        if hook is None or site not in hook.sites:
            out = scaled_dot_product_attention(self.to_q(hidden), self.to_k(hidden), self.to_v(hidden))
        else:
            query, source = hook.tokens(site, hidden)
            q, k, v = self.to_q(query), self.to_k(source), self.to_v(source)
            out = hook.attend(site, q, k, v, scaled_dot_product_attention)
        return self.to_out(out).mT.unflatten(2, grid.shape[-2:])


class SmallNet(nn.Module):
    """A denoiser with self-attention on a halved and on the full token grid. `prompts` [rows, WIDTH] are its conditioning:
    latents of the caller's batch get their own row, others row 0."""

    def __init__(self, prompts: Tensor | None = None):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.enter = nn.Conv2d(4, WIDTH, 3, padding=1)
            self.coarse, self.fine = SelfAttention(), SelfAttention()
            self.leave = nn.Conv2d(WIDTH, 4, 3, padding=1)
        self.double().requires_grad_(False)
        self.prompts = prompts
        self.calls: list[tuple[int, Hook | None]] = []  # windows, and what is done to them

    def __call__(self, x: Tensor, sigma: Tensor, rows: slice | None, hook: Hook | None) -> Tensor:
        self.calls.append((len(x), hook))
        features = torch.tanh(self.enter(x.double() / (1 + sigma**2).sqrt()) + 0.2 * sigma.log())
        if self.prompts is not None:
            features = features + (self.prompts[:1] if rows is None else self.prompts[rows])[:, :, None, None]
        pooled = self.coarse(avg_pool2d(features, 2), COARSE, hook)
        features = features + interpolate(pooled, size=features.shape[-2:])
        features = features + self.fine(features, FINE, hook)
        return (x - sigma * self.leave(features)).to(x.dtype)


def latents(seed: int, windows: int, width: int = 6) -> Tensor:
    return torch.randn(windows, 4, 4, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def record(
    net: SmallNet,
    clip: Tensor,
    per_pass: int = 8,
    features: str = "cache",
    corrections: int = 1,
    valid_width: int | None = None,
    sites: tuple[Site, ...] = SITES,
    sigmas: Tensor = SIGMAS,
) -> Inversion:
    """`clip` inverted and recorded."""
    recorder = Recorder(sigmas, sites, features)
    return write(
        recorder,
        lambda x, sigma: recorder(net, x, sigma, per_pass),
        clip,
        Schedule(corrections=corrections),
        valid_width=valid_width,
    )


def transfer(net: SmallNet, content: Inversion, style: Style, per_pass: int = 8, **dials: Any) -> Tensor:
    stylizer = Stylizer(content, style, Steering(**dials))
    return sample(lambda x, sigma: stylizer(net, x, sigma, per_pass), stylizer.start_latents(), content.sigmas)


CONTENT, STYLE_A, STYLE_B = latents(0, 5), latents(1, 3, width=10), latents(2, 1)
