"""Work on recordings for whoever waits for it: one job a recording, which ends when nobody waits or it takes too long."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

KEPT = 32  # recordings
POLL = 0.25  # seconds between two looks at whether somebody still waits
WORKER = ThreadPoolExecutor(1, thread_name_prefix="stylus-overview")
"""One thread of its own: the event loop's own executor serves the rest of ComfyUI."""


class Job:
    """What is drawn of one recording, once for all that wait for it."""

    def __init__(self, path: Path, draw: Callable[[Path, Callable[[], None]], Any], longest: float):
        self.path, self.draw, self.longest, self.waiting = path, draw, longest, 1  # from before the thread looks at it
        self.result = asyncio.get_running_loop().run_in_executor(WORKER, self.run)
        self.result.add_done_callback(lambda done: done.cancelled() or done.exception())  # logged if nobody looks at it

    def run(self) -> Any:
        end = time.monotonic() + self.longest

        def check() -> None:
            if not self.waiting or time.monotonic() > end:
                raise ValueError(f"{self.path.name!r} is too long to be drawn here; its start and duration still count")

        return self.draw(self.path, check)


_jobs: dict[tuple[Path, int], Job] = {}  # by file and its time of change in ns, the latest last


async def drawn(path: Path, draw: Callable[..., Any], gone: Callable[[], bool], longest: float = 20.0) -> Any:
    """What `draw(path, check)` makes of a recording, once for all that wait for it; None when this one has `gone`.
    `draw` calls `check` for each piece that it reads, which raises ValueError behind the `longest` seconds."""
    key = path, path.stat().st_mtime_ns
    if job := _jobs.get(key):
        job.waiting += 1
    else:
        job = _jobs[key] = Job(path, draw, longest)
    try:
        while not (await asyncio.wait({job.result}, timeout=POLL))[0]:
            if gone():
                return None
        return job.result.result()
    finally:
        job.waiting -= 1
        failed = job.result.done() and job.result.exception()
        if failed or not (job.waiting or job.result.done()):
            _jobs.pop(key, None)
        while len(_jobs) > KEPT:
            del _jobs[next(iter(_jobs))]
