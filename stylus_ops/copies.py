"""Between host memory and a GPU: from and into pinned memory, so that neither side waits for what it need not.

A copy that blocks waits for all the work that is queued on the GPU, even the copy of a single number to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor

_stream_of = cache(torch.cuda.Stream)
"""The stream on which a device's copies are queued."""


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device; what is there already is not copied. Nothing waits for the copy but what uses it."""
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def to_host(tensor: Tensor) -> Tensor:
    """The tensor in host memory, once the work that it comes from is done."""
    if not tensor.is_cuda:
        return tensor.cpu()
    copy = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(tensor, non_blocking=True)
    torch.cuda.current_stream(tensor.device).synchronize()
    return copy


def begin_copy(tensors: Sequence[Tensor], device: torch.device) -> Callable[[], list[Tensor]]:
    """Copy host tensors to a device; what is returned gives them, to be used on the caller's current stream.

    For CUDA the copies are queued at once on a stream of their own, and the current stream waits for them when they are asked
    for (PyTorch's notes on CUDA semantics). On other devices nothing happens before that; what is there already is not copied.
    """
    if device.type != "cuda":
        return lambda: [tensor.to(device) for tensor in tensors]
    stream = _stream_of(device)
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
