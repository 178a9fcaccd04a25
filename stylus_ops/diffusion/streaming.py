"""Features between host memory and the model's device, copied one step ahead of their use."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from functools import cache
from typing import Generic, TypeVar

import torch
from torch import Tensor

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Ahead(Generic[Key, Value]):
    """Values that are begun before they are asked for. A wrong guess is dropped: it costs time, never the result.

    Args:
        begin: starts on the value of a key; what it returns is called for the value.
    """

    def __init__(self, begin: Callable[[Key], Callable[[], Value]]):
        self._begin = begin
        self._begun: dict[Key, Callable[[], Value]] = {}

    def take(self, key: Key) -> Value:
        """The value, begun now if it was not expected."""
        finish = self._begun.pop(key, None) or self._begin(key)
        return finish()

    def expect(self, keys: Collection[Key]) -> None:
        """Begin on `keys`, and drop what was begun for any other."""
        self._begun = {key: finish for key, finish in self._begun.items() if key in keys}
        for key in keys:
            if key not in self._begun:
                self._begun[key] = self._begin(key)


def begin_copy(tensors: Sequence[Tensor], device: torch.device) -> Callable[[], list[Tensor]]:
    """Copy host tensors to a device; what is returned gives them, to be used on the caller's current stream.

    For CUDA the copies are queued at once on a stream of their own, and the current stream waits for them when they are asked
    for (PyTorch's notes on CUDA semantics). On other devices nothing happens before that; what is there already is not copied.
    """
    if device.type != "cuda":
        return lambda: [tensor.to(device) for tensor in tensors]
    stream = _copy_stream(device)
    with torch.cuda.stream(stream):
        copies = [tensor.to(device, non_blocking=True) for tensor in tensors]
        done = stream.record_event()

    def finish() -> list[Tensor]:
        current = torch.cuda.current_stream(device)
        current.wait_event(done)
        for copy in copies:
            copy.record_stream(current)
        return copies

    return finish


@cache
def _copy_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)


def empty_on_host(part: Tensor, rows: int, dtype: torch.dtype | None) -> Tensor:
    """Uninitialised host memory [rows, ...] for tensors like `part` [B, ...], in their own dtype if `dtype` is None.

    Pinned if `part` is on a CUDA device, or copies back could not run beside the model's work. PyTorch rounds a pinned block
    up to a power of two bytes.
    """
    return torch.empty((rows, *part.shape[1:]), dtype=dtype or part.dtype, pin_memory=part.is_cuda)
