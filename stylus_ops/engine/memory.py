"""How much memory a process has needed."""

import sys

import psutil
import torch


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out. Of the host's own memory torch tells so only by the words of a RuntimeError."""
    told = "allocate memory" in str(error) or "not enough memory" in str(error)
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (isinstance(error, RuntimeError) and told)


def peak_memory() -> int:
    """The most memory this process has held so far, in bytes."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
