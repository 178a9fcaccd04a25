"""Identity of a model's weights: a digest that tells two models apart without reading either in full."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

SAMPLES = 64
"""Values of each tensor that are read."""
GOLDEN_RATIO = 0.6180339887498949
_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def digest(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """Hexadecimal digest of names, shapes and 64 values of every tensor.

    Equal for equal values, whatever the device, the memory format and (where it holds them exactly) the dtype. Two models that
    differ in a single layer have different digests. A tensor that is stored in several, as quantised ones are, counts as those.
    """
    result = hashlib.sha256()
    for name, tensor in tensors:
        for part in _stored(tensor):
            result.update(f"{name} {tuple(part.shape)}".encode())
            result.update(_sampled(part).double().cpu().numpy().tobytes())
    return result.hexdigest()


def _stored(tensor: Tensor) -> Iterator[Tensor]:
    """The plain tensors that hold what a tensor of any class is made of (PyTorch's protocol for wrapper subclasses)."""
    if hasattr(tensor, "__tensor_flatten__"):
        for name in tensor.__tensor_flatten__()[0]:
            yield from _stored(getattr(tensor, name))
    else:
        yield tensor.detach().as_subclass(Tensor)


def _sampled(tensor: Tensor) -> Tensor:
    """At most 64 values, spread by multiples of the golden ratio: even steps through a matrix would stay in few of its columns.

    Read as integers of their size, so that 8-bit floats and tensors that are not contiguous are picked from in place.
    """
    count = tensor.numel()
    if count <= SAMPLES:
        return tensor.flatten()
    position = torch.arange(SAMPLES, dtype=torch.float64) * GOLDEN_RATIO % 1 * count
    values = tensor.view(_INTEGERS[tensor.element_size()]).take(position.long().to(tensor.device))
    return values.view(tensor.dtype)
