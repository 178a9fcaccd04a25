"""Requests for the overview of a recording, by a reader that goes on until it is let."""

import asyncio
import gc
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nodes.overview_jobs import drawn


class Reader:
    """Counts what it has begun and what ended it. Of a failed test it ends by itself."""

    def __init__(self, path: Path) -> None:
        self.path, self.let, self.begun, self.ended, self.patience = path, threading.Event(), 0, 0, 20_000
        path.touch()

    def __call__(self, path: Path, check: Callable[[], None]) -> int:
        self.begun += 1
        try:
            while not self.let.wait(0.001) and self.patience:
                self.patience -= 1
                check()
        except ValueError:
            self.ended += 1
            raise
        return self.begun

    def asked(self, gone: threading.Event, longest: float = 600.0) -> "asyncio.Task[Any]":
        return asyncio.create_task(drawn(self.path, self, gone.is_set, longest))

    async def until(self, begun: int, ended: int) -> None:
        for _ in range(20_000):
            if (self.begun, self.ended) == (begun, ended):
                return
            await asyncio.sleep(0.001)
        raise AssertionError((self.begun, self.ended))


def test_equal_requests_share_one_job_until_the_file_changes(tmp_path: Path) -> None:
    """And one works at a time."""

    async def requests(reader: Reader, other: Reader) -> list[int]:
        here = threading.Event()
        together = [*(reader.asked(here) for _ in range(8)), other.asked(here)]
        await reader.until(1, 0)
        assert other.begun == 0
        for one in (reader, other):
            one.let.set()
        shown = [await one for one in [*together, reader.asked(here)]]
        os.utime(reader.path, (1, 1))
        return [*shown, await reader.asked(here)]

    assert asyncio.run(requests(Reader(tmp_path / "a"), Reader(tmp_path / "b"))) == [1] * 10 + [2]


def test_work_ends_when_the_last_has_gone_or_after_some_time_and_nothing_is_logged(tmp_path: Path) -> None:
    logged: list[Any] = []

    async def requests(reader: Reader) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *context: logged.append(context))
        left, right = threading.Event(), threading.Event()
        one, other = reader.asked(left), reader.asked(right)
        await reader.until(1, 0)
        left.set()
        assert (await one, reader.ended) == (None, 0)
        right.set()
        assert await other is None
        await reader.until(1, 1)
        late = await asyncio.gather(reader.asked(threading.Event(), longest=0.05), return_exceptions=True)
        assert "'a' is too long to be drawn" in str(late)
        await reader.until(2, 2)
        del one, other
        gc.collect()

    asyncio.run(requests(Reader(tmp_path / "a")))
    assert not logged
