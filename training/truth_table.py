"""Write the truth tables of docs/evaluation.md from what `stylus evaluate` measured.

    python -m training.truth_table docs/evaluation.md dev=RESULTS truth-as-style=RESULTS test=RESULTS

replaces what stands between `<!-- truth NAME -->` and `<!-- end -->` with medians and bootstrap 95 % intervals of the folder's
results.csv; tables that are not named stay as they are.
"""

from __future__ import annotations

import argparse
import csv
import re
from pathlib import Path

from stylus_ops.disk import write_atomically
from stylus_ops.evaluation.summary import Median, summarise

COLUMNS = {
    "closed_truth": "closed truth",
    "truth_lsd_db": "LSD, dB",
    "truth_mcd": "MCD",
    "truth_mfcc_means": "MFCC means",
    "truth_mfcc_deviations": "MFCC deviations",
    "truth_chroma_cosine": "chroma",
    "truth_pitch_jaccard": "pitch",
    "truth_onset_f1": "onsets",
}
IN_UNITS = {"truth_lsd_db", "truth_mcd", "truth_mfcc_means", "truth_mfcc_deviations"}
"""Printed with one decimal, the others with two."""
REFERENCE = "eq-match"


def table(results: Path) -> str:
    """Markdown: a method a row, `median [low, high]` a cell; last, on how many triples it is nearer to the truth, by log-spectral
    distance, than EQ-match is."""
    with (results / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = [{**row, **{name: row[name] or "nan" for name in COLUMNS}} for row in csv.DictReader(file)]
    distances = {(row["method"], row["pair"]): float(row["truth_lsd_db"]) for row in rows}
    lines = [["method", *COLUMNS.values(), "nearer than EQ-match"], ["---"] * (2 + len(COLUMNS))]
    for method, medians in summarise(rows, tuple(COLUMNS)).items():
        cells = [_cell(medians[name], 1 if name in IN_UNITS else 2) for name in COLUMNS]
        both = [pair for name, pair in distances if name == method and (REFERENCE, pair) in distances]
        nearer = sum(distances[method, pair] < distances[REFERENCE, pair] for pair in both)
        lines.append([method, *cells, f"{nearer} of {len(both)}" if both and method != REFERENCE else "-"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def replaced(page: str, name: str, content: str) -> str:
    """The page with another table of that name.

    Raises:
        ValueError: the page has no place for it.
    """
    place = re.compile(rf"(<!-- truth {re.escape(name)} -->\n).*?(\n<!-- end -->)", re.DOTALL)
    if not place.search(page):
        raise ValueError(
            f"the page has no lines <!-- truth {name} --> and <!-- end -->: add them where the table belongs"
        )
    return place.sub(lambda found: found[1] + content + found[2], page)


def _cell(value: Median, decimals: int) -> str:
    if not value.measured:
        return "-"
    numbers = [f"{number:.{decimals}f}" for number in (value.median, value.low, value.high)]
    return f"{numbers[0]} [{numbers[1]}, {numbers[2]}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument(
        "tables", nargs="+", metavar="NAME=RESULTS", help="a table's name and the folder of its results"
    )
    args = parser.parse_args()
    page = args.page.read_text(encoding="utf-8")
    for argument in args.tables:
        name, _, results = argument.partition("=")
        page = replaced(page, name, table(Path(results)))
    write_atomically(args.page, lambda temporary: temporary.write_text(page, encoding="utf-8"))


if __name__ == "__main__":
    main()
