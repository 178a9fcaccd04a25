"""Rows shared among real workers of Ray, some of which die."""

import os
import signal
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0")  # before Ray is imported
from stylus_ops.pipeline.batch import Runner, counts_of, read_batch, run_batch
from stylus_ops.pipeline.cluster import on_workers, share_of
from stylus_ops.pipeline.settings import Settings
from stylus_ops.pipeline.transfer import Files

from .test_batch import empty_engine, names, numbered, results_of, write_manifest


def transfer(engine: Any, files: Files, *_: Any, **__: Any) -> Any:
    """Does what the content is called, and leaves a file for each call."""
    content, output = files.content, files.output
    kind, calls = content.stem, content.parent / "calls"
    (calls / f"{kind}-{os.getpid()}-{time.time_ns()}").touch()
    if kind == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    output.write_text("half of it")
    while (kind == "meeting" and len(started(calls, kind)) < 2) or (kind == "stuck" and not (calls / "freed").exists()):
        time.sleep(0.05)
    output.write_text("all of it")
    return {}


def started(calls: Path, kind: str) -> list[Path]:
    return [*calls.glob(f"{kind}-*-*")]


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Two hosts of one core each, with little that looks after them."""
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason="Ray is not installed: pip install '.[cluster]'")
    bare = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **bare})
    cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


def test_rows_are_run_again_when_a_host_is_gone_or_until_workers_have_died_three_times(tmp_path, cluster):
    """A worker dies three times while the other waits for it at a meeting; then both are stuck, and the host of one goes."""
    kinds = ["deadly", "meeting", "meeting", "stuck", "stuck", "content", "content"]
    rows = [row | {"content": f"{kind}.wav"} for row, kind in zip(numbered(7), kinds, strict=True)]
    for name in ("style.flac", *(row["content"] for row in rows)):
        (tmp_path / name).touch()
    calls = tmp_path / "calls"
    calls.mkdir()

    def spread(work: Any, jobs: Any) -> Generator[Any, None, None]:
        for number, ended in enumerate(on_workers(work, jobs, workers=2, address=cluster.address), 1):
            if number == 3:  # the deadly row and the two of the meeting
                while len(started(calls, "stuck")) < 2:
                    time.sleep(0.05)
                cluster.remove_node(*cluster.worker_nodes)
                (calls / "freed").touch()
            yield ended

    batch = read_batch(write_manifest(tmp_path / "pairs.csv", rows), tmp_path / "results", Settings())
    summary = run_batch(batch, Runner(empty_engine, "tiny", transfer=transfer), spread=spread, quiet=True)
    assert counts_of(summary) == "6 written, 1 failed"
    (failure,) = summary["failed"]
    assert failure["line"] == 2
    assert failure["error"].startswith("its worker has died 3 times")
    assert {kind: len(started(calls, kind)) for kind in kinds} == {"deadly": 3, "meeting": 2, "stuck": 3, "content": 2}
    sounds = [path for path in names(tmp_path / "results") if not path.startswith(".stylus-")]
    assert sounds == results_of(*(f"{number}.flac" for number in range(2, 8)))


@pytest.mark.parametrize(
    ("nodes", "workers", "share"),
    [
        ([{"CPU": 16}], None, (4, 4, 0)),
        ([{"CPU": 2}], None, (1, 2, 0)),
        ([{"CPU": 2}, {"CPU": 2}, {"CPU": 2}], 2, (2, 2, 0)),
        ([{"CPU": 16, "GPU": 4}, {"CPU": 8}], None, (4, 4, 1)),
        ([{"CPU": 16, "GPU": 2}], 4, (4, 4, 0.5)),
    ],
)
def test_cores_and_devices_are_shared_out(nodes, workers, share):
    assert share_of(nodes, workers, gpus=True) == share
    with pytest.raises(ValueError, match="workers is 99"):
        share_of(nodes, 99, gpus=False)
