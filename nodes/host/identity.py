"""Whether two MODELs carry the same weights, and two CONDITIONINGs the same values."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...stylus_ops.diffusion.features import Inversion
from ...stylus_ops.diffusion.stylizer import Stylizer
from ...stylus_ops.diffusion.weights import digest


class Weights(NamedTuple):
    """Identity of a MODEL's weights.

    The host reloads a checkpoint that it dropped from its cache, which gives another module with the same values: so
    digests are compared where the module is not the same.
    """

    model: Callable[[], object]  # a weak reference to the module
    patches: object  # the host's id of the patches (LoRA) on the module
    values: str  # digest of the unpatched weights and of every patch

    @classmethod
    def of(cls, patcher: ModelPatcher) -> Weights:
        return cls(weakref.ref(patcher.model), patcher.patches_uuid, digest(_tensors(patcher)))

    @classmethod
    def restored(cls, values: str) -> Weights:
        """The identity of weights whose `values` were kept in a file: no module of this process."""
        return cls(lambda: None, None, values)

    def match(self, patcher: ModelPatcher) -> bool:
        same = self.model() is patcher.model and self.patches == patcher.patches_uuid
        return same or self.values == digest(_tensors(patcher))


def _tensors(patcher: ModelPatcher) -> Iterator[tuple[str, Tensor]]:
    """The weights of the diffusion model as they are without patches, wherever the host keeps them, and every patch."""
    for name, weight in patcher.model.diffusion_model.named_parameters(prefix="diffusion_model"):
        yield name, patcher.backup[name].weight if name in patcher.backup else weight
    for key in sorted(patcher.patches, key=str):
        yield from _patch_tensors(str(key), patcher.patches[key])


def _patch_tensors(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    """The tensors and numbers in a patch: nested lists, adapters, strengths."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, (int, float)):
        yield name, torch.tensor(float(value))
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            yield from _patch_tensors(f"{name}.{index}", part)
    elif hasattr(value, "weights"):
        yield from _patch_tensors(f"{name}.{type(value).__name__}", value.weights)


def _equal(a: Any, b: Any) -> bool:
    """Whether two CONDITIONINGs, or parts of them, hold equal values."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and torch.equal(a.cpu(), b.cpu())
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(_equal, a, b))
    return a is b or (type(a) is type(b) and bool(a == b))


def check_same_conditioning(name: str, conditioning: object, inversion: Inversion) -> None:
    """Raises ValueError unless the CONDITIONING is the one that the inversion was made with."""
    if not _equal(inversion.conditioning, conditioning):
        raise ValueError(
            f"{name} has another conditioning than the inversion: wire the same prompt into DDIM Invert, Capture Style KV "
            "and the sampler"
        )


def check_same_hooks(prompts: Mapping[str, list[dict]], inversion: Inversion) -> None:
    """Raises ValueError unless a sampler's prompts carry the hooks, such as a LoRA's, that the inversion was made with."""
    own: Any = inversion.conditioning
    if any(part.get("hooks") is not own[0][1].get("hooks") for prompt in prompts.values() for part in prompt):
        raise ValueError("the sampler's prompts carry other hooks than the inversion's: wire the same to all of them")


def check_weights(patcher: ModelPatcher, stylizer: Stylizer) -> None:
    """Raises ValueError unless content and styles were recorded with the weights of this MODEL."""
    for name, clip in (("the inversion", stylizer.content), *(("style", c) for c in stylizer.style.captures)):
        if not (isinstance(clip.weights, Weights) and clip.weights.match(patcher)):
            raise ValueError(
                f"{name} was made with other model weights than the sampler's: put the same checkpoint and LoRA in front "
                "of DDIM Invert, Capture Style KV and the sampler"
            )
