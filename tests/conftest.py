"""Fixtures that tests of more than one folder use."""

import os
import signal
from pathlib import Path

import pytest

from tests.checkpoints import cached_models

# A shell's background jobs ignore Ctrl-C, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def models() -> dict[str, Path]:
    """Small models with random weights, by name; kept in STYLUS_TEST_CACHE (2 GB) between sessions."""
    cache = os.environ.get("STYLUS_TEST_CACHE", "~/.cache/stylus-tests")
    return cached_models(Path(cache).expanduser())
