"""Warnings of "stylus" about recordings that are silent or too short, given before the work."""

from __future__ import annotations

import logging

SHORTEST = 0.5  # seconds; less holds no melody, and is rather a slip of start and duration
SHORTEST_STYLE = 2.0  # seconds; less has too little texture to take

logger = logging.getLogger("stylus")


def warn_of_silence(name: str) -> None:
    """Warn about a recording without sound."""
    logger.warning("%s is silent: choose a recording, or a part of it, with sound", name)


def warn_if_short(name: str, seconds: float) -> None:
    """Warn about a recording that lasts less than `SHORTEST`."""
    if seconds < SHORTEST:
        logger.warning("%s lasts %.2g s: check start and duration, and choose %g s or more", name, seconds, SHORTEST)


def warn_if_short_style(name: str, seconds: float) -> None:
    """Warn about a style that lasts less than `SHORTEST_STYLE`."""
    if seconds < SHORTEST_STYLE:
        logger.warning(
            "%s lasts %.1f s: choose %g s or more, or little of its texture is heard", name, seconds, SHORTEST_STYLE
        )
