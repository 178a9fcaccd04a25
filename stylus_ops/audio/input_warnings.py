"""Warnings of "stylus" about recordings that are silent or too short, given before the work."""

from __future__ import annotations

import logging

# Seconds: less holds no melody, and of a style little texture.
SHORTEST = 0.5, "%s lasts %.2g s: choose %g s or more, and check start and duration"
SHORTEST_STYLE = 2.0, "%s lasts %.2g s: choose %g s or more, or little of its texture is heard"

logger = logging.getLogger("stylus")


def warn_of_silence(name: str) -> None:
    logger.warning("%s is silent: choose a recording, or a part of it, with sound", name)


def warn_if_short(name: str, seconds: float, shortest: tuple[float, str] = SHORTEST) -> None:
    """Warn about a recording that lasts less than `SHORTEST`, or a style that lasts less than `SHORTEST_STYLE`."""
    least, words = shortest
    if seconds < least:
        logger.warning(words, name, seconds, least)
