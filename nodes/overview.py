"""What the browser draws below the player of Load Audio to Mel."""

from aiohttp import web

from ..stylus_ops.audio.overview import overview
from .audio_mel import recording_path
from .overview_jobs import drawn

COLUMNS = 600


async def send_overview(request: web.Request) -> web.Response:
    """`{"seconds": s, "levels": [0..1, ...]}` of the recording that the query's `audio` names."""
    name = request.query.get("audio", "")
    try:
        path = recording_path(name)
    except OSError:
        return _refusal(f"audio {name[:60]!r} can't be found: choose another name", 400)
    except ValueError as error:
        return _refusal(str(error), 400 if "\0" in name else 404)
    try:
        shown = await drawn(path, lambda path, check: overview(path, COLUMNS, check), lambda: request.transport is None)
    except (ValueError, OSError) as error:
        return _refusal(str(error).replace(str(path), path.name), 404)
    if not shown:
        return web.Response(status=499)  # the browser is gone
    seconds, levels = shown
    return web.json_response({"seconds": seconds, "levels": [round(level, 4) for level in levels.clamp(0, 1).tolist()]})


def _refusal(message: str, status: int) -> web.Response:
    return web.json_response({"error": message}, status=status)
