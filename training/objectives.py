"""What the prior is trained to do: to denoise, and to carry a transfer out.

Rows of a batch that is denoised: 0..P-1 are style windows, which attend to themselves; P..2P-1 are the windows to be restyled,
whose injected attention reads the rows `sources`. In a transfer the samples read what inversion has recorded of contents and
styles, as the pack's own sampler does. Sigma is the noise level of the variance-exploding form that `stylus_ops.diffusion` works in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from stylus_ops.audio.detail import blur
from stylus_ops.dials import Schedule
from stylus_ops.diffusion.adain import adain
from stylus_ops.diffusion.ddim import invert, sample
from stylus_ops.diffusion.schedule import TRAIN_STEPS
from stylus_ops.engine.model import sd_sigmas
from stylus_ops.tiny.autoencoder import TinyAutoencoder

from .examples import Examples, Kinds, random_examples
from .network import Reading, Recorded
from .windows import Recordings, to_images

OWN = 0.2  # share of windows that attend to themselves
NODES = (4, 9)  # of a transfer
SIGMAS = sd_sigmas()
SMOOTHING = 6.0  # bands: the decode takes what is finer from the content
FLOOR_DB = 60.0  # under a clip's peak
WHOLE = 0.25
"""Weight of the squared error of the latents beside that of the envelopes in bels: what is finer must not decay."""


def random_batch(
    autoencoder: TinyAutoencoder, recordings: Recordings, rng: np.random.Generator, pairs: int, width: int, kinds: Kinds
) -> Examples:
    """Latents [P, 4, h, w] of examples, windows of `width` frames."""
    images = to_images(torch.cat(random_examples(recordings, rng, pairs, kinds)))
    start = int(rng.integers(images.shape[-1] - width + 1))
    images = images[..., start : start + width].contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        return Examples(*autoencoder.encode(images).float().chunk(3))


Predict = Callable[[Tensor, Tensor, Reading], Tensor]
"""Noisy latents [B, 4, h, w], timesteps [B] and what injected attention reads, to the noise eps in the latents."""


def sigma_at(timesteps: Tensor) -> Tensor:
    """[B] to [B, 1, 1, 1]."""
    return SIGMAS.to(timesteps.device)[timesteps][:, None, None, None]


def predictor(unet: Callable[..., Any], context: Tensor, bfloat16: bool = False) -> Predict:
    """`Predict` by the network with a context [1, 1, C]; in bfloat16 on devices with matrix units for it."""

    def predict(noisy: Tensor, timesteps: Tensor, reading: Reading) -> Tensor:
        inputs = noisy / (1 + sigma_at(timesteps) ** 2).sqrt()
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        with torch.autocast(noisy.device.type, torch.bfloat16, enabled=bfloat16):
            eps = unet(inputs, timesteps, context.expand(len(noisy), -1, -1), reading=reading)[0]
        return eps.float()

    return predict


def denoising_loss(predict: Predict, batch: Examples) -> Tensor:
    """Weighted squared error per row, [2P], of the noise that leads from noisy latents to the style and to the target.

    The share of the content's own timbre that enters is 1 half of the time and anything below otherwise, at every noise level: in
    a transfer the sample still has that timbre at low noise, as far as the steps before have left it. The weight is that of
    v-prediction, fading below sigma 0.5 where nothing is left to learn.
    """
    pairs, device = len(batch.content), batch.content.device
    timesteps = torch.randint(1, TRAIN_STEPS, (pairs,), device=device).repeat(2)
    share = torch.rand(pairs, device=device).mul(2).clamp(max=1)
    own = torch.rand(pairs, device=device) < OWN
    rows = torch.arange(pairs, device=device)
    sources = torch.cat([rows, torch.where(own, rows + pairs, rows)])
    sigma = sigma_at(timesteps)
    entered = torch.lerp(batch.target, batch.content, torch.where(own, 0.0, share)[:, None, None, None])
    clean, wanted = (torch.cat([batch.style, other]) for other in (entered, batch.target))
    noisy = clean + sigma * torch.randn_like(clean)
    error = (predict(noisy, timesteps, Reading(sources)) - (noisy - wanted) / sigma).square().mean((1, 2, 3))
    sigma = sigma.flatten()
    return (1 + sigma**2) * sigma**2 / (sigma**2 + 0.25) * error


def random_nodes() -> Tensor:
    """Timesteps of a transfer's nodes, ascending, evenly spaced from a random first one."""
    count, offset = int(torch.randint(NODES[0], NODES[1] + 1, ())), float(torch.rand(()))
    return 1 + ((TRAIN_STEPS - 2) * (torch.arange(count) + offset) / count).long()


class Points(NamedTuple):
    """Where P examples are at one node of their transfers; latents [P, 4, h, w]."""

    timesteps: Tensor  # [P]
    sample: Tensor  # on its way down
    target: Tensor  # where it should go
    recorded: Recorded  # what it reads


@torch.no_grad()
def transfer(predict: Predict, batch: Examples, timesteps: Tensor, gamma: Tensor) -> tuple[list[Points], Tensor]:
    """The points of a transfer of every example, from the last node down, and the results [P, 4, h, w].
    `timesteps` [N] ascending are those of the nodes, `gamma` [P] is query preservation."""
    clips, pairs = torch.cat([batch.content, batch.style]), len(batch.content)
    timesteps = timesteps.to(clips.device)
    sigmas = sigma_at(timesteps).flatten()
    records: list[list[Tensor]] = []

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        """Called once a node, upwards."""
        timestep = timesteps[len(records)].expand(len(x))
        records.append([])
        return x - sigma * predict(x, timestep, Reading(record=records[-1]))

    noise = invert(denoise, clips, sigmas, Schedule(), evaluated=clips.new_empty(len(sigmas), *clips.shape)).noise
    contents, styles = noise.split(pairs)
    start = torch.vmap(lambda content, style: adain(content[None], [style[None]], [1.0])[0])(contents, styles)
    passed: list[Points] = []

    def restyle(x: Tensor, sigma: Tensor) -> Tensor:
        """Called once a node, downwards."""
        content, style = zip(*(states.split(pairs) for states in records.pop()), strict=True)
        recorded = Recorded(content, style, gamma)
        passed.append(Points(timesteps[len(records)].expand(pairs), x, batch.target, recorded))
        return x - sigma * styled_eps(predict, passed[-1])

    return passed, sample(restyle, start, sigmas)


def styled_eps(predict: Predict, points: Points) -> Tensor:
    """The noise in the samples, [P, 4, h, w]."""
    return predict(points.sample, points.timesteps, Reading(recorded=points.recorded))


def transfer_loss(predict: Predict, autoencoder: TinyAutoencoder, points: Points) -> Tensor:
    """Weighted distance [P] of the denoised prediction from the target, by `envelope_distance`.

    Noise that is drawn at random is independent of the content's timbre; that which inversion finds is not, and what the nodes
    above have left of that timbre is no fixed share. So the network is trained where transfers really lead it (the idea of
    DAgger, Ross et al. 2011). The weight is 1 to 1.4, fading below sigma 0.3, where eps would have to be huge.
    """
    sigma = sigma_at(points.timesteps)
    denoised = points.sample - sigma * styled_eps(predict, points)
    envelopes = envelope_distance(autoencoder, denoised, points.target) / 10
    whole = (denoised - points.target).square().mean((1, 2, 3))
    sigma = sigma.flatten()
    return (1 + sigma**2) * sigma**2 / (sigma**2 + 0.25) ** 2 * (envelopes + WHOLE * whole)


def envelope_distance(autoencoder: TinyAutoencoder, latents: Tensor, target: Tensor) -> Tensor:
    """Log-spectral distance [P] in dB between the spectral envelopes of two images, given as latents [P, 4, h, w]: root mean
    square over the bands of a frame, mean over the frames. Below the floor nothing counts. Images are those of the linear codec,
    which has the envelope and costs nothing beside the residual network.
    """

    def decibels(x: Tensor) -> Tensor:
        images = autoencoder.from_patches(autoencoder.decoder.linear(x))[:, 0]
        root = blur(images.shape[1], SMOOTHING, x.device) @ ((1 - images) / 2).clamp(min=0).square()
        return 40 * torch.log10(root + 10 ** (-FLOOR_DB / 40))

    return (decibels(latents) - decibels(target)).square().mean(1).add(1e-4).sqrt().mean(1)
