"""How work is shared among processes: evenly among those of one launch, by claims among all that share a folder."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from ..output_files import held, remove_unheld

RANK = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
SIZE = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
LOCAL_RANK = ("LOCAL_RANK", "MPI_LOCALRANKID", "OMPI_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_RANK")
"""Set by torchrun and by accelerate's GPU launcher first, then by the MPI launchers that accelerate starts for CPUs."""

CLAIM = ".claim-"
DIGITS = 16
YOUNG = 3600.0
"""Seconds before a claim that nobody holds is removed: its process may be about to hold it."""


class Share(NamedTuple):
    """Which part of the work is this process's, as `torchrun`, `accelerate launch` or `mpirun` say it."""

    process: int
    """Number of this process, from 0."""
    processes: int
    """How many there are."""
    process_here: int
    """Number of this process among those of this machine, from 0."""

    @classmethod
    def of_this_process(cls) -> Share:
        """Raises ValueError when a variable is no number, or the rank is not below the number of processes."""
        share = cls(_number(RANK, 0), _number(SIZE, 1), _number(LOCAL_RANK, 0))
        if not 0 <= share.process < share.processes:
            raise ValueError(
                f"RANK is {share.process} and WORLD_SIZE {share.processes}: start all processes by one launcher"
            )
        return share


def launched_alone() -> bool:
    """Whether a launcher was asked for several processes and started this one only.

    `accelerate launch --cpu` does so: it names the place where the processes meet, and starts no more than one.
    """
    return "MASTER_ADDR" in os.environ and not any(name in os.environ for name in SIZE)


def claim_of(output: Path) -> Path:
    """The file that is there while a process writes `output`, and after it was killed over it."""
    name = hashlib.sha256(os.fsencode(output.name)).hexdigest()[:DIGITS]
    return output.with_name(f"{CLAIM}{name}")


@contextmanager
def claimed(output: Path) -> Iterator[bool]:
    """Yields whether this process may write `output`; while it may, no other process may. See `held`.

    Claims that killed processes left in this folder are removed afterwards, since their rows may never run again.
    """
    with held(claim_of(output)) as mine:
        yield mine
    for claim in output.parent.glob(CLAIM + "[0-9a-f]" * DIGITS):
        with suppress(OSError):
            if time.time() - claim.stat().st_mtime > YOUNG:
                remove_unheld(claim)


def _number(names: tuple[str, ...], default: int) -> int:
    """The first of these variables that is set, or `default`; ValueError where it is no number."""
    for name in names:
        if text := os.environ.get(name):
            try:
                return int(text)
            except ValueError:
                raise ValueError(f"{name} is {text!r}: leave it to the launcher, or unset it") from None
    return default
