"""Work handed out to processes on this machine or many, by Ray."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from itertools import chain, islice
from typing import Any, TypeVar

import psutil
import torch

CORES = 4  # a worker's, where neither their number nor a GPU says how many there are
RETRIES = 2  # how often a job is run again after its worker has died over it
PATIENCE = 10.0  # seconds in which interrupted workers remove what they were writing

Job = TypeVar("Job")
Result = TypeVar("Result")


class Worker:
    """An actor: one model, its share of threads, a job at a time."""

    def __init__(self, work: Callable[[Any], Any], cores: int, folder: str):
        with suppress(OSError):  # a host that doesn't have it
            os.chdir(folder)
        torch.set_num_threads(cores)
        self.work = work

    def ready(self) -> None:
        """Answers once it has started."""

    def run(self, job: Any) -> Any:
        try:
            return self.work(job)
        except SystemExit:  # SIGTERM's; what was half-written is gone, and Ray and Python would take seconds to end
            os._exit(1)


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

    Raises what `work` raises; ValueError if Ray is not installed, or there are not so many cores; OSError if no cluster
    answers at the address; ChildProcessError if no worker can start.
    """
    jobs = iter(jobs)
    first = [*islice(jobs, 1)]
    if not first:
        return
    ray = _connected(address)
    running: dict[Any, tuple[Any, tuple[Job, ...]]] = {}
    """By what it will return: an actor and its job; none while the actor starts."""
    try:
        share, cores, devices = share_of([node["Resources"] for node in ray.nodes() if node["Alive"]], workers, gpus)
        first += islice(jobs, share - 1)
        # Ray starts an actor that died again, on another host if need be, and gives it the same job.
        options = {"num_cpus": cores, "num_gpus": devices, "max_restarts": -1, "max_task_retries": RETRIES}
        for _ in first:
            actor = ray.remote(**options)(Worker).remote(work, cores, os.getcwd())
            running[actor.ready.remote()] = actor, ()
        jobs = chain(first, jobs)
        while running:
            (done,), _ = ray.wait([*running])
            actor, given = running.pop(done)
            result: Result | Exception
            try:
                result = ray.get(done)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            except ray.exceptions.RayError as death:
                if given:
                    result = ChildProcessError(f"its worker has died {RETRIES + 1} times: {_last_words(death)}")
                    running[actor.ready.remote()] = actor, ()
                elif not running and [*islice(jobs, 1)]:  # while others run, its host alone may lack something
                    raise ChildProcessError(f"no worker can start: {_last_words(death)}") from death
            else:
                if given_next := tuple(islice(jobs, 1)):
                    running[actor.run.remote(*given_next)] = actor, given_next
                else:
                    ray.kill(actor)  # one that has lost its host can start in its place
            yield from ((job, result) for job in given)
    finally:
        if not address:
            _end_workers()
        ray.shutdown()


def share_of(nodes: list[dict[str, float]], workers: int | None, gpus: bool) -> tuple[int, int, float]:
    """How many workers there are, and how many cores and GPUs each of them takes: the most cores that they can have.
    `nodes` say how much "CPU" and "GPU" each has. Raises ValueError if there are fewer cores than workers."""
    cores = [int(node.get("CPU", 0)) for node in nodes]
    devices = [int(node.get("GPU", 0)) if gpus else 0 for node in nodes]
    count = workers or sum(devices) or max(1, sum(number // CORES for number in cores))
    together = -(-count // sum(devices)) if any(devices) else 0  # on one GPU
    for each in range(max(cores, default=0), 0, -1):
        places = [number // each for number in cores]
        if together:
            places = [min(place, together * number) for place, number in zip(places, devices, strict=True)]
        if sum(places) >= count:
            return count, each, 1 / together if together else 0
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


def _end_workers() -> None:
    """End what works on this machine for this process; Ray would leave it no time to clear up."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if process.cmdline()[0].startswith(f"ray::{Worker.__name__}"):
                process.terminate()
                found.append(process)
    psutil.wait_procs(found, PATIENCE)
