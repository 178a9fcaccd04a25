"""Work handed out to processes on this machine or many, by Ray."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import psutil
import torch

CORES = 4
"""A worker's, where neither their number nor a GPU says how many there are."""
RETRIES = 2
"""How often a job is given to another worker after one has died over it."""
PATIENCE = 10.0
"""Seconds in which interrupted workers remove what they were writing."""

Job = TypeVar("Job")
Result = TypeVar("Result")


class Worker:
    """An actor: one model, its share of threads, a job at a time."""

    def __init__(self, work: Callable[[Any], Any], cores: int, folder: str):
        with suppress(OSError):  # a host that doesn't have it
            os.chdir(folder)
        torch.set_num_threads(cores)
        self.work = work

    def ready(self) -> int:
        return os.getpid()

    def run(self, job: Any) -> Any:
        return self.work(job)


class Share(NamedTuple):
    """How many workers there are, and what each of them takes."""

    workers: int
    cores: int
    gpus: float


def on_workers(
    work: Callable[[Job], Result],
    jobs: Iterable[Job],
    workers: int | None = None,
    address: str | None = None,
    gpus: bool = True,
) -> Generator[tuple[Job, Result | Exception], None, None]:
    """Each job with its result, in the order in which they end, or with why its worker has died three times over it.

    Args:
        work: sent to every worker once; what it loads it loads there.
        jobs: taken one by one, as workers become free; without any nothing is started.
        workers: how many; None for one on each GPU, or else for every four cores.
        address: of a running cluster; None starts one on this machine, which other machines can't reach.
        gpus: False where the work runs on CPUs although there are GPUs.

    Raises:
        ValueError: Ray is not installed, or there are not so many cores.
        OSError: no cluster answers at the address.
        ChildProcessError: no worker can start.
        Exception: what `work` raises.
    """
    todo = ((job, 0) for job in jobs)
    waiting = deque(islice(todo, 1))
    if not waiting:
        return
    ray = _connected(address)
    running: dict[Any, tuple[Any, int, tuple[Job, int] | None]] = {}
    """By what it will return: an actor, its process, and the job it has with how often that was tried before; None while the
    actor starts."""
    try:
        share = share_of([node["Resources"] for node in ray.nodes() if node["Alive"]], workers, gpus)
        actor_class = ray.remote(num_cpus=share.cores, num_gpus=share.gpus, max_restarts=0)(Worker)

        def start() -> None:
            actor = actor_class.remote(work, share.cores, os.getcwd())
            running[actor.ready.remote()] = actor, 0, None

        waiting.extend(islice(todo, share.workers - 1))
        for _ in waiting:
            start()
        idle: list[tuple[Any, int]] = []
        while waiting or any(given for *_, given in running.values()):
            (done,), _ = ray.wait([*running])
            actor, process, given = running.pop(done)
            ended: list[tuple[Job, Result | Exception]] = []
            try:
                result = ray.get(done)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            except ray.exceptions.RayError as death:
                if given is None:  # its host may lack something: the others go on
                    if not (running or idle):
                        raise ChildProcessError(f"no worker can start: {_last_words(death)}") from death
                    continue
                job, tries = given
                if tries < RETRIES:
                    waiting.appendleft((job, tries + 1))
                else:
                    lost = ChildProcessError(f"its worker has died {RETRIES + 1} times, at last: {_last_words(death)}")
                    ended.append((job, lost))
                if not idle:
                    start()
            else:
                idle.append((actor, process if given else result))
                if given:
                    ended.append((given[0], result))
            waiting.extend(islice(todo, max(0, len(idle) + 1 - len(waiting))))
            while idle and waiting:
                actor, process = idle.pop()
                job, tries = waiting.popleft()
                running[actor.run.remote(job)] = actor, process, (job, tries)
            yield from ended
    finally:
        if not address:
            _end([process for _, process, given in running.values() if given])
        ray.shutdown()


def share_of(nodes: list[dict[str, float]], workers: int | None, gpus: bool) -> Share:
    """The most cores a worker can have.

    Args:
        nodes: how much "CPU" and "GPU" each has.

    Raises:
        ValueError: there are fewer cores than workers.
    """
    cores = [int(node.get("CPU", 0)) for node in nodes]
    devices = [int(node.get("GPU", 0)) if gpus else 0 for node in nodes]
    count = workers or sum(devices) or max(1, sum(number // CORES for number in cores))
    together = -(-count // sum(devices)) if any(devices) else 0  # on one GPU
    for each in range(max(cores, default=0), 0, -1):
        places = [number // each for number in cores]
        if together:
            places = [min(place, together * number) for place, number in zip(places, devices, strict=True)]
        if sum(places) >= count:
            return Share(count, each, 1 / together if together else 0)
    raise ValueError(f"workers is {count} and there are {sum(cores)} cores: choose fewer, or auto")


def _connected(address: str | None) -> Any:
    """Ray, connected; nobody is told that it runs, and what it starts here listens on this machine alone."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if not address:
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # on Linux, too: listen on 127.0.0.1 only
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ValueError("workers need ray: install the pack with pip install '.[cluster]'") from error
    earlier = signal.getsignal(signal.SIGTERM)
    options: dict[str, Any] = {} if address else {"include_dashboard": False, "object_store_memory": 1 << 27}
    ray.init(address or "local", logging_level=logging.ERROR, **options)
    if threading.current_thread() is threading.main_thread() and earlier is not None:
        signal.signal(signal.SIGTERM, earlier)  # Ray has put its own there
    return ray


def _last_words(death: Exception) -> str:
    """Ray's message without its table and traceback."""
    lines = [line.strip() for line in str(death).splitlines() if line.strip()]
    return lines[-1] if lines else type(death).__name__


def _end(processes: list[int]) -> None:
    """End workers of this machine in the middle of their jobs; Ray would leave them no time to clear up."""
    found = []
    for number in processes:
        with suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(number))
            found[-1].terminate()
    psutil.wait_procs(found, PATIENCE)
