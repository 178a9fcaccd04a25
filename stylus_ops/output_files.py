"""Files that are there in full or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def check_writable(name: str, path: Path, suffixes: tuple[str, ...]) -> None:
    """Find out before a long run whether `path` can be written after it.

    Args:
        name: what the file is called in the message.
        suffixes: the allowed endings.

    Raises:
        ValueError: wrong ending, a folder, or in a folder that does not exist or can't be written to.
    """
    if path.is_dir():
        raise ValueError(f"{name} {path} is a folder: give a file name in it, ending in {', '.join(suffixes)}")
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"{name} {path} has an unknown ending: use {', '.join(suffixes)}")
    if not path.parent.is_dir():
        raise ValueError(f"{name} {path}: there is no folder {path.parent}; make it first")
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix="."):
            pass
    except OSError as error:
        raise ValueError(f"{name} {path}: can't write to {path.parent} ({error.strerror}); choose another") from error


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in its place."""
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        write(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
