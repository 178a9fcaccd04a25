"""Folders that results go into."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryFile


def make_folder(folder: Path) -> None:
    """Make a folder, if need be with those above it, and find out whether files can be made in it.

    Raises:
        ValueError: it can't be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"folder {folder} can't be used for results ({reason}): choose another") from error
