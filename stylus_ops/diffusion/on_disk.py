"""A tensor on disk instead of in memory, for what would grow with the length of a recording."""

from __future__ import annotations

import math
import mmap
import os
import tempfile

import torch
from torch import Tensor


class OnDisk:
    """A tensor in a file without a name, which is gone with the tensor however the process ends.

    Args:
        folder: where there is room for it.

    Raises OSError: there is none. All of it is written at once, since a disk that is full later could only kill the process.
    """

    def __init__(self, folder: str | os.PathLike[str], shape: tuple[int, ...], dtype: torch.dtype = torch.float32):
        with tempfile.TemporaryFile(dir=folder) as file:
            try:
                for _ in range(shape[0]):
                    file.write(bytes(math.prod(shape[1:]) * dtype.itemsize))
                file.flush()
            except OSError as error:
                raise OSError(
                    f"{folder} has no room for {math.prod(shape) * dtype.itemsize / 1e6:.0f} MB that this recording "
                    f"takes meanwhile ({error.strerror}): make room, or write the output to another folder"
                ) from error
            self._pages = mmap.mmap(file.fileno(), 0)
        self.tensor: Tensor = torch.frombuffer(self._pages, dtype=dtype).view(shape)
        """Reads and writes like any other."""

    def release(self) -> None:
        """Unmap the pages that were read and written; without this the system keeps them until it is short of memory."""
        if hasattr(self._pages, "madvise"):
            self._pages.madvise(mmap.MADV_DONTNEED)
