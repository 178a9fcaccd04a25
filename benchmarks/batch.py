"""What a batch itself takes for each row, whatever their number.

`python -m benchmarks.batch` runs tables of 10 and of 100,000 rows with a transfer that writes one byte and no model, then the same
tables again, which skips every row. Processor time of this process and wall time. `--workers N` has workers run the rows; their
start counts.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from stylus_ops.pipeline.batch import Runner, Spread, one_by_one, read_batch, run_batch
from stylus_ops.pipeline.settings import Settings
from stylus_ops.pipeline.transfer import Files


def empty_engine() -> Any:
    return SimpleNamespace(name="none", model=SimpleNamespace(digest=lambda: "none"))


def empty_transfer(engine: Any, files: Files, *_: Any, **__: Any) -> Any:
    files.output.write_bytes(b"x")
    return {}


def milliseconds(count: int, spread: Spread) -> dict[str, tuple[float, float]]:
    """Processor and wall time a row from reading the table on: of rows that are written, and of those that were done before."""
    spent = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for recording in ("content.wav", "style.wav"):
            (folder / recording).touch()
        rows = "".join(f"content.wav,style.wav,{number}.flac\n" for number in range(count))
        (folder / "pairs.csv").write_text(f"content,style,out\n{rows}")
        runner = Runner(empty_engine, {"size": 1}, empty_transfer)
        for group in ("written", "skipped"):
            began = time.process_time(), time.perf_counter()
            batch = read_batch(folder / "pairs.csv", folder / "results", Settings())
            summary = run_batch(batch, runner, "none", spread=spread, quiet=True)
            ended = time.process_time(), time.perf_counter()
            processor, wall = (1e3 * (after - before) / count for before, after in zip(began, ended, strict=True))
            spent[group] = processor, wall
            assert len(summary[group]) == count, summary["failed"][:1]
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10, 100_000])
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    spread: Spread = one_by_one
    if options.workers:
        from stylus_ops.pipeline.cluster import on_workers

        spread = partial(on_workers, workers=options.workers)
    milliseconds(1, one_by_one)  # what is imported late
    results = {count: milliseconds(count, spread) for count in options.rows}
    if options.json:
        print(json.dumps({"options": vars(options), "results": results}))
        return
    for count, spent in results.items():
        for group, (processor, wall) in spent.items():
            print(f"{count:7} rows, {group}: {processor:.2f} ms of processor time each, {wall:.2f} ms in all")


if __name__ == "__main__":
    main()
