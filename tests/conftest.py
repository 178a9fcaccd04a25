"""Fixtures that tests of more than one folder use."""

import os
from pathlib import Path

import pytest

from tests.checkpoints import cached_models


@pytest.fixture(scope="session")
def models() -> dict[str, Path]:
    """Small models with random weights, by name; kept in STYLUS_TEST_CACHE (2 GB) between sessions."""
    cache = os.environ.get("STYLUS_TEST_CACHE", "~/.cache/stylus-tests")
    return cached_models(Path(cache).expanduser())
