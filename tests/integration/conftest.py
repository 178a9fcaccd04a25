"""One ComfyUI server a session and version; the tests share it and its cache of outputs."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from .comfy_server import ComfyInstall, ComfyServer, find_installs, running, unavailable

INSTALLS = find_installs()

signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: fixtures end, and their server with them


@pytest.fixture(
    scope="session",
    params=INSTALLS or (None,),
    ids=[f"ComfyUI-{install.version}" for install in INSTALLS] or ["no-ComfyUI"],
)
def install(request: pytest.FixtureRequest) -> ComfyInstall:
    """Each ComfyUI found."""
    if request.param is None:
        unavailable("no ComfyUI found: set COMFYUI_PATH to its folder")
    return request.param


@pytest.fixture(scope="session")
def comfy(
    install: ComfyInstall, models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ComfyServer]:
    """A running server of that ComfyUI, with this pack in it."""
    yield from running(ComfyServer(install, tmp_path_factory.mktemp("comfyui"), models["sd15-small"].parents[1]))
