"""Rows shared among real workers of Ray, some of which die."""

import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0")  # before Ray is imported
pytest.importorskip("ray", reason="Ray is not installed: pip install '.[cluster]'")

from ray.cluster_utils import Cluster

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
    while (kind == "meeting" and len(processes(calls)) < 2) or (kind == "stuck" and not (calls / "freed").exists()):
        time.sleep(0.05)
    output.write_text("all of it")
    return {}


def processes(calls: Path) -> set[str]:
    return {path.name.split("-")[1] for path in calls.glob("*-*-*")}


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    for name in ("content.wav", "deadly.wav", "meeting.wav", "stuck.wav", "style.flac"):
        (tmp_path / name).touch()
    (tmp_path / "calls").mkdir()
    return tmp_path


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two hosts of one core each."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


def run(clips: Path, cluster: Cluster, rows: list[dict[str, str]], spread: Any = on_workers) -> dict[str, Any]:
    batch = read_batch(write_manifest(clips / "pairs.csv", rows), clips / "results", Settings())
    spread = partial(spread, workers=2, address=cluster.address)
    return run_batch(batch, Runner(empty_engine, "tiny", transfer=transfer), spread=spread, quiet=True)


def test_a_worker_s_row_is_run_again_until_it_has_died_three_times(clips, cluster):
    rows = numbered(4)
    rows[1]["content"] = "deadly.wav"
    summary = run(clips, cluster, rows)
    assert counts_of(summary) == "3 written, 1 failed"
    (failure,) = summary["failed"]
    assert failure["line"] == 3
    assert failure["error"].startswith("its worker has died 3 times")
    calls = sorted(path.name.split("-")[0] for path in (clips / "calls").iterdir())
    assert calls == ["content"] * 3 + ["deadly"] * 3


def test_a_host_that_is_gone_leaves_its_row_to_the_others(clips, cluster):
    """The last test on this cluster."""
    rows = numbered(8)
    for row, kind in zip(rows, ("meeting", "meeting", "stuck", "stuck"), strict=False):
        row["content"] = f"{kind}.wav"

    def spread(*arguments: Any, **options: Any) -> Iterator[Any]:
        for number, ended in enumerate(on_workers(*arguments, **options)):
            if number == 1:
                while len(list((clips / "calls").glob("stuck-*"))) < 2:
                    time.sleep(0.05)
                cluster.remove_node(*cluster.worker_nodes)
                (clips / "calls" / "freed").touch()
            yield ended

    assert counts_of(run(clips, cluster, rows, spread)) == "8 written"
    assert len(list((clips / "calls").glob("stuck-*"))) == 3
    sounds = [path for path in names(clips / "results") if not path.startswith(".stylus-")]
    assert sounds == results_of(*(f"{number}.flac" for number in range(1, 9)))


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
