"""Fixtures that tests of more than one folder use."""

import functools
import os
import signal
from pathlib import Path

import pytest

from stylus_ops.engine.engine import Engine

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
    monkeypatch.setattr(Engine, "load", load_once)


load_once = functools.cache(Engine.load)
