"""Whether two MODELs carry the same weights, and two CONDITIONINGs the same values."""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...stylus_ops.diffusion.features import Inversion
from ...stylus_ops.diffusion.stylizer import Stylizer


class Weights(NamedTuple):
    """Identity of a MODEL's weights.

    The host reloads a checkpoint that it dropped from its cache, which gives another module with the same values: so
    values are compared where the module is not the same.
    """

    model: weakref.ref
    patches: object
    """The host's id of the patches (LoRA) on the module."""
    values: tuple
    """Samples of the unpatched weights and of every patch."""

    @classmethod
    def of(cls, patcher: ModelPatcher) -> Weights:
        return cls(weakref.ref(patcher.model), patcher.patches_uuid, _sampled_values(patcher))

    def match(self, patcher: ModelPatcher) -> bool:
        same = self.model() is patcher.model and self.patches == patcher.patches_uuid
        return same or self.values == _sampled_values(patcher)


def _sampled_values(patcher: ModelPatcher) -> tuple:
    weights = patcher.model.state_dict()
    anchors = [f"diffusion_model.{name}.weight" for name in ("input_blocks.0.0", "time_embed.0", "out.2")]
    unpatched = [patcher.backup[key].weight if key in patcher.backup else weights[key] for key in anchors]
    return _samples(unpatched), tuple((key, _samples(patcher.patches[key])) for key in sorted(patcher.patches, key=str))


def _samples(value: Any) -> Any:
    """A few numbers of every tensor in nested lists and adapters; other values as they are."""
    if isinstance(value, Tensor):
        return tuple(value.shape), tuple(value.flatten()[:8].float().tolist())
    if isinstance(value, (list, tuple)):
        return tuple(_samples(v) for v in value)
    if hasattr(value, "weights"):
        return _samples(value.weights)
    return value if isinstance(value, (int, float, str)) else None


def same_conditioning(a: Any, b: Any) -> bool:
    """Whether two CONDITIONINGs hold equal values."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and torch.equal(a.cpu(), b.cpu())
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_conditioning(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same_conditioning, a, b))
    return a is b or bool(a == b)


def check_same_conditioning(inversion: Inversion, conditioning: list) -> None:
    """Raises ValueError unless the CONDITIONING is the one that the inversion was made with."""
    if not same_conditioning(inversion.conditioning, conditioning):
        raise ValueError(
            "conditioning is not the one that the inversion was made with: wire the same prompt into DDIM Invert, "
            "Capture Style KV and the sampler"
        )


def check_weights(patcher: ModelPatcher, stylizer: Stylizer) -> None:
    for name, clip in [("the inversion", stylizer.content)] + [("style", c) for c in stylizer.style.captures]:
        if not (isinstance(clip.weights, Weights) and clip.weights.match(patcher)):
            raise ValueError(
                f"{name} was made with other model weights than the sampler's: put the same checkpoint and LoRA in front "
                "of DDIM Invert, Capture Style KV and the sampler"
            )
