"""A Chromium before a running ComfyUI. Pictures of what was seen go to STYLUS_SCREENSHOTS, by default browser-screenshots.

STYLUS_FRONTENDS names folders of further frontends, each the `static` of an unpacked comfyui-frontend-package: all is tried in each, too.
"""

import base64
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.integration.comfy_server import PACK, ComfyServer, find_installs, running, unavailable

RENDERERS = {"classic": False, "nodes2": True}
BOXES = """() => app.canvas.graph.nodes.map(node => {
  const drawn = document.querySelector(`[data-node-id="${node.id}"]`)?.getBoundingClientRect();
  const height = drawn ? drawn.height / app.canvas.ds.scale - 30 : node.size[1];
  return {name: `${node.id} ${node.title}`, left: node.pos[0], top: node.pos[1] - 30,
          right: node.pos[0] + node.size[0], bottom: node.pos[1] + height};
})"""
DROP = """([name, content, place]) => {
  const bytes = Uint8Array.from(atob(content), character => character.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  const suffix = name.split(".").pop();
  const type = {mp3: "audio/mpeg", opus: "audio/ogg"}[suffix] ?? `audio/${suffix}`;  // as Chromium tells of a file
  dataTransfer.items.add(new File([bytes], name, {type}));
  const [clientX, clientY] = place;
  const below = document.elementFromPoint(clientX, clientY);
  for (const kind of ["dragenter", "dragover", "drop"])
    below.dispatchEvent(new DragEvent(kind, {dataTransfer, bubbles: true, cancelable: true, clientX, clientY}));
}"""
VERSION = "async () => (await (await fetch('/system_stats')).json()).system.comfyui_version"
FOUND = "() => app.nodeOutputs[app.graph.nodes.find(node => node.type === 'StylusCompare').id]"  # what Compare shows
EMPTY: dict[str, Any] = {"nodes": [], "links": [], "version": 0.4}


def chromium() -> str | None:
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="session", params=["", *filter(None, os.environ.get("STYLUS_FRONTENDS", "").split(os.pathsep))])
def comfy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    """One server for all, for each frontend; of several ComfyUIs the first."""
    if find_spec("playwright") is None:
        unavailable("Playwright is not installed")
    if chromium() is None:
        unavailable("no Chromium found: install one, or set CHROMIUM to it")
    installs = find_installs()
    if not installs:
        unavailable("no ComfyUI found: set COMFYUI_PATH to its folder")
    base, models = (tmp_path_factory.mktemp(name) for name in ("comfyui", "models"))
    yield from running(ComfyServer(installs[0], base, models, packs={"stylus": PACK}, frontend=request.param))


@pytest.fixture(scope="session")
def browser(comfy: ComfyServer) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--mute-audio", "--autoplay-policy=no-user-gesture-required"]
        opened = playwright.chromium.launch(executable_path=chromium(), args=options)
        yield opened
        opened.close()


def template(name: str, **first: Any) -> dict[str, Any]:
    """A template's graph.

    Args:
        first: by type, the value of the first widget of all its nodes of that type.
    """
    graph = json.loads((PACK / "workflows" / f"{name}.json").read_text(encoding="utf-8"))
    for node in graph["nodes"]:
        if node["type"] in first:
            node["widgets_values"][0] = first[node["type"]]
            node["widgets_values_named"][next(iter(node["widgets_values_named"]))] = first[node["type"]]
    return graph


RUN = "[data-testid=queue-button]:visible, button:visible:has([data-testid=linear-run-button-icon])"
"""The button on the canvas, and that of app mode."""


class Canvas:
    """The page with ComfyUI in it.

    Args:
        address: of the running ComfyUI.
        renderer: a name in `RENDERERS`.
    """

    def __init__(self, browser: Any, address: str, renderer: str):
        self.page = browser.new_page(viewport={"width": 1680, "height": 1000})
        self.page.set_default_timeout(60_000)
        self.page.on("dialog", lambda dialog: dialog.accept())
        self.renderer = renderer
        self.errors: list[str] = []
        self.page.goto(address)
        self.version: str = self.page.evaluate(VERSION)
        self.ready()
        self.set("Comfy.TutorialCompleted", True)
        self.set("Comfy.VueNodes.Enabled", RENDERERS[renderer])
        self.set("Comfy.Locale", "en")
        self.page.reload()
        self.ready()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._heard)

    def _heard(self, message: Any) -> None:
        """Keep an error, unless it is ComfyUI's own that it can't reach the network, or ask how large a model is."""
        told = f"{message.text} ({message.location.get('url', '')})"
        its_own = ("net::", "missingModelMetadata", "Content Security Policy")
        if message.type == "error" and not any(words in told for words in its_own):
            self.errors.append(told)

    def ready(self) -> None:
        self.page.wait_for_function("() => window.app?.canvas && window.app.extensionManager", timeout=120_000)
        self.page.wait_for_function("() => window.LiteGraph?.registered_node_types?.StylusCompare", timeout=120_000)
        self.page.wait_for_timeout(1000)

    def set(self, name: str, value: Any) -> None:
        self.page.evaluate("([name, value]) => app.extensionManager.setting.set(name, value)", [name, value])

    def open(self, graph: dict[str, Any]) -> None:
        """Load a workflow; returns when it has been drawn."""
        self.errors.clear()
        self.page.keyboard.press("Escape")
        self.page.evaluate("graph => app.loadGraphData(graph)", graph)
        self.page.wait_for_function("count => app.graph.nodes.length === count", arg=len(graph["nodes"]))
        self.page.wait_for_timeout(2000)

    def search(self, words: str) -> list[list[str]]:
        """Open the search for nodes over the empty canvas; returns the lines of each node that it finds."""
        self.page.mouse.dblclick(800, 300)
        self.page.wait_for_timeout(1000)
        self.page.keyboard.type(words)
        self.page.wait_for_timeout(1200)
        return [found.splitlines() for found in self.page.locator("[role=option]").all_inner_texts()]

    def drop(self, file: Path) -> None:
        """Let a file fall on the canvas as from the desktop."""
        content = base64.b64encode(file.read_bytes()).decode()
        self.page.evaluate(DROP, [file.name, content, [900, 850]])

    def run(self, saves: Path, prefix: str) -> Path:
        """Press ComfyUI's own button; returns the file of that prefix in the folder that the run saves."""
        before = set(saves.glob(f"{prefix}*"))
        self.page.locator(RUN).first.click()
        self.wait_for(lambda: set(saves.glob(f"{prefix}*")) - before)
        self.page.wait_for_timeout(2000)
        return (set(saves.glob(f"{prefix}*")) - before).pop()

    def wait_for(self, condition: Callable[[], Any]) -> None:
        """Return when a condition outside the page holds."""
        deadline = time.monotonic() + 300
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError("no change within 300 s")
            self.page.wait_for_timeout(500)

    def overlaps(self) -> list[tuple[str, str]]:
        """Pairs of nodes of the graph on the screen that lie on top of each other."""
        return [
            (one["name"], other["name"])
            for one, other in combinations(self.page.evaluate(BOXES), 2)
            if one["left"] < other["right"] and other["left"] < one["right"]
            if one["top"] < other["bottom"] - 1 and other["top"] < one["bottom"] - 1
        ]

    def skip_where_missing(self, what: str) -> None:
        """Leave the rest of a test out in a frontend older than 0.33.0's, which lacks `what`; of those 0.19.3 was tried."""
        if tuple(map(int, self.version.split(".")[:2])) < (0, 33):
            pytest.skip(f"ComfyUI {self.version} has no {what}")

    def shot(self, name: str) -> None:
        folder = Path(os.environ.get("STYLUS_SCREENSHOTS", "browser-screenshots"))
        folder.mkdir(parents=True, exist_ok=True)
        frontend = self.page.evaluate("() => window.__COMFYUI_FRONTEND_VERSION__")
        self.page.screenshot(path=folder / f"{name}-{self.renderer}-{frontend}.png")


@pytest.fixture(scope="session", params=RENDERERS)
def canvas(request: pytest.FixtureRequest, browser: Any, comfy: ComfyServer) -> Iterator[Canvas]:
    opened = Canvas(browser, comfy.url, request.param)
    yield opened
    opened.page.close()
