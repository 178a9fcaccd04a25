"""Files that are there in full or not at all, and a lock."""

from __future__ import annotations

import atexit
import errno
import os
import re
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

MARK = ".stylus-"
"""What the names of temporary files begin with."""
TEMPORARY = re.compile(rf"{re.escape(MARK)}[0-9a-f]{{16}}(\.[^.]*)?")
"""All of such a name; a user may have other files that begin so."""
OLD = 3600.0
"""Seconds since its last change after which a temporary file is a leftover. Younger ones may be another process's, whose locks
not every network mount passes on to other hosts."""
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}

_unfinished: set[Path] = set()
"""The temporary files of this process."""


def check_writable(name: str, path: Path, suffixes: tuple[str, ...]) -> None:
    """Find out before a long run whether `path`, which messages call `name`, can be written after it.

    Raises:
        ValueError: wrong ending, a name that the file system can't hold, a folder, or in a folder that does not exist or
            can't be written to.
    """
    if os.path.isdir(path):
        raise ValueError(f"{name} {path} is a folder: give a file name in it, ending in {', '.join(suffixes)}")
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"{name} {path} has an unknown ending: use {', '.join(suffixes)}")
    if not os.path.isdir(path.parent):
        raise ValueError(f"{name} {path} has no folder {path.parent}: make it first")
    try:
        check_name(path)
        with temporary(path):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{name} {path} can't be used ({reason}): choose another name or folder") from error


def check_name(path: Path) -> None:
    """Find out before a long run whether a file can get this name, in folders that may have to be made for it.

    Raises:
        OSError, ValueError: the file system can't hold it, it is a folder's, or a folder of it is a file or a dead link.
    """
    folder, missing = path.parent, [path.name]
    while not os.path.lexists(folder):
        folder, missing = folder.parent, [folder.name, *missing]
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "a folder of it is a file or a dead link")
    for part in missing:
        with suppress(FileNotFoundError):
            os.lstat(folder / part)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder")


def make_folder(folder: Path) -> None:
    """Make a folder for results, if need be with those above it. Raises ValueError if no files can be made in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary(folder / "result"):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"folder {folder} can't be used for results ({reason}): choose another") from error


def write_atomically(path: Path, write: Callable[[Path], object], overwrite: bool = True) -> None:
    """Let `write` fill a temporary file beside `path`, of the same ending, then `place` it there."""
    with temporary(path) as file:
        write(file)
        place(file, path, overwrite)


@contextmanager
def temporary(path: Path) -> Iterator[Path]:
    """A new, empty file beside `path`, of the same ending, under a name that can't be foreseen. It is gone afterwards."""
    file = path.with_name(f"{MARK}{secrets.token_hex(8)}{path.suffix}")
    _unfinished.add(file)
    try:
        file.touch(exist_ok=False)
        _remove_leftovers(path.parent)
        yield file
    finally:
        file.unlink(missing_ok=True)
        _unfinished.discard(file)


def place(file: Path, path: Path, overwrite: bool = True) -> None:
    """Rename a file within its folder, so that everybody sees all of it or none.

    Raises FileExistsError: `path` exists and `overwrite` is False; of several processes at once, one succeeds.
    """
    if overwrite:
        os.replace(file, path)
        return
    try:
        if sys.platform == "win32":
            os.rename(file, path)  # replaces nothing there
            return
        try:
            os.link(file, path)
        except OSError:  # it exists, or the file system has no hard links
            path.touch(exist_ok=False)
            os.replace(file, path)
    except FileExistsError as error:
        raise FileExistsError(errno.EEXIST, "it exists by now: choose another name", os.fspath(path)) from error


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Yields whether this process has the lock that this file stands for; the lock ends with its process.

    Where the file system knows no locks every process has it.
    """
    from filelock import FileLock, Timeout  # only batches need it

    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    try:
        yield True
    finally:
        if sys.platform != "win32":  # where the open file can't be removed
            path.unlink(missing_ok=True)
        lock.release()


@lru_cache(maxsize=1024)
def _remove_leftovers(folder: Path) -> None:
    """Remove temporary files of killed processes; once a process, since listing 100,000 files takes 150 ms.

    Their age is counted from the folder's last change, which has just been: the clock of a file server may be another one.
    """
    with suppress(OSError):
        now = folder.stat().st_mtime
        for file in folder.glob(f"{MARK}*"):
            if TEMPORARY.fullmatch(file.name) and now - file.lstat().st_mtime > OLD:
                file.unlink(missing_ok=True)


@atexit.register
def _remove_unfinished() -> None:
    """A signal can come between any two lines, those that remove a file among them."""
    for file in [*_unfinished]:
        with suppress(OSError):
            file.unlink(missing_ok=True)
