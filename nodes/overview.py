"""What the browser draws below the player of Load Audio to Mel."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from pathlib import Path

from aiohttp import web

from ..stylus_ops.audio.overview import overview
from .audio_mel import recording_path

COLUMNS = 600


async def send_overview(request: web.Request) -> web.Response:
    """`{"seconds": s, "levels": [0..1, ...]}` of the recording that the query's `audio` names."""
    try:
        path = recording_path(request.query.get("audio", ""))
        changed = path.stat().st_mtime_ns
        seconds, levels = await asyncio.get_running_loop().run_in_executor(None, _overview, path, changed)
    except (ValueError, OSError) as error:
        return web.json_response({"error": str(error)}, status=404)
    return web.json_response({"seconds": seconds, "levels": levels})


@lru_cache(maxsize=32)
def _overview(path: Path, changed: int) -> tuple[float, list[float]]:
    """Seconds and levels of a recording.

    Args:
        changed: its time of change in ns, by which the cache tells it from an earlier file of its name.
    """
    seconds, levels = overview(path, COLUMNS)
    return seconds, [round(level, 4) for level in levels.clamp(0, 1).tolist()]
