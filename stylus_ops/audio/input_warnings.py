"""Warnings of "stylus" about recordings that are silent or too short, given before the work."""

from __future__ import annotations

import logging

SHORTEST_STYLE = 2.0  # seconds; less has too little texture to take

logger = logging.getLogger("stylus")


def warn_of_silence(name: str) -> None:
    """Warn about a recording without sound."""
    logger.warning("%s is silent: choose a recording, or a part of it, with sound", name)


def warn_if_short(name: str, seconds: float) -> None:
    """Warn about a style that lasts less than `SHORTEST_STYLE`."""
    if seconds < SHORTEST_STYLE:
        logger.warning(
            "%s lasts %.1f s: choose %g s or more, or little of its texture is heard", name, seconds, SHORTEST_STYLE
        )
