"""A real ComfyUI, headless on the CPU, driven as its own browser client drives it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import psutil
import pytest
import websocket

PACK = Path(__file__).resolve().parents[2]
TEXT_EVENT = 3
PACKS = {"stylus": PACK, "stylus_test_nodes": Path(__file__).with_name("test_nodes")}


@dataclass(frozen=True)
class ComfyInstall:
    """A ComfyUI checkout and the Python that has its requirements."""

    path: Path
    python: Path

    @property
    def version(self) -> str:
        return (self.path / "comfyui_version.py").read_text().split('"')[1]


def _is_comfyui(path: Path) -> bool:
    return (path / "main.py").is_file() and (path / "comfyui_version.py").is_file()


def _python_of(comfyui: Path) -> Path:
    """That of a venv in or beside the ComfyUI, else the running one."""
    folders = ("venv", ".venv", "../venv", "../python_embeded")
    names = ("bin/python", "Scripts/python.exe", "python.exe")
    candidates = (comfyui / folder / name for folder in folders for name in names)
    return next((python for python in candidates if python.is_file()), Path(sys.executable))


def find_installs() -> list[ComfyInstall]:
    """Those of COMFYUI_PATH, else the one whose custom_nodes holds this pack, else ~/comfy/ComfyUI.

    COMFYUI_PYTHON names the interpreter of all, or of each in the same order.
    """
    if named := os.environ.get("COMFYUI_PATH"):
        paths = [Path(path).expanduser() for path in named.split(os.pathsep)]
        if unfit := [str(path) for path in paths if not _is_comfyui(path)]:
            raise FileNotFoundError(f"COMFYUI_PATH names {', '.join(unfit)}, which holds no ComfyUI")
    else:
        around = [PACK.parent.parent] if PACK.parent.name == "custom_nodes" else []
        paths = [path for path in [*around, Path.home() / "comfy" / "ComfyUI"] if _is_comfyui(path)][:1]
    named_pythons = filter(None, os.environ.get("COMFYUI_PYTHON", "").split(os.pathsep))
    pythons = [Path(python).expanduser() for python in named_pythons] or [_python_of(path) for path in paths]
    pythons *= len(paths) if len(pythons) == 1 else 1
    return [ComfyInstall(path, python) for path, python in zip(paths, pythons, strict=True)]


class ComfyUnavailable(Exception):
    """This interpreter can't run ComfyUI."""


def unavailable(reason: str) -> NoReturn:
    """Skips, naming what is missing; fails where STYLUS_REQUIRE_COMFYUI=1 says that nothing may be."""
    if os.environ.get("STYLUS_REQUIRE_COMFYUI") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def running(server: ComfyServer) -> Iterator[ComfyServer]:
    """For a fixture: the server while it runs. Skips where this interpreter can't run it."""
    with ExitStack() as stack:
        try:
            stack.enter_context(server)
        except ComfyUnavailable as reason:
            unavailable(str(reason))
        yield server


@dataclass
class Run:
    """What one prompt did."""

    executed: list[str] = field(default_factory=list)
    cached: set[str] = field(default_factory=set)
    progress: list[tuple[str, int]] = field(default_factory=list)
    """(node, value) of each progress message."""
    texts: list[tuple[str, str]] = field(default_factory=list)
    """(node, words) of each message shown on a node."""
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What a node showed in the browser: saved files, text."""
    refused: bool = False
    """ComfyUI's validation turned the graph down before it ran."""
    error: str = ""
    """The words of every node that refused it, or the message of the exception that ended it."""
    failed_node: str | None = None
    interrupted: bool = False

    def words(self, node: str) -> list[str]:
        """The texts that were shown on a node, in order, each as one line."""
        return [" ".join(text.split()) for name, text in self.texts if name == node]


class Graph(dict[str, dict[str, Any]]):
    """A prompt in API format, put together a node at a time."""

    def add(self, class_type: str, **inputs: Any) -> str:
        """Add a node and return its id. An input is a value, or [id, output index]."""
        node = str(len(self) + 1)
        self[node] = {"class_type": class_type, "inputs": inputs}
        return node

    def set(self, node: str, **inputs: Any) -> None:
        """Change inputs of a node."""
        self[node]["inputs"].update(inputs)


class ComfyServer:
    """A ComfyUI process that reads and writes nothing of the user's: its base directory is a folder of its own.

    Args:
        models: a folder laid out as ComfyUI's `models`.
        packs: folders to be linked into `custom_nodes`, by name.
        frontend: the folder of another frontend than the one that this ComfyUI has installed.
    """

    def __init__(
        self, install: ComfyInstall, base: Path, models: Path, packs: Mapping[str, Path] = PACKS, frontend: str = ""
    ):
        self.install, self.base = install, base
        self.input, self.output, self._log = base / "input", base / "output", base / "server.log"
        self._models, self._packs, self._frontend = models, packs, frontend
        self._client = uuid.uuid4().hex
        self._default_inputs: dict[str, dict[str, Any]] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: websocket.WebSocket | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"

    def __enter__(self) -> ComfyServer:
        self._lay_out_base()
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket:
            self._socket.close()
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()

    @property
    def log(self) -> str:
        """Everything the server has printed so far."""
        return self._log.read_text(errors="replace")

    def _lay_out_base(self) -> None:
        for folder in ("input", "output", "custom_nodes", "user"):
            (self.base / folder).mkdir(parents=True, exist_ok=True)
        for name, source in self._packs.items():
            target = self.base / "custom_nodes" / name
            try:
                target.symlink_to(source, target_is_directory=True)
            except OSError:  # Windows without the right to make links
                shutil.copytree(source, target, ignore=shutil.ignore_patterns(".*", "tests"))
        kinds = "\n".join(f"  {folder.name}: {folder.name}" for folder in self._models.iterdir())
        (self.base / "models.yaml").write_text(f"stylus_tests:\n  base_path: {self._models}\n{kinds}\n")

    def _start(self) -> None:
        options = {
            "--listen": "127.0.0.1",
            "--port": self.url.rpartition(":")[2],
            "--base-directory": str(self.base),
            "--extra-model-paths-config": str(self.base / "models.yaml"),
            "--database-url": "sqlite:///:memory:",
        }
        command = [str(self.install.python), "main.py", "--cpu", "--disable-api-nodes"]
        if self._frontend:
            options["--front-end-root"] = self._frontend
        command += [word for option in options.items() for word in option]
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(self._models.parent / "pycache")}
        environment["PYTHONPATH"] = str(self.base / "modules")  # what a test puts there stands before what is installed
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=self.install.path, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise ComfyUnavailable(f"{self.install.python} can't run {self.install.path}:\n{self.log[-2000:]}")
            with suppress(OSError):  # among them that of a busy machine, on which an answer takes more than its minute
                self.get("/system_stats")
                break
            time.sleep(0.5)
        else:
            raise TimeoutError(f"ComfyUI did not answer within 600 s:\n{self.log[-2000:]}")
        self._socket = websocket.create_connection(f"{self.url.replace('http', 'ws')}/ws?clientId={self._client}")

    def read(self, route: str) -> bytes:
        with urllib.request.urlopen(f"{self.url}{route}", timeout=60) as response:
            return response.read()

    def get(self, route: str) -> Any:
        return json.loads(self.read(route))

    def _post(self, route: str, body: Any) -> Any:
        request = urllib.request.Request(
            f"{self.url}{route}", json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.loads(response.read() or "null")

    def put(self, name: str, content: bytes) -> str:
        """Write a file to the input folder; returns its name there."""
        (self.input / name).write_bytes(content)
        return name

    @property
    def nodes(self) -> dict[str, dict[str, Any]]:
        """The pack's nodes, as the browser gets them."""
        return {name: node for name, node in self.get("/object_info").items() if name.startswith("Stylus")}

    def interrupt(self) -> None:
        self._post("/interrupt", {})

    def forget_outputs(self) -> None:
        """Drop every cached output, as the Manager's "Free model and node cache" does.

        ComfyUI does it between prompts, and may have begun one that it was told of later: a small one goes first.
        """
        self._post("/free", {"free_memory": True})
        small = Graph()
        small.add("PreviewImage", images=[small.add("EmptyImage", width=8, height=8, batch_size=1, color=0), 0])
        self.run(small)

    @property
    def resident_memory(self) -> int:
        """Bytes of memory that the server's process holds."""
        assert self._process is not None
        return psutil.Process(self._process.pid).memory_info().rss

    def run(self, graph: Graph, on_progress: Callable[[str, int], None] | None = None) -> Run:
        """Queue the graph and follow it to its end. Inputs that it leaves out take the value that the browser would show.

        Args:
            on_progress: called with the node and the value as each progress message arrives.
        """
        assert self._socket is not None
        nodes = {
            id: {**node, "inputs": self._defaults(node["class_type"]) | node["inputs"]} for id, node in graph.items()
        }
        prompt = {"prompt": nodes, "client_id": self._client}
        try:
            prompt_id = self._post("/prompt", prompt)["prompt_id"]
        except urllib.error.HTTPError as refusal:
            return Run(refused=True, error=_words_of(json.loads(refusal.read())))

        run = Run()
        deadline = time.monotonic() + 600
        while True:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.01))
            message = self._socket.recv()
            if isinstance(message, bytes):  # a preview, or text led by the length of its node's id
                kind, length = struct.unpack_from(">II", message)
                if kind == TEXT_EVENT:
                    run.texts.append((message[8 : 8 + length].decode(), message[8 + length :].decode()))
                continue
            event = json.loads(message)
            data = event["data"]
            if data.get("prompt_id") != prompt_id:
                continue
            match event["type"]:
                case "executing" if data["node"] is None:
                    return run
                case "executing":
                    run.executed.append(data["node"])
                case "execution_cached":
                    run.cached.update(data["nodes"])
                case "progress":
                    run.progress.append((data["node"], data["value"]))
                    if on_progress:
                        on_progress(data["node"], data["value"])
                case "executed":
                    run.outputs[data["node"]] = data["output"] or {}
                case "execution_error":
                    run.error, run.failed_node = data["exception_message"], data["node_id"]
                case "execution_interrupted":
                    run.interrupted = True

    def finish(self, graph: Graph) -> Run:
        """Run a graph that ends without an error."""
        run = self.run(graph)
        assert not run.error, run.error
        return run

    def failure(self, graph: Graph, refused: bool | None = None) -> str:
        """The sentence in which a graph is refused: before it runs (`refused`), while it runs, or either."""
        run = self.run(graph)
        assert run.error
        assert refused in (None, run.refused), run.error
        return run.error

    def _defaults(self, class_type: str) -> dict[str, Any]:
        if class_type not in self._default_inputs:
            inputs = self.get(f"/object_info/{class_type}")[class_type]["input"].get("required", {})
            self._default_inputs[class_type] = {
                name: options[0]["default"]
                for name, (_, *options) in inputs.items()
                if "default" in (options or [{}])[0]
            }
        return self._default_inputs[class_type]

    def files(self, run: Run, node: str, kind: str) -> list[Path]:
        """The files that an output node wrote: `kind` is "images", "audio" or "latents"."""
        return [self.output / file["subfolder"] / file["filename"] for file in run.outputs[node][kind]]


def _words_of(refusal: dict[str, Any]) -> str:
    errors = [error for node in refusal.get("node_errors", {}).values() for error in node["errors"]]
    return "; ".join([refusal["error"]["message"], *(f"{error['message']}: {error['details']}" for error in errors)])
