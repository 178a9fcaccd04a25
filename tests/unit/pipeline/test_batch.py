"""Rows of a table, one after the other: what is run, skipped, refused and left."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from PIL import Image

from stylus_ops.__main__ import main
from stylus_ops.disk import locked, place
from stylus_ops.pipeline.batch import Runner, counts_of, read_batch, run_batch
from stylus_ops.pipeline.settings import Settings
from stylus_ops.pipeline.transfer import Files
from stylus_ops.tiny import RECORDINGS

from ..signals import noise, tones

ROOT = Path(__file__).parents[3]
PAIR = {"content": "content.wav", "style": "style.flac"}


def empty_engine(weights: str = "some weights") -> Any:
    """What a batch asks of a loaded model: its weights' digest."""
    return SimpleNamespace(model=SimpleNamespace(digest=lambda: weights))


def empty_transfer(engine: Any, files: Files, *_: Any, **__: Any) -> Any:
    if files.content.stem == "broken":
        raise RuntimeError("something nobody foresaw")
    files.output.write_text(f"{files.content.name} at {time.time()}")
    return {"seconds": 0}


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder with recordings that nobody reads."""
    for name in ("content.wav", "style.flac", "other.wav", "broken.wav"):
        (tmp_path / name).write_text(name)
    return tmp_path


def write_manifest(path: Path, rows: list[dict[str, str]]) -> Path:
    columns = dict.fromkeys(column for row in rows for column in row)
    lines = [",".join(columns), *(",".join(row.get(column, "") for column in columns) for row in rows)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def run(clips: Path, *rows: dict[str, str], weights: str = "some weights", **options: Any) -> dict[str, Any]:
    """Run a table of these rows into `results` beside it, without a model; the names in the summary are relative to that."""
    batch = read_batch(write_manifest(clips / "pairs.csv", [*rows]), clips / "results", Settings())
    runner = Runner(partial(empty_engine, weights), "tiny", transfer=options.pop("transfer", empty_transfer))
    summary = run_batch(batch, runner, quiet=True, **options)
    for group in ("written", "skipped"):
        summary[group] = [Path(path).relative_to(clips.resolve() / "results").as_posix() for path in summary[group]]
    return summary


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def results_of(*names: str) -> list[str]:
    return sorted([*names, *(f"{name}.json" for name in names)])


def numbered(count: int) -> list[dict[str, str]]:
    return [{**PAIR, "out": f"{number}.flac"} for number in range(1, count + 1)]


def test_a_batch_resumes_and_redoes_what_changed(clips):
    rows = [{**PAIR}, {**PAIR, "out": "sub/b.wav", "alpha": "0.5"}]
    first = run(clips, *rows)
    assert first == {"written": ["content--style.flac", "sub/b.wav"], "skipped": [], "failed": []}
    assert counts_of(first) == "2 written"
    assert json.loads((clips / "results/sub/b.wav.json").read_text())["request"]["settings"]["alpha"] == 0.5
    assert counts_of(run(clips, *rows)) == "2 done before"

    (clips / "results/content--style.flac").unlink()
    rows[1]["alpha"] = "0.1"
    assert counts_of(run(clips, *rows)) == "2 written"
    assert counts_of(run(clips, *rows, weights="others")) == "2 written"
    Image.new("L", (7, 5)).save(clips / "mask.png")
    rows[0]["mask"] = "mask.png"
    assert counts_of(run(clips, *rows, weights="others")) == "1 written, 1 done before"
    assert names(clips / "results") == results_of("content--style.flac", "sub/b.wav")


def test_parts_together_are_the_whole(clips):
    rows = numbered(7)
    written = [run(clips, *rows, part=(number, 3))["written"] for number in (1, 2, 3)]
    assert written == [["1.flac", "4.flac", "7.flac"], ["2.flac", "5.flac"], ["3.flac", "6.flac"]]
    assert counts_of(run(clips, *rows)) == "7 done before"


def test_a_folder_is_one_batch_s_at_a_time(clips):
    (clips / "results").mkdir()
    with locked(clips / "results" / ".stylus-batch-2-of-3.lock"):
        assert len(run(clips, *numbered(3), part=(1, 3))["written"]) == 1
        with pytest.raises(ValueError, match=r"being filled by another batch \(part 2/3\)"):
            run(clips, *numbered(3), part=(2, 3))
    assert len(run(clips, *numbered(3), part=(2, 3))["written"]) == 1


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"content": "missing.wav"}, "missing.wav does not exist"),
        ({"style": ""}, "empty"),
        ({"style": "nul\0.wav"}, "null"),
        ({"out": "../../escaped.flac"}, "leaves the output folder"),
        ({"out": "x" * 251 + ".wav"}, "report .* can't be used"),
        ({"alpha": "much"}, "alpha is 'much'"),
        ({"mask": "other.wav"}, "mask .*other.wav can't be read"),
        ({"content": "broken.wav"}, "RuntimeError: something nobody foresaw"),
    ],
)
def test_a_bad_row_is_reported_and_stops_no_other(clips, row, words):
    summary = run(clips, {**PAIR, **row}, {**PAIR, "out": "good.flac"})
    assert [failure["line"] for failure in summary["failed"]] == [2]
    (failure,) = summary["failed"]
    assert re.search(words, failure["error"])
    assert names(clips / "results") == results_of("good.flac")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"content,style\na.wav,style.flac\na.wav,./style.flac\n", "lines 2 and 3 both write"),
        (b"content,style,out\na.wav,b.wav,../c.wav\nc.wav,b.wav,d.wav\n", "line 2: out .*c.wav is read by line 3"),
        (b"content,style,mask,out\na.wav,b.wav,results/c.wav.json,c.wav\n", "out .*c.wav.json is read by line 2"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(clips, content, words):
    (clips / "pairs.csv").write_bytes(content)
    with pytest.raises(ValueError, match=words):
        read_batch(clips / "pairs.csv", clips / "results", Settings())


@pytest.mark.parametrize(
    "report",
    [
        None,
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"request": 1, "output": "results/take.flac"}',
        b'{"request": {}, "output": "results/another.flac", "sha256": "%s"}',
        b'{"request": {}, "output": "results/take.flac", "sha256": "of something else"}',
    ],
)
def test_what_no_batch_made_is_never_replaced(clips, report):
    results = clips / "results"
    results.mkdir()
    take = results / "take.flac"
    take.write_text("a user's recording")
    ours = report is None or b"of something else" in report
    if report is not None:
        report = report.replace(b"%s", hashlib.sha256(take.read_bytes()).hexdigest().encode())
        (results / "take.flac.json").write_bytes(report)
    for _ in range(1 if ours else 2):
        before = {path: path.read_bytes() for path in results.iterdir()}
        (failure,) = run(clips, {**PAIR, "out": "take.flac"})["failed"]
        assert "exists and no batch made it" in failure["error"]
        assert {path: path.read_bytes() for path in results.iterdir()} == before
        take.unlink(missing_ok=True)


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_to_recordings_are_not_written_through(clips):
    results = clips / "results"
    results.mkdir()
    (results / "linked.flac").symlink_to(clips / "style.flac")
    (results / "twin.flac").hardlink_to(clips / "style.flac")
    failed = run(clips, {**PAIR, "out": "linked.flac"}, {**PAIR, "out": "twin.flac"})["failed"]
    assert [failure["line"] for failure in failed] == [2, 3]
    assert (clips / "style.flac").read_text() == "style.flac"


def test_what_appears_while_a_row_runs_is_not_replaced(clips):
    def transfer(*arguments: Any, **options: Any) -> Any:
        (clips / "results" / "take.flac").write_text("a user's recording")
        return empty_transfer(*arguments, **options)

    for alpha in ("0.1", "0.2"):
        row = {**PAIR, "out": "take.flac", "alpha": alpha}
        (failure,) = run(clips, row, transfer=transfer)["failed"]
        assert "exists" in failure["error"]
        assert (clips / "results" / "take.flac").read_text() == "a user's recording"
        for path in (clips / "results").iterdir():
            path.unlink()
        run(clips, {**PAIR, "out": "take.flac"})


def test_a_row_killed_between_its_report_and_its_sound_is_run_again(clips, monkeypatch):
    def killed(file: Path, path: Path, overwrite: bool = True) -> None:
        if path.suffix == ".flac":
            raise KeyboardInterrupt
        place(file, path, overwrite)

    row = {**PAIR, "out": "take.flac"}
    for alpha in ("0.1", "0.2"):
        with monkeypatch.context() as patched:
            patched.setattr("stylus_ops.pipeline.batch.place", killed)
            with pytest.raises(KeyboardInterrupt):
                run(clips, {**row, "alpha": alpha})
        assert not (clips / "results" / "take.flac").exists()
        run(clips, {**PAIR, "out": "other.flac"})
        assert counts_of(run(clips, {**row, "alpha": alpha})) == "1 written"
        assert counts_of(run(clips, {**row, "alpha": alpha})) == "1 done before"


def test_a_batch_that_is_done_loads_nothing_and_moves_with_its_folder(clips, one_engine, monkeypatch, capsys):
    from stylus_ops.audio.write import write_audio
    from stylus_ops.engine.engine import Engine

    project = clips / "project"
    project.mkdir()
    write_audio(project / "content.wav", tones(1.5, 48000)[0], 48000)
    write_audio(project / "style.flac", noise(1.2, 22050, 1)[0], 22050)
    write_manifest(project / "pairs.csv", [PAIR])
    arguments = ["--quiet", "--json", "--steps", "2"]
    assert main(["batch", str(project / "pairs.csv"), "--out", str(project / "results"), *arguments]) == 0
    assert str(clips) not in (project / "results" / "content--style.flac.json").read_text()

    project.rename(clips / "moved")
    monkeypatch.chdir(clips)

    def load(*arguments):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(Engine, "load", load)
    capsys.readouterr()
    command = ["batch", "moved/pairs.csv", "--out", "moved/results", *arguments]
    assert main(command) == 0
    assert len(json.loads(capsys.readouterr().out)["skipped"]) == 1
    with pytest.raises(AssertionError, match="a model was loaded"):
        main([*command, "--alpha", "0.1"])


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize(("workers", "name"), [("", "SIGINT"), ("1", "SIGINT"), ("2", "SIGTERM")])
def test_stopped_at_work_it_leaves_nothing_and_nobody_else_could_reach_it(clips, workers, name):
    status, words = {"SIGINT": (130, "interrupted"), "SIGTERM": (143, "ended")}[name]
    if options := ["--workers", workers] if workers else []:
        pytest.importorskip("ray", reason="Ray is not installed: pip install '.[cluster]'")
    row = {"content": str(RECORDINGS / "melody.flac"), "style": str(RECORDINGS / "style_a.flac")}
    manifest = write_manifest(clips / "pairs.csv", [{**row, "out": f"{number}.flac"} for number in range(3)])
    batch = ["batch", manifest, "--out", clips / "results", "--steps", "999", *options]
    command = [sys.executable, "-m", "stylus_ops", *batch]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while len(list((clips / "results").glob(".stylus-*.flac"))) < int(workers or 1):
        assert process.poll() is None
        time.sleep(0.1)
    started = psutil.Process(process.pid).children(recursive=True)
    sockets = [socket for child in started for socket in child.net_connections() if socket.status == psutil.CONN_LISTEN]
    assert bool(sockets) == bool(workers)
    assert {socket.laddr.ip.removeprefix("::ffff:") for socket in sockets} <= {"127.0.0.1", "::1"}
    kill = os.killpg if name == "SIGINT" else os.kill  # Ctrl-C reaches what was started, too
    kill(process.pid, getattr(signal, name))
    try:
        _, told = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == status, told
    assert f"stylus: {words}; nothing half-written is left behind\n" in told
    assert workers or "Traceback" not in told
    assert names(clips / "results") == []
    assert not psutil.wait_procs(started, 10)[1]
