"""One ComfyUI server a session and version; the tests share it and its cache of outputs."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import pytest

from .comfy_server import ComfyInstall, ComfyServer, ComfyUnavailable, find_installs

INSTALLS = find_installs()

signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: fixtures end, and their server with them


def _unavailable(reason: str) -> NoReturn:
    if os.environ.get("STYLUS_REQUIRE_COMFYUI") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(
    scope="session",
    params=INSTALLS or (None,),
    ids=[f"ComfyUI-{install.version}" for install in INSTALLS] or ["no-ComfyUI"],
)
def install(request: pytest.FixtureRequest) -> ComfyInstall:
    """Each ComfyUI found."""
    if request.param is None:
        _unavailable("no ComfyUI found: set COMFYUI_PATH to its folder")
    return request.param


@pytest.fixture(scope="session")
def comfy(
    install: ComfyInstall, models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ComfyServer]:
    """A running server of that ComfyUI, with this pack in it."""
    server = ComfyServer(install, tmp_path_factory.mktemp("comfyui"), models["sd15-small"].parents[1])
    with ExitStack() as stack:
        try:
            stack.enter_context(server)
        except ComfyUnavailable as reason:
            _unavailable(str(reason))
        yield server
