"""What the browser draws below the player of Load Audio to Mel."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aiohttp import web

from ..stylus_ops.audio.overview import overview
from .audio_mel import recording_path

COLUMNS = 600
LONGEST = 20.0  # seconds of work on one recording
KEPT = 32  # recordings
POLL = 0.25  # seconds between two looks at whether the browser is still there

WORKER = ThreadPoolExecutor(1, thread_name_prefix="stylus-overview")
"""One thread of its own: the event loop's own executor serves the rest of ComfyUI."""


class Job:
    """The overview of one recording, computed once for all requests."""

    def __init__(self, path: Path):
        self.path, self.waiting = path, 1  # from before the thread looks at it
        self.result = asyncio.get_running_loop().run_in_executor(WORKER, self.run)

    def run(self) -> dict[str, float | list[float]]:
        began = time.monotonic()

        def check() -> None:
            if not self.waiting or time.monotonic() - began > LONGEST:
                raise ValueError(f"{self.path.name!r} is too long to be drawn here; its start and duration still count")

        seconds, levels = overview(self.path, COLUMNS, check)
        return {"seconds": seconds, "levels": [round(level, 4) for level in levels.clamp(0, 1).tolist()]}


_jobs: dict[tuple[Path, int], Job] = {}
"""By file and its time of change in ns, the latest last."""


async def send_overview(request: web.Request) -> web.Response:
    """`{"seconds": s, "levels": [0..1, ...]}` of the recording that the query's `audio` names."""
    name = request.query.get("audio", "")
    try:
        path = recording_path(name)
        key = path, path.stat().st_mtime_ns
    except OSError:
        return _refusal(f"audio {name[:60]!r} can't be found: choose another name", 400)
    except ValueError as error:
        return _refusal(str(error), 400 if "\0" in name else 404)
    if job := _jobs.get(key):
        job.waiting += 1
    else:
        job = _jobs[key] = Job(path)
    try:
        while not (await asyncio.wait({job.result}, timeout=POLL))[0]:
            if request.transport is None:
                return web.Response(status=499)  # the browser is gone
        return web.json_response(job.result.result())
    except (ValueError, OSError) as error:
        return _refusal(str(error).replace(str(path), path.name), 404)
    finally:
        job.waiting -= 1
        failed = job.result.done() and job.result.exception()
        if failed or not (job.waiting or job.result.done()):
            _jobs.pop(key, None)
        while len(_jobs) > KEPT:
            del _jobs[next(iter(_jobs))]


def _refusal(message: str, status: int) -> web.Response:
    return web.json_response({"error": message}, status=status)
