"""Requests for the overview of a recording, by a reader that goes on until it is let or ended."""

import asyncio
import gc
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nodes.overview_jobs import drawn

PATIENCE = 60.0  # seconds, after which a test has failed


class Reader:
    """Counts what it has begun and what ended it."""

    def __init__(self, path: Path) -> None:
        self.path, self.let, self.begun, self.ended = path, threading.Event(), 0, 0
        path.touch()

    def __call__(self, path: Path, check: Callable[[], None]) -> int:
        self.begun += 1
        try:
            while not self.let.wait(0.001):
                check()
        except ValueError:
            self.ended += 1
            raise
        return self.begun

    def asked(self, gone: threading.Event, longest: float = PATIENCE) -> "asyncio.Task[Any]":
        return asyncio.create_task(drawn(self.path, self, gone.is_set, longest))

    async def until(self, begun: int, ended: int) -> None:
        while (self.begun, self.ended) != (begun, ended):
            await asyncio.sleep(0.001)


def test_equal_requests_share_one_job_until_the_file_changes_and_one_works_at_a_time(tmp_path: Path) -> None:
    reader, other, here = Reader(tmp_path / "a"), Reader(tmp_path / "b"), threading.Event()

    async def requests() -> list[int]:
        together = [*(reader.asked(here) for _ in range(8)), other.asked(here)]
        await reader.until(1, 0)
        assert other.begun == 0
        reader.let.set()
        other.let.set()
        shown = [await one for one in [*together, reader.asked(here)]]
        os.utime(reader.path, (1, 1))
        return [*shown, await reader.asked(here)]

    assert asyncio.run(asyncio.wait_for(requests(), PATIENCE)) == [1] * 10 + [2]


def test_work_ends_when_the_last_has_gone_or_after_some_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    reader, left, right = Reader(tmp_path / "a"), threading.Event(), threading.Event()

    async def requests() -> None:
        one, other = reader.asked(left), reader.asked(right)
        await reader.until(1, 0)
        left.set()
        assert (await one, reader.ended) == (None, 0)
        right.set()
        assert await other is None
        await reader.until(1, 1)
        with pytest.raises(ValueError, match="'a' is too long"):
            await reader.asked(threading.Event(), longest=0.05)

    asyncio.run(asyncio.wait_for(requests(), PATIENCE))
    gc.collect()
    assert not caplog.records
