"""The evaluation as a whole: trivial methods rank as they must, and a run that is stopped goes on where it was."""

import csv
import json
import math
import shutil
from pathlib import Path

import pytest
import torch

from stylus_ops.__main__ import main
from stylus_ops.audio.write import write_audio
from stylus_ops.evaluation.methods import parse_method
from stylus_ops.evaluation.pairs import every_pair, read_pairs
from stylus_ops.evaluation.results import median
from stylus_ops.pipeline.settings import Settings

RATE = 22050
SECONDS = 2.0
MODEL_FREE = ["content", "style", "eq-match"]
HEAD = "content,style,truth,monophonic\n"


def tone(hertz: float, partials: int, decay: float) -> torch.Tensor:
    """[1, T]: four struck notes of that pitch."""
    time = torch.arange(int(SECONDS / 4 * RATE)) / RATE
    note = sum(torch.sin(2 * torch.pi * hertz * n * time) / n for n in range(1, partials + 1))
    return (0.2 * note * torch.exp(-decay * time)).repeat(4)[None]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two contents, two styles and the table of two pairs of them."""
    root = tmp_path_factory.mktemp("pairs")
    for name, sound in {
        "contents/low": tone(220, 2, 4),
        "contents/high": tone(523.25, 3, 6),
        "styles/reed": tone(330, 20, 1),
        "styles/hiss": 0.05 * torch.randn(2, int(SECONDS * RATE), generator=torch.Generator().manual_seed(0)),
    }.items():
        path = root / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        write_audio(path, sound, RATE)
    (root / "pairs.csv").write_text(
        f"{HEAD}contents/low.wav,styles/reed.wav,,yes\ncontents/high.wav,styles/hiss.wav,,no\n"
    )
    return root


def run(table: Path, out: Path, *methods: str, sweep: int = 0) -> int:
    return main(["evaluate", str(table), "--out", str(out), "--sweep-pairs", str(sweep), "--methods", *methods])


@pytest.fixture(scope="module")
def evaluated(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("results")
    assert run(folders / "pairs.csv", out, *MODEL_FREE, sweep=1) == 0
    return out


def rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def test_content_and_style_themselves_are_the_two_ends(evaluated: Path):
    found = rows(evaluated / "results.csv")
    assert [(row["pair"], row["method"]) for row in found] == [
        (pair, method) for pair in ("low--reed", "high--hiss") for method in MODEL_FREE
    ]
    for row in found:
        assert (row["raw_pitch_accuracy"] != "") == (row["pair"] == "low--reed")
        if row["method"] == "content":
            assert float(row["chroma_cosine"]) == pytest.approx(1, abs=1e-5)
            assert float(row["onset_f1"]) == 1
            assert float(row["raw_pitch_accuracy"] or 1) == 1
            assert float(row["style_taken"]) == 0
        if row["method"] == "style":
            assert float(row["style_taken"]) == pytest.approx(1, abs=1e-3)
            assert float(row["chroma_cosine"]) < 0.9
        if row["method"] == "eq-match":
            assert 0 < float(row["closed_mel_spectrum"]) < 1
    summary = {(row["method"], row["column"]): row for row in rows(evaluated / "summary.csv")}
    taken = [float(row["style_taken"]) for row in found if row["method"] == "eq-match"]
    assert float(summary["eq-match", "style_taken"]["median"]) == pytest.approx(sum(taken) / 2)


def test_the_trade_off_is_of_the_first_pair_and_starts_at_the_content(evaluated: Path):
    swept = {row["method"]: row for row in rows(evaluated / "trade_off.csv")}
    assert {row["pair"] for row in swept.values()} == {"low--reed"}
    taken = [float(swept[f"eq-match:alpha={alpha}"]["closed_mel_spectrum"]) for alpha in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert taken[0] == pytest.approx(0, abs=1e-3)
    assert taken == sorted(taken)
    assert (evaluated / "trade_off.png").stat().st_size > 10_000


def test_a_run_that_was_stopped_and_is_started_again_gives_the_same_table(
    folders: Path, evaluated: Path, tmp_path: Path
):
    out = shutil.copytree(evaluated, tmp_path / "out")
    for table in out.glob("*.csv"):
        table.unlink()
    for job in ("eq-match*.json", "style*.json"):
        next(out.glob(f"audio/*/{job}")).unlink()
    kept = {path: path.stat().st_mtime_ns for path in out.glob("audio/*/content.*")}
    assert run(folders / "pairs.csv", out, *MODEL_FREE, sweep=1) == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    for name in ("results.csv", "trade_off.csv", "summary.csv"):
        assert (out / name).read_bytes() == (evaluated / name).read_bytes()


def test_a_transfer_that_changes_nothing_is_the_autoencoders_round_trip(folders: Path, tmp_path: Path):
    nothing = "stylus:alpha=0,adain=0,corrections=2,steps=4"
    table = folders / "one.csv"
    table.write_text("content,style\ncontents/low.wav,styles/reed.wav\n")
    assert run(table, tmp_path, "autoencoder", nothing) == 0
    numbers = {row["method"]: row for row in rows(tmp_path / "results.csv")}
    for column in ("chroma_cosine", "style_taken"):
        assert float(numbers[nothing][column]) == pytest.approx(float(numbers["autoencoder"][column]), abs=0.03)


def test_median_and_its_interval():
    middle = median([1.0, 2.0, 3.0, 4.0, math.nan])
    assert (middle.median, middle.measured) == (2.5, 4)
    assert 1 <= middle.low < 2.5 < middle.high <= 4
    assert median([2.0])[0::3] == (2.0, 1)
    assert median([math.nan]).measured == 0


def test_settings_follow_the_name_of_a_method():
    settings = Settings(steps=12, gamma=0.4)
    assert parse_method("stylus", settings).settings == settings
    changed = parse_method("stylus:gamma=0.5,sites=9-11", settings).settings
    assert (changed.steps, changed.gamma, changed.sites) == (12, 0.5, "9-11")
    paper = parse_method("stylus-paper", settings).settings
    assert (paper.gamma, paper.alpha, paper.inversion, paper.steps) == (0.75, 0.9, "ddim", 12)
    assert parse_method("adain:alpha=0.5", settings).settings.adain == 0.5
    assert parse_method("adain", settings).settings.end_percent == 0


@pytest.mark.parametrize(
    "text", ["stylos", "stylus:warmth=1", "stylus:gamma=3", "content:alpha=0.5", "eq-match:steps=3"]
)
def test_a_method_that_is_not_there_is_refused_by_name(text: str):
    with pytest.raises(ValueError, match=text):
        parse_method(text, Settings())


@pytest.mark.parametrize(
    ("table", "named"), [("", "no pairs"), ("contents/low.wav,styles/reed.wav,,\n" * 2, "low--reed")]
)
def test_a_table_of_pairs_that_cannot_be_used_is_refused(folders: Path, table: str, named: str):
    path = folders / "other.csv"
    path.write_text(HEAD + table)
    with pytest.raises(ValueError, match=named):
        read_pairs(path)


def test_rows_with_a_fault_are_reported_and_the_others_measured(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    write_audio(tmp_path / "silence.wav", torch.zeros(1, RATE), RATE)
    reed, hiss, low = (folders / name for name in ("styles/reed.wav", "styles/hiss.wav", "contents/low.wav"))
    for letter in "xy":
        shutil.copy(reed, tmp_path / f"{letter * 150}.wav")
    pairs = [
        f"missing.wav,{reed},,",
        f"{low},{reed},,perhaps",
        f",{reed},,",
        f"{'x' * 300}.wav,{reed},,",
        f"{low},{reed},nowhere.wav,",
        f"silence.wav,{reed},,",
        f"{'x' * 150}.wav,{'y' * 150}.wav,,",
        f"{low},{hiss},,yes,and more",
    ]
    table, out = tmp_path / "pairs.csv", tmp_path / "out"
    table.write_text(HEAD + "\n".join(pairs))
    arguments = ["evaluate", str(table), "--out", str(out), "--methods", "content", "--sweep-pairs", "0", "--json"]
    assert main(arguments) == 2
    printed = capsys.readouterr()
    for words in (*(f"line {line}: " for line in (2, 3, 4, 5, 6)), "silence--reed, content: the first clip is silent"):
        assert words in printed.err
    assert "File name too long" in printed.err
    assert json.loads(printed.out)["summary"]["content"]["chroma_cosine"]["measured"] == 1
    assert [row["pair"] for row in rows(out / "results.csv")] == ["low--hiss"]


def test_folders_are_paired_recording_by_recording(folders: Path):
    pairs = every_pair(folders / "contents", folders / "styles")
    assert [pair.name for pair in pairs] == ["high--hiss", "high--reed", "low--hiss", "low--reed"]


@pytest.mark.parametrize("where", [[], ["pairs.csv", "--styles", "."], ["--contents", "."]])
def test_pairs_come_from_a_table_or_from_two_folders(where: list[str], tmp_path: Path, capsys: pytest.CaptureFixture):
    assert main(["evaluate", *where, "--out", str(tmp_path)]) == 2
    assert "--contents" in capsys.readouterr().err
