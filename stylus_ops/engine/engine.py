"""The diffusers host: how to evaluate a U-Net with the hook at its decoder's self-attention, and the autoencoder around it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import psutil
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from ..audio.windows import device_of_sound
from ..copies import to_device
from ..diffusion.host import LATENT_PIXELS, Hook
from ..diffusion.schedule import nearest_node
from ..diffusion.sites import Decoder, DecoderBlock, Site
from .loading import load_model
from .model import LoadedModel

if TYPE_CHECKING:
    from diffusers.models.attention_processor import Attention

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
ACTIVATIONS = 32
"""Activations of one window at their peak: this many values per latent pixel and channel of the first level (28 measured)."""
MOST_ACTIVATIONS = 1 << 26  # bytes, on a CPU
AUTOENCODER_BYTES = 8800
"""Of an image at the peak of its decoding by Stable Diffusion's autoencoder, for each of its pixels (as ComfyUI estimates it)."""


class Engine:
    """A loaded model as the core's `Evaluate`, and its autoencoder.

    Latents are float32 on `device`, in the U-Net's own scale and the variance-exploding form of `schedule`.

    Args:
        mixed: whether many windows may be multiplied in bfloat16, which this CPU does faster, with the weights in float32.
    """

    def __init__(self, name: str, model: LoadedModel, device: torch.device, dtype: torch.dtype, mixed: bool = False):
        self.name, self.model, self.device, self.dtype, self.mixed = name, model, device, dtype, mixed
        self.attention, self.decoder = read_decoder(model.unet.up_blocks)
        self.device_of_sound = device_of_sound(device)
        """Where images are given to `encode` without a copy, and where `decode` gives them."""
        self.evaluations = 0
        """Windows evaluated by the U-Net so far."""

    @classmethod
    def load(cls, name: str, device: str = "auto", dtype: str = "auto") -> Engine:
        """Load a model; see `loading.load_model`.

        Args:
            device: "auto", "cpu", "cuda", "cuda:1" or "mps". auto takes the accelerator that is there.
            dtype: "auto", "float32", "float16" or "bfloat16". auto is float16 on CUDA and float32 elsewhere, `mixed` on CPUs
                that multiply bfloat16 in hardware.

        Raises ValueError: this machine does not have the device, the dtype is unknown, or the model can't be loaded.
        """
        chosen = choose_device(device)
        if dtype not in ("auto", *DTYPES):
            raise ValueError(f"dtype is {dtype!r}: choose auto, {', '.join(DTYPES)}")
        precision = DTYPES.get(dtype, torch.float16 if chosen.type == "cuda" else torch.float32)
        # What tells that a CPU multiplies bfloat16 in hardware: PyTorch from 2.6 on, on x86.
        checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        mixed = dtype == "auto" and chosen.type == "cpu" and any(getattr(torch.cpu, check, bool)() for check in checks)
        return cls(name, load_model(name, chosen, precision), chosen, precision, mixed)

    def describe(self) -> dict[str, str]:
        """What was loaded, for reports."""
        return {
            "name": self.name,
            "prediction": self.model.prediction,
            "device": str(self.device),
            "dtype": str(self.dtype).removeprefix("torch."),
        }

    @torch.no_grad()
    def evaluate(self, x: Tensor, sigma: Tensor, rows: slice | None = None, hook: Hook | None = None) -> Tensor:
        """Denoised prediction of latents [B, 4, h, w] at a scalar sigma; `host.Evaluate`.

        All rows share the empty prompt, so `rows` makes no difference here.
        """
        self.evaluations += len(x)
        scale = (sigma**2 + 1).sqrt()
        timestep = torch.full((1,), nearest_node(self.model.sigmas, sigma), device=x.device)
        with self._hooked(hook):
            output = self.model.unet(
                (x / scale).to(self.dtype), timestep, self.model.context.expand(len(x), -1, -1), return_dict=False
            )[0].float()
        if self.model.prediction == "v_prediction":
            return x / scale**2 - output * sigma / scale
        return x - output * sigma

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Images [B, H, W, 3] in 0..1 to latents [B, 4, H/8, W/8] on the device."""
        batches = images.split(self._images_that_fit(*images.shape[1:3]))
        pixels = (2 * to_device(batch, self.device).movedim(-1, 1) - 1 for batch in batches)
        return torch.cat([self.model.autoencoder.encode(batch) for batch in pixels])

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents back to images [B, H, W, 3] in 0..1, where sound is made of them."""
        batches = latents.split(self._images_that_fit(*(LATENT_PIXELS * size for size in latents.shape[-2:])))
        pixels = torch.cat([self.model.autoencoder.decode(batch).to(self.device_of_sound) for batch in batches])
        return (pixels.movedim(1, -1) / 2 + 0.5).clamp(0, 1)

    def _images_that_fit(self, height: int, width: int) -> int:
        """Images that the autoencoder takes at once: one on a CPU, where more make nothing faster; else within half of the
        free memory."""
        if self.device.type == "cpu":
            return 1
        return max(1, self.free_memory() // 2 // (AUTOENCODER_BYTES * height * width))

    def free_memory(self) -> int:
        """Bytes that are free on the device."""
        if self.device.type == "cuda":
            return torch.cuda.mem_get_info(self.device)[0]
        return psutil.virtual_memory().available

    def windows_that_fit(self, height: int, width: int) -> int:
        """Windows of latents [4, height, width] that one evaluation may hold within half of the free memory, at least 1.

        On a CPU, where more make nothing faster, within 64 MiB.
        """
        channels = self.model.unet.config["block_out_channels"][0]
        window = ACTIVATIONS * height * width * channels * self.dtype.itemsize
        room = self.free_memory() // 2
        return max(1, (min(room, MOST_ACTIVATIONS) if self.device.type == "cpu" else room) // window)

    @contextmanager
    def _hooked(self, hook: Hook | None) -> Iterator[None]:
        """The hook in the attention processors of its sites, which get their own back afterwards."""
        if hook is None:
            yield
            return
        earlier = {site: self.attention[site].processor for site in hook.sites}
        try:
            for site in hook.sites:
                self.attention[site].set_processor(partial(attend_hooked, hook, site))  # type: ignore[arg-type]
            yield
        finally:
            for site, processor in earlier.items():
                self.attention[site].set_processor(processor)


def attend_hooked(hook: Hook, site: Site, attn: Attention, hidden: Tensor, *_: object, **__: object) -> Tensor:
    """An attention processor that lets the hook choose what is attended to.

    Same arithmetic as diffusers' own processor for a transformer block's first attention: no mask, no group norm.
    """

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (t.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for t in (q, k, v))
        return scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)

    query, source = hook.tokens(site, hidden)
    output = hook.attend(site, attn.to_q(query), attn.to_k(source), attn.to_v(source), attend)
    return attn.to_out[1](attn.to_out[0](output))


def read_decoder(levels: Any) -> tuple[dict[Site, Attention], Decoder]:
    """The self-attention layers of a decoder, and the decoder as the core counts it: a block for each residual block."""
    layers: dict[Site, Attention] = {}
    decoder: dict[int, DecoderBlock] = {}
    first = 0
    for index, level in enumerate(levels):
        halvings = sum(bool(later.upsamplers) for later in levels[index:])
        for number, transformer in enumerate(getattr(level, "attentions", ()), first):
            own = [block.attn1 for block in transformer.transformer_blocks]
            layers |= {(number, place): layer for place, layer in enumerate(own)}
            decoder[number] = DecoderBlock(len(own), own[0].to_q.in_features, halvings)
        first += len(level.resnets)
    return layers, decoder


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" is CUDA, else Apple's MPS, else the CPU. Raises ValueError if it is not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {name!r} is not there: choose auto, cpu, cuda or mps") from error
    return torch.device(name)
