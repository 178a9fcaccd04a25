"""How work is shared among the processes of one launch."""

from __future__ import annotations

import os
from typing import NamedTuple


class Share(NamedTuple):
    """Which of how many processes this is, as `accelerate launch` and `torchrun` tell it."""

    process: int
    processes: int
    process_here: int
    """Counted on this machine alone."""

    @classmethod
    def of_this_process(cls) -> Share:
        names = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
        return cls(*(int(os.environ.get(name, default)) for name, default in names.items()))
