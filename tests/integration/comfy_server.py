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
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

import psutil
import pytest
import websocket

PACK = Path(__file__).resolve().parents[2]
TEXT_EVENT = 3
TEST_NODES = Path(__file__).with_name("test_nodes")
LINKED = MappingProxyType({"stylus": PACK, "stylus_test_nodes": TEST_NODES})


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
    folders = ("venv", ".venv", "../venv", "../python_embeded")
    names = ("bin/python", "Scripts/python.exe", "python.exe")
    candidates = (comfyui / folder / name for folder in folders for name in names)
    return next((python for python in candidates if python.is_file()), Path(sys.executable))


def find_installs() -> list[ComfyInstall]:
    """Those of COMFYUI_PATH, else the one whose custom_nodes holds this pack, else ~/comfy/ComfyUI.

    COMFYUI_PATH may name several, and COMFYUI_PYTHON the interpreter of each in the same order.
    Without it: a venv in or beside the ComfyUI, else the running interpreter.
    """
    if named := os.environ.get("COMFYUI_PATH"):
        paths = [Path(path).expanduser() for path in named.split(os.pathsep)]
        if unfit := [str(path) for path in paths if not _is_comfyui(path)]:
            raise FileNotFoundError(f"COMFYUI_PATH names {', '.join(unfit)}, which holds no ComfyUI")
    else:
        around = [PACK.parent.parent] if PACK.parent.name == "custom_nodes" else []
        paths = [path for path in [*around, Path.home() / "comfy" / "ComfyUI"] if _is_comfyui(path)][:1]
    pythons = os.environ.get("COMFYUI_PYTHON", "")
    if not pythons:
        return [ComfyInstall(path, _python_of(path)) for path in paths]
    interpreters = [Path(python).expanduser() for python in pythons.split(os.pathsep)]
    if len(interpreters) == 1:
        interpreters *= len(paths)
    return [ComfyInstall(path, python) for path, python in zip(paths, interpreters, strict=True)]


class ComfyUnavailable(Exception):
    """This interpreter can't run ComfyUI."""


def unavailable(reason: str) -> NoReturn:
    """Skips, naming what is missing; fails where STYLUS_REQUIRE_COMFYUI=1 says that nothing may be."""
    if os.environ.get("STYLUS_REQUIRE_COMFYUI") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


class PromptRefused(Exception):
    """ComfyUI's validation turned the graph down; the message holds the words of every node."""


@dataclass
class Run:
    """What one prompt did."""

    executed: list[str] = field(default_factory=list)
    cached: set[str] = field(default_factory=set)
    progress: list[tuple[str, int, int]] = field(default_factory=list)
    """(node, value, max) of each progress message."""
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What a node showed in the browser: saved files, text."""
    error: str | None = None
    """The message of the exception that ended it."""
    failed_node: str | None = None
    interrupted: bool = False
    texts: list[tuple[str, str]] = field(default_factory=list)
    """(node, words) of each message shown on a node."""

    def steps(self, node: str) -> list[int]:
        """Values of the node's progress messages, in order."""
        return [value for name, value, _ in self.progress if name == node]

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


class ComfyServer:
    """A ComfyUI process that reads and writes nothing of the user's: its base directory is a folder of its own.

    Args:
        models: a folder laid out as ComfyUI's `models`.
        packs: folders to be linked into `custom_nodes`, by name.
        frontend: the folder of another frontend than the one that this ComfyUI has installed.
    """

    def __init__(
        self, install: ComfyInstall, base: Path, models: Path, packs: Mapping[str, Path] = LINKED, frontend: str = ""
    ):
        self.install = install
        self.base = base
        self.input = base / "input"
        self.output = base / "output"
        self._models = models
        self._packs = packs
        self._frontend = frontend
        self._log = base / "server.log"
        self._client = uuid.uuid4().hex
        self._default_inputs: dict[str, dict[str, Any]] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: websocket.WebSocket | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._address = f"127.0.0.1:{free.getsockname()[1]}"

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
    def url(self) -> str:
        return f"http://{self._address}"

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
            "--port": self._address.rpartition(":")[2],
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
        self._socket = websocket.create_connection(f"ws://{self._address}/ws?clientId={self._client}")

    def read(self, route: str) -> bytes:
        with urllib.request.urlopen(f"http://{self._address}{route}", timeout=60) as response:
            return response.read()

    def get(self, route: str) -> Any:
        return json.loads(self.read(route))

    def _post(self, route: str, body: bytes, content_type: str = "application/json") -> Any:
        request = urllib.request.Request(
            f"http://{self._address}{route}", body, {"Content-Type": content_type}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.loads(response.read() or "null")

    def upload(self, name: str, content: bytes) -> str:
        """Put a file into the input folder as the browser's upload button does; returns its name there."""
        boundary = uuid.uuid4().hex
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
        return self._post("/upload/image", body, f"multipart/form-data; boundary={boundary}")["name"]

    def interrupt(self) -> None:
        self._post("/interrupt", b"{}")

    def forget_outputs(self) -> None:
        """Drop every cached output, as the Manager's "Free model and node cache" does.

        ComfyUI does it between prompts, and may have begun one that it was told of later: a small one goes first.
        """
        self._post("/free", b'{"free_memory": true}')
        small = Graph()
        image = small.add("EmptyImage", width=8, height=8, batch_size=1, color=0)
        small.add("PreviewImage", images=[image, 0])
        self.run(small)

    @property
    def resident_memory(self) -> int:
        """Bytes of memory that the server's process holds."""
        assert self._process is not None
        return psutil.Process(self._process.pid).memory_info().rss

    def run(
        self,
        graph: Graph,
        on_progress: Callable[[str, int, int], None] | None = None,
        timeout: float = 600,
    ) -> Run:
        """Queue the graph and follow it to its end. Inputs that it leaves out take the value that the browser would show.

        Args:
            on_progress: called with (node, value, max) as each progress message arrives.

        Raises:
            PromptRefused: the graph did not pass ComfyUI's validation.
        """
        assert self._socket is not None
        prompt = {"prompt": self._with_defaults(graph), "client_id": self._client}
        try:
            prompt_id = self._post("/prompt", json.dumps(prompt).encode())["prompt_id"]
        except urllib.error.HTTPError as refusal:
            raise PromptRefused(_words_of(json.loads(refusal.read()))) from None

        run = Run()
        deadline = time.monotonic() + timeout
        while True:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.01))
            message = self._socket.recv()
            if isinstance(message, bytes):
                self._record_binary(run, message)
                continue
            event = json.loads(message)
            kind, data = event["type"], event["data"]
            if data.get("prompt_id") != prompt_id:
                continue
            if kind == "executing" and data["node"] is None:
                return run
            self._record(run, kind, data)
            if kind == "progress" and on_progress:
                on_progress(data["node"], data["value"], data["max"])

    def finish(self, graph: Graph) -> Run:
        """Run a graph that ends without an error."""
        run = self.run(graph)
        assert run.error is None, run.error
        return run

    def refusal(self, graph: Graph) -> str:
        """The words in which ComfyUI's validation refuses the graph before it runs."""
        with pytest.raises(PromptRefused) as refusal:
            self.run(graph)
        return str(refusal.value)

    def _with_defaults(self, graph: Graph) -> Graph:
        return Graph(
            {id: {**node, "inputs": self._defaults(node["class_type"]) | node["inputs"]} for id, node in graph.items()}
        )

    def _defaults(self, class_type: str) -> dict[str, Any]:
        if class_type not in self._default_inputs:
            inputs = self.get(f"/object_info/{class_type}")[class_type]["input"].get("required", {})
            self._default_inputs[class_type] = {
                name: options[0]["default"]
                for name, (_, *options) in inputs.items()
                if "default" in (options or [{}])[0]
            }
        return self._default_inputs[class_type]

    @staticmethod
    def _record_binary(run: Run, message: bytes) -> None:
        """A preview, or text led by the length of its node's id (ComfyUI's `send_progress_text`)."""
        kind, length = struct.unpack_from(">II", message)
        if kind == TEXT_EVENT:
            end = 8 + length
            run.texts.append((message[8:end].decode(), message[end:].decode()))

    @staticmethod
    def _record(run: Run, kind: str, data: dict[str, Any]) -> None:
        match kind:
            case "execution_cached":
                run.cached.update(data["nodes"])
            case "executing":
                run.executed.append(data["node"])
            case "progress":
                run.progress.append((data["node"], data["value"], data["max"]))
            case "executed":
                run.outputs[data["node"]] = data["output"] or {}
            case "execution_error":
                run.error, run.failed_node = data["exception_message"], data["node_id"]
            case "execution_interrupted":
                run.interrupted = True

    def files(self, run: Run, node: str, kind: str) -> list[Path]:
        """The files that an output node wrote: `kind` is "images", "audio" or "latents"."""
        return [self.output / file["subfolder"] / file["filename"] for file in run.outputs[node][kind]]


def words(comfy: ComfyServer, graph: Graph) -> str:
    """The sentence that refuses a graph, before or while it runs."""
    try:
        run = comfy.run(graph)
    except PromptRefused as refusal:
        return str(refusal)
    assert run.error is not None
    return run.error


def _words_of(refusal: dict[str, Any]) -> str:
    words = [refusal["error"]["message"]]
    for node in refusal.get("node_errors", {}).values():
        words += [f"{error['message']}: {error['details']}" for error in node["errors"]]
    return "; ".join(words)
