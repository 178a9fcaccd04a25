"""Fixtures that tests of more than one folder use."""

import functools
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

# A shell's background jobs ignore Ctrl-C, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def models() -> dict[str, Path]:
    """Small models with random weights, by name; kept in STYLUS_TEST_CACHE (2 GB) between sessions."""
    from tests.checkpoints import cached_models  # with diffusers, which takes seconds to load

    cache = os.environ.get("STYLUS_TEST_CACHE", "~/.cache/stylus-tests")
    return cached_models(Path(cache).expanduser())


@pytest.fixture
def one_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model is loaded once for all commands of a test session."""
    from stylus_ops.engine.engine import Engine  # with torch, which the process that hands out the tests does without

    monkeypatch.setattr(Engine, "load", cached(Engine.load))


@pytest.fixture
def full_disk() -> Callable[[int], AbstractContextManager[None]]:
    """Within `full_disk(size)` no file grows beyond `size` bytes."""
    resource = pytest.importorskip("resource", reason="Windows has no limit on files")

    @contextmanager
    def limited(size: int) -> Iterator[None]:
        earlier = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, earlier[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, earlier)

    return limited


cached = functools.cache(functools.cache)
