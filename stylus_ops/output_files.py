"""Files that are there in full or not at all, and who may write them."""

from __future__ import annotations

import errno
import os
import re
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

if sys.platform != "win32":
    import fcntl

MARK = ".stylus-"
"""What the names of temporary files begin with."""
TEMPORARY = re.compile(rf"{re.escape(MARK)}[0-9a-f]{{16}}(\.[^.]*)?")
"""All of such a name; a user may have other files that begin so."""


def check_writable(name: str, path: Path, suffixes: tuple[str, ...]) -> None:
    """Find out before a long run whether `path` can be written after it.

    Args:
        name: what the file is called in the message.
        suffixes: the allowed endings.

    Raises:
        ValueError: wrong ending, a name that the file system can't hold, a folder, or in a folder that does not exist or
            can't be written to.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{name} {path} can't be used ({getattr(error, 'strerror', error)}): choose another"
        ) from error
    if path.is_dir():
        raise ValueError(f"{name} {path} is a folder: give a file name in it, ending in {', '.join(suffixes)}")
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"{name} {path} has an unknown ending: use {', '.join(suffixes)}")
    if not path.parent.is_dir():
        raise ValueError(f"{name} {path} has no folder {path.parent}: make it first")
    try:
        _let_go(*_create_beside(path))
    except OSError as error:
        raise ValueError(
            f"{name} {path} can't be used (can't write to {path.parent}, {error.strerror}): choose another"
        ) from error


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


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, of the same ending, then put it in its place.

    Temporary files that killed processes left in this folder are removed.
    """
    remove_leftovers(path.parent)
    temporary, holding = _create_beside(path)
    try:
        write(temporary)
        if sys.platform == "win32":  # an open file can't be renamed there
            holding.close()
        os.replace(temporary, path)
    finally:
        _let_go(temporary, holding)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files whose process is no more: those that nobody holds."""
    for file in folder.glob(f"{MARK}*"):
        if TEMPORARY.fullmatch(file.name):
            remove_unheld(file)


def remove_unheld(file: Path) -> None:
    """Remove a file that processes hold while they need it, unless one does."""
    with suppress(OSError), held(file, create=False):
        pass


@contextmanager
def held(path: Path, create: bool = True) -> Iterator[bool]:
    """Hold a file that no two living processes hold at once; it is gone afterwards.

    Nothing is held by the dead, however they ended: on POSIX it is a lock that goes with the process and that NFS passes on
    to other hosts, on Windows an open file, which nobody can remove. Where the file system knows no locks all may hold it.

    Args:
        create: make the file if need be; one that isn't there can't be held otherwise.

    Yields:
        Whether this process holds it.
    """
    opened: list[FileIO] = []
    try:
        yield from _holding(path, create, opened)
    except KeyboardInterrupt:  # it can come while the file is made or removed
        for file in opened:
            file.close()
        if create:
            remove_unheld(path)
        raise


def _holding(path: Path, create: bool, opened: list[FileIO]) -> Iterator[bool]:
    holding = _hold(path, create, opened)
    try:
        yield holding is not None
    finally:
        if holding is not None:
            _let_go(path, holding)


def _create_beside(path: Path) -> tuple[Path, FileIO]:
    """A new, empty file under a name that can't be foreseen, and what holds it."""
    while True:
        temporary = path.with_name(f"{MARK}{secrets.token_hex(8)}{path.suffix}")
        holding = FileIO(temporary, "x+")
        if _lock(temporary, holding) is not False:
            return temporary, holding
        holding.close()  # taken for a leftover in the moment before it was locked


if sys.platform == "win32":

    def _hold(path: Path, create: bool, opened: list[FileIO]) -> FileIO | None:
        with suppress(OSError):
            path.unlink(missing_ok=True)
            if create:
                opened.append(FileIO(path, "x+"))
                return opened[-1]
        return None

    def _lock(path: Path, holding: FileIO) -> bool:
        return True

else:

    def _hold(path: Path, create: bool, opened: list[FileIO]) -> FileIO | None:
        """What holds the file, if anything; all that was opened is added to `opened` before it is locked."""

        def opener(name: str, flags: int) -> int:
            return os.open(name, flags | os.O_NOFOLLOW | (os.O_CREAT if create else 0), 0o666)

        while True:
            try:
                holding = FileIO(path, "r+", opener=opener)
            except FileNotFoundError:
                if create:
                    raise
                return None
            opened.append(holding)
            locked = _lock(path, holding)
            if locked or (create and locked is None):
                return holding
            there = _is_at(path, holding)
            holding.close()
            if there:
                return None

    def _lock(path: Path, holding: FileIO) -> bool | None:
        """Whether the file of this name is locked by now; None where the file system knows no locks."""
        try:
            fcntl.flock(holding, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return None
        return _is_at(path, holding)

    def _is_at(path: Path, holding: FileIO) -> bool:
        with suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(holding.fileno()), path.lstat())
        return False


def _let_go(path: Path, holding: FileIO) -> None:
    """Remove the file and no longer hold it; on POSIX in this order, or it could be another's by then."""
    if sys.platform != "win32":
        path.unlink(missing_ok=True)
    holding.close()
    if sys.platform == "win32":
        path.unlink(missing_ok=True)
