"""The command line, end to end: recordings in, files out, and every mistake answered in a sentence."""

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from stylus_ops.__main__ import main
from stylus_ops.audio.files import read_audio, write_audio
from stylus_ops.engine.engine import Engine
from stylus_ops.pipeline.batch import counts_of, is_finished, read_manifest, run_rows
from stylus_ops.pipeline.settings import PAPER, Settings
from stylus_ops.pipeline.share import Share, claim_of
from stylus_ops.pipeline.transfer import Transfer
from stylus_ops.shares import normalised
from tests.small_folder import write_small_folder

from ..signals import noise, tones

ROOT = Path(__file__).parents[3]
FAST = ["--preset", "tiny-256", "--steps", "2"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_folder(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def engine(model: Path) -> Engine:
    return Engine.load(str(model), "cpu")


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder with a stereo content at 48 kHz, two styles and a file without sound."""
    write_audio(tmp_path / "content.wav", tones(1.5, 48000)[0], 48000)
    write_audio(tmp_path / "style.flac", noise(1.2, 22050, 1)[0], 22050)
    write_audio(tmp_path / "other.wav", tones(6.0, 44100, 1)[0], 44100)
    (tmp_path / "words.wav").write_text("no sound at all")
    return tmp_path


def stylus(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stylus_ops", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def test_transfer_writes_sound_figure_and_one_json_object(clips, model):
    output, figure = clips / "out.flac", clips / "out.png"
    done = stylus(
        *("transfer", clips / "content.wav", clips / "style.flac", clips / "other.wav"),
        *("-o", output, "--figure", figure, "--model", model, "--weights", 3, 1, "--json", *FAST),
    )
    assert done.returncode == 0, done.stderr
    assert "sampling: 100%" in done.stderr

    report = json.loads(done.stdout)
    assert [style["weight"] for style in report["styles"]] == [0.75, 0.25]
    assert report["settings"]["alpha"] == 0.9
    assert report["settings"]["steps"] == 2
    assert report["chosen"] == {
        "preset": "tiny-256",
        "sites": [6, 7, 8, 9, 10, 11],
        "features": "cache",
        "windows_per_pass": 4,
    }
    assert report["evaluations"] == 2 * (1 + 1 + 2) + 2
    assert report["seconds"].keys() == {"load", "read", "encode", "inversion", "sampling", "decode", "write"}
    assert report["peak_memory_bytes"] > 2**28

    waveform, rate = read_audio(output)
    assert (rate, waveform.shape) == (48000, (1, 2, 72000))
    assert waveform.isfinite().all()
    assert waveform.abs().max() > 0.01
    with Image.open(figure) as image:
        assert image.width > 900
        assert len(image.getcolors(image.width * image.height) or ()) > 1000
    assert not list(clips.glob(".*"))


def test_same_inputs_give_the_same_file(clips, model):
    outputs = [clips / "a.wav", clips / "b.wav"]
    for output in outputs:
        command = ["transfer", clips / "content.wav", clips / "style.flac", "-o", output, "--model", model, *FAST]
        assert main([*map(str, command)]) == 0
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_the_paper_s_run_has_one_name_and_what_is_given_beside_it_counts(clips, model):
    recordings = (clips / "content.wav", clips / "style.flac", "--model", model, "--json", *FAST)
    named = stylus("transfer", *recordings, "-o", clips / "named.flac", "--paper", "--alpha", 0.5)
    assert named.returncode == 0, named.stderr
    assert json.loads(named.stdout)["settings"] == asdict(
        replace(Settings(**PAPER), preset="tiny-256", steps=2, alpha=0.5)
    )
    spelt = [("--" + name.replace("_", "-"), value) for name, value in PAPER.items() if name not in ("steps", "alpha")]
    one_by_one = stylus(
        "transfer", *recordings, "-o", clips / "spelt.flac", "--alpha", 0.5, *(word for pair in spelt for word in pair)
    )
    assert one_by_one.returncode == 0, one_by_one.stderr
    assert (clips / "named.flac").read_bytes() == (clips / "spelt.flac").read_bytes()


def test_a_black_mask_keeps_the_content_and_a_white_one_changes_nothing(clips, model):
    def result(name: str, *options: object) -> bytes:
        command = [
            "transfer",
            clips / "content.wav",
            clips / "style.flac",
            "-o",
            clips / name,
            "--model",
            model,
            *options,
        ]
        assert main([*map(str, command), *FAST]) == 0
        return (clips / name).read_bytes()

    for name, grey in (("black", 0), ("white", 255)):
        Image.new("L", (7, 5), grey).save(clips / f"{name}.png")
    plain, content = result("plain.wav"), result("content_alone.wav", "--alpha", 0, "--adain", 0)
    assert plain != content
    masked = [
        soundfile.read(io.BytesIO(result(f"{name}.wav", "--mask", clips / f"{name}.png")))[0]
        for name in ("black", "white")
    ]
    for wanted, found in zip((content, plain), masked, strict=True):
        assert abs(soundfile.read(io.BytesIO(wanted))[0] - found).max() < 1e-4


def test_a_part_of_each_recording_is_read(clips, model):
    options = ["--content-start", "0.25", "--content-duration", "1", "--style-start", "0.5", "--style-duration", "0.5"]
    command = ["transfer", clips / "content.wav", clips / "other.wav", "-o", clips / "part.wav", "--model", model]
    assert main([*map(str, command), *options, *FAST]) == 0
    whole, rate = read_audio(clips / "content.wav")
    write_audio(clips / "content_part.wav", whole[0, :, rate // 4 : rate + rate // 4], rate, "float")
    whole, rate = read_audio(clips / "other.wav")
    write_audio(clips / "other_part.wav", whole[0, :, rate // 2 : rate], rate, "float")
    command = [
        "transfer",
        clips / "content_part.wav",
        clips / "other_part.wav",
        "-o",
        clips / "cut.wav",
        "--model",
        model,
    ]
    assert main([*map(str, command), *FAST]) == 0
    part, cut = (soundfile.read(clips / name)[0] for name in ("part.wav", "cut.wav"))
    assert part.shape == (48000, 2)
    assert abs(part - cut).max() < 1e-4


def test_user_errors_are_a_sentence_without_traceback(clips, model):
    done = stylus("transfer", clips / "content.wav", clips / "missing.wav", "-o", clips / "out.flac", "--model", model)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("stylus: recording")
    assert "missing.wav does not exist" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"--steps": "1"}, "steps is 1"),
        ({"--steps": "1001"}, "steps is 1001"),
        ({"--alpha": "nan"}, "alpha is nan"),
        ({"--gamma": "1.5"}, "gamma is 1.5"),
        ({"--temperature": "0"}, "temperature is 0"),
        ({"--adain": "2"}, "adain is 2"),
        ({"--start-percent": "0.6", "--end-percent": "0.5"}, "end_percent is 0.5"),
        ({"--preset": "sd-512"}, "preset is sd-512 and the model takes tiny-256 images: choose tiny-256 or auto"),
        ({"--model": "tiny", "--preset": "sd-512"}, "preset is sd-512 and the model takes tiny-256 images"),
        (
            {"--model": "tiny", "--preset": "auto", "--overlap": "200"},
            "overlap is 200: choose a whole number from 0 to 128",
        ),
        ({"--model": "a.safetensors", "--preset": "tiny-256"}, "preset is tiny-256 and the model takes sd-512 images"),
        ({"--mask": "words.wav"}, "words.wav can't be read as an image"),
        ({"--mask": "gone.png"}, "mask gone.png does not exist"),
        ({"--sites": "0-2"}, "no self-attention in decoder block"),
        ({"--weights": "0"}, "weights are 0.0"),
        ({"--output": "out.midi"}, "unknown ending"),
        ({"--output": "nowhere/out.flac"}, "no folder"),
        ({"--output": "."}, "is a folder"),
        ({"--output": "content.wav"}, "one of the recordings"),
        ({"--figure": "nowhere/out.png"}, "no folder"),
        ({"--figure": "out.gif"}, "unknown ending"),
        ({"--model": "missing.safetensors", "--preset": "auto"}, "does not exist"),
        ({"--model": "weights.ckpt"}, "pickle"),
        ({"--device": "cuda:99"}, "cuda:99"),
        ({"--dtype": "float8"}, "float8"),
        ({"content": "words.wav"}, "words.wav"),
        ({"content": "missing.wav"}, "does not exist"),
    ],
)
def test_mistakes_are_named_and_leave_nothing_behind(clips, model, monkeypatch, capsys, change, words):
    monkeypatch.chdir(clips)
    before = sorted(clips.rglob("*"))
    options = {"--output": "out.flac", "--model": str(model), "--preset": "tiny-256", "--steps": "2", **change}
    content = options.pop("content", "content.wav")
    arguments = [word for option in options.items() for word in option]
    assert main(["transfer", content, "style.flac", *arguments]) == 2
    told = capsys.readouterr()
    assert words in told.err
    assert told.out == ""
    assert sorted(clips.rglob("*")) == before


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="no folder is closed to an administrator")
def test_folder_that_cannot_be_written_to_is_noticed_before_the_run(clips, model, capsys):
    closed = clips / "closed"
    closed.mkdir(mode=0o500)
    command = ["transfer", clips / "content.wav", clips / "style.flac", "-o", closed / "out.flac", "--model", model]
    assert main([*map(str, command)]) == 2
    assert "can't write" in capsys.readouterr().err


def test_an_earlier_file_is_overwritten_only_when_asked_to(clips, model, capsys):
    output, figure = clips / "out.wav", clips / "out.png"
    command = ["transfer", clips / "content.wav", clips / "style.flac", "-o", output, "--model", model, *FAST]
    command = [*map(str, command), "--figure", str(figure)]
    for earlier in (output, figure):
        earlier.write_text("something of the user's")
        assert main(command) == 2
        assert f"{earlier} exists already: choose another name, or add --overwrite" in capsys.readouterr().err
        assert earlier.read_text() == "something of the user's"
        earlier.unlink()
    output.symlink_to(clips / "gone.wav")
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err
    output.unlink()
    output.write_text("something of the user's")
    assert main([*command, "--overwrite"]) == 0
    assert soundfile.info(output).frames == 72000


STOP_AT_IMPORT = """
import os, signal, sys

class Stop:
    def find_spec(self, name, path, target=None):
        if name == "{module}":
            os.kill(os.getpid(), signal.{signal})

sys.meta_path.insert(0, Stop())
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("module", ["torch", "diffusers"])
@pytest.mark.parametrize(("name", "status", "words"), [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "ended")])
def test_stopped_while_importing_it_says_so(clips, model, module, name, status, words):
    (clips / "sitecustomize.py").write_text(STOP_AT_IMPORT.format(module=module, signal=name))
    command = ["transfer", clips / "content.wav", clips / "style.flac", "-o", clips / "out.flac", "--model", model]
    done = stylus(*command, *FAST, PYTHONPATH=str(clips))
    assert done.returncode == status, done.stderr
    assert done.stderr == f"stylus: {words}; nothing half-written is left behind\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize(("name", "status", "words"), [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "ended")])
def test_stopped_at_work_it_says_so_and_leaves_nothing(clips, name, status, words):
    results = clips / "results"
    manifest = write_manifest(clips / "pairs.csv", [{"content": "content.wav", "style": "style.flac"}])
    process = subprocess.Popen(
        [sys.executable, "-m", "stylus_ops", "batch", str(manifest), "--out", str(results), "--steps", "999"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    while "rows:" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(getattr(signal, name))
    try:
        _, told = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == status
    assert told.endswith(f"stylus: {words}; nothing half-written is left behind\n")
    assert "Traceback" not in told
    assert list(results.iterdir()) == []


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_name_that_the_console_can_t_print_ends_no_run(clips, model, encoding):
    output = clips / "\u65e5\u672c.wav"
    command = ("transfer", clips / "content.wav", clips / "style.flac", "-o", output, "--model", model, *FAST)
    done = stylus(*command, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"wrote {clips}{os.sep}\\u65e5\\u672c.wav\n"
    assert output.is_file()


def test_a_host_without_memory_left_is_told_of_in_words(clips, model, monkeypatch, capsys):
    def too_much(*arguments: object) -> NoReturn:
        torch.empty(1 << 50, dtype=torch.uint8)
        raise AssertionError("this machine has a petabyte")

    monkeypatch.setattr("stylus_ops.engine.engine.Engine.load", too_much)
    command = ["transfer", clips / "content.wav", clips / "style.flac", "-o", clips / "out.wav", "--model", model]
    assert main([*map(str, command)]) == 2
    assert capsys.readouterr().err.startswith("stylus: out of memory: try --windows-per-pass 1")


def test_unknown_option_shows_usage_and_fails():
    with pytest.raises(SystemExit) as stopped:
        main(["transfer", "a.wav", "b.wav", "-o", "c.wav", "--alfa", "1"])
    assert stopped.value.code == 2


def test_weights_are_normalised():
    assert normalised([], 4) == [0.25] * 4
    assert normalised([2, 6], 2) == [0.25, 0.75]
    for wrong in ([1.0], [-1.0, 2.0], [0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0]):
        with pytest.raises(ValueError, match="weights are"):
            normalised(wrong, 2)


def test_style_of_weight_zero_is_as_if_it_were_not_there(clips, model):
    outputs = [clips / "one.wav", clips / "two.wav"]
    styles = [["style.flac"], ["style.flac", "other.wav"]]
    for output, names, weights in zip(outputs, styles, (["1"], ["1", "0"]), strict=True):
        command = ["transfer", clips / "content.wav", *(clips / name for name in names), "-o", output, "--model", model]
        assert main([*map(str, command), "--weights", *weights, *FAST]) == 0
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def inverted(engine: Engine, clips: Path, names: list[str]) -> Callable[..., Any]:
    def run(**settings: Any) -> Any:
        transfer = Transfer(engine, Settings(steps=2, preset="tiny-256", **settings), quiet=True)
        read = transfer.read(clips / names[0], [clips / name for name in names[1:]])
        return transfer.invert(read)

    return run


def test_one_batch_inverts_what_single_runs_do(engine, clips):
    together = inverted(engine, clips, ["content.wav", "other.wav"])()
    alone = inverted(engine, clips, ["content.wav"])() + inverted(engine, clips, ["other.wav"])()
    assert [clip.noise.shape[0] for clip in together] == [1, 2]
    for both, one in zip(together, alone, strict=True):
        for x, y in ((both.noise, one.noise), (both.bank[1][3], one.bank[1][3])):
            assert (x - y).norm() < 1e-4 * y.norm()  # kernels differ by batch size; a single element may differ more
        assert both.valid_width == one.valid_width


def test_padding_stays_out_of_the_statistics(engine, clips):
    (content,) = inverted(engine, clips, ["content.wav"])()
    frames = 1 + int(1.5 * 44100) // 882
    assert content.valid_width == round(32 * frames / 256) < 32


def test_long_style_is_cut_to_its_first_windows(engine, clips):
    _, style = inverted(engine, clips, ["content.wav", "other.wav"])(style_windows=1)
    assert len(style.noise) == 1


@pytest.mark.parametrize("features", ["cache_fp16", "recompute"])
def test_feature_policies_agree(clips, model, features):
    outputs = [clips / "cache.wav", clips / "other_policy.wav"]
    for output, policy in zip(outputs, ("cache", features), strict=True):
        command = ["transfer", clips / "content.wav", clips / "style.flac", "-o", output, "--model", model]
        assert main([*map(str, command), "--features", policy, *FAST]) == 0
    (first, _), (second, _) = (soundfile.read(output) for output in outputs)
    assert abs(first - second).max() < 0.01


@pytest.mark.parametrize("decode", ["gain", "griffin_lim"])
def test_decoders_keep_length_and_rate(clips, model, decode):
    output = clips / "out.wav"
    command = ["transfer", clips / "content.wav", clips / "style.flac", "-o", output, "--model", model]
    assert main([*map(str, command), "--decode", decode, *FAST]) == 0
    assert soundfile.info(output).frames == 72000
    assert soundfile.info(output).samplerate == 48000


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_manifest(path: Path, rows: list[dict[str, str]]) -> Path:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8-sig")
    return path


FAST_SETTINGS = Settings(steps=2, preset="tiny-256")


def test_batch_resumes_and_redoes_what_changed(clips, engine):
    manifest = write_manifest(
        clips / "pairs.csv",
        [
            {"content": "content.wav", "style": "style.flac"},
            {"content": "content.wav", "style": "other.wav", "out": "sub/b.wav", "alpha": "0.5"},
        ],
    )
    out = clips / "results"
    rows, _ = read_manifest(manifest, out, FAST_SETTINGS)
    assert [row.settings.alpha for row in rows] == [0.9, 0.5]
    first = run_rows(engine, rows, Share(0, 1, 0), quiet=True)
    assert [Path(path).relative_to(out.resolve()).as_posix() for path in first["written"]] == [
        "content--style.flac",
        "sub/b.wav",
    ]
    again = run_rows(engine, rows, Share(0, 1, 0), quiet=True)
    assert again["written"] == []
    assert len(again["skipped"]) == 2

    rows[0].output.unlink()
    changed = [rows[0], rows[1]._replace(settings=Settings(steps=2, preset="tiny-256", alpha=0.1))]
    assert len(run_rows(engine, changed, Share(0, 1, 0), quiet=True)["written"]) == 2

    bias = engine.model.unet.conv_out.bias
    assert bias is not None
    with torch.no_grad():
        bias += 1
        other_weights = run_rows(engine, changed, Share(0, 1, 0), quiet=True)
        bias -= 1
    assert len(other_weights["written"]) == 2


def test_batch_goes_on_after_a_recording_that_cannot_be_read(clips, model, capsys):
    manifest = write_manifest(
        clips / "pairs.csv",
        [{"content": "words.wav", "style": "style.flac"}, {"content": "content.wav", "style": "style.flac"}],
    )
    assert main(["batch", str(manifest), "--out", str(clips / "results"), "--model", str(model), "--json", *FAST]) == 2
    told = capsys.readouterr()
    summary = json.loads(told.out)
    assert [failure["line"] for failure in summary["failed"]] == [2]
    assert [Path(path).name for path in summary["written"]] == ["content--style.flac"]
    assert "line 2" in told.err
    assert "words.wav" in told.err


def test_interrupted_batch_leaves_no_half_written_file(clips, engine, monkeypatch):
    manifest = write_manifest(clips / "pairs.csv", [{"content": "content.wav", "style": "style.flac"}])
    rows, _ = read_manifest(manifest, clips / "results", FAST_SETTINGS)
    evaluate = engine.evaluate

    def interrupted(*arguments):
        if engine.evaluations > before + 4:
            raise KeyboardInterrupt
        return evaluate(*arguments)

    before = engine.evaluations
    monkeypatch.setattr(engine, "evaluate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_rows(engine, rows, Share(0, 1, 0), quiet=True)
    assert list((clips / "results").iterdir()) == []
    assert not is_finished(rows[0], engine.name, engine.model.digest())


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"content": "missing.wav", "style": "style.flac"}, "does not exist"),
        ({"content": "content.wav", "style": ""}, "empty"),
        ({"content": "content.wav", "style": "nul\0.wav"}, "null"),
        ({"content": "content.wav", "style": "style.flac", "out": "../../escaped.flac"}, "leaves the output folder"),
        ({"content": "content.wav", "style": "style.flac", "out": "/escaped.flac"}, "leaves the output folder"),
        ({"content": "content.wav", "style": "style.flac", "out": "a.midi"}, "unknown ending"),
        ({"content": "content.wav", "style": "style.flac", "out": "x" * 251 + ".wav"}, "report .* can't be used"),
        ({"content": "content.wav", "style": "style.flac", "alpha": "much"}, "alpha is 'much'"),
        ({"content": "content.wav", "style": "style.flac", "mask": "words.wav"}, "mask .*words.wav can't be read"),
        ({"content": "content.wav", "style": "style.flac", "mask": "gone.png"}, "mask .*gone.png does not exist"),
        ({"content": "content.wav", "style": "style.flac", "steps": "1"}, "steps is 1"),
    ],
)
def test_rows_that_cannot_be_run_are_refused_before_anything_runs_and_stop_no_other(clips, row, words):
    good = {"content": "content.wav", "style": "style.flac"}
    manifest = write_manifest(clips / "pairs.csv", [row, good])
    rows, refused = read_manifest(manifest, clips / "results", FAST_SETTINGS)
    assert [row.line for row in rows] == [3]
    assert [failure.line for failure in refused] == [2]
    assert re.search(words, refused[0].error)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"content,style,volume\ncontent.wav,style.flac,11\n", "unknown columns volume"),
        (b"content\ncontent.wav\n", "no column style"),
        ("content,style\nd\u00e9j\u00e0.wav,style.flac\n".encode("latin-1"), "save it as CSV in UTF-8"),
        (b"content,style\n" + b"x" * 200_000 + b",style.flac\n", "save it as CSV in UTF-8"),
    ],
)
def test_tables_that_are_no_manifest_are_refused_in_words(clips, content, words):
    (clips / "pairs.csv").write_bytes(content)
    with pytest.raises(ValueError, match=words):
        read_manifest(clips / "pairs.csv", clips / "results", FAST_SETTINGS)


def results_of(*names: str) -> list[str]:
    return sorted([*names, *(f"{name}.json" for name in names)])


def test_a_bad_row_is_told_and_the_others_are_done(clips, model, engine, monkeypatch, capsys):
    """Known beforehand, gone meanwhile, or failing in a way that nobody foresaw."""
    rows = [
        {"content": "missing.wav", "style": "style.flac", "out": "1.flac"},
        {"content": "content.wav", "style": "style.flac", "out": "2.flac"},
        {"content": "content.wav", "style": "other.wav", "out": "3.flac"},
        {"content": "words.wav", "style": "style.flac", "out": "4.flac"},
        {"content": "content.wav", "style": "style.flac", "out": "5.flac"},
    ]
    manifest = write_manifest(clips / "pairs.csv", rows)

    decoded = []

    def decode(latents):
        decoded.append(latents)
        if len(decoded) == 1:
            (clips / "other.wav").unlink()
            raise RuntimeError("something nobody foresaw")
        return genuine(latents)

    genuine = engine.decode
    monkeypatch.setattr(engine, "decode", decode)
    monkeypatch.setattr(Engine, "load", lambda *arguments: engine)
    command = ["batch", manifest, "--out", clips / "results", "--model", model, "--json", "--quiet", *FAST]
    assert main([*map(str, command)]) == 2
    told = capsys.readouterr()
    assert [failure["line"] for failure in json.loads(told.out)["failed"]] == [2, 3, 4, 5]
    assert names(clips / "results") == results_of("5.flac")


def test_what_no_batch_made_is_not_overwritten(clips, engine):
    """A sound that a killed process left, whose claim is still there, is."""
    rows = [
        {"content": "content.wav", "style": "style.flac", "out": name} for name in ("mine.wav", "left.wav", "done.wav")
    ]
    manifest = write_manifest(clips / "pairs.csv", rows)
    results = clips / "results"
    results.mkdir()
    for row in rows:
        (results / row["out"]).write_bytes(b"a sound")
    claim_of((results / "left.wav").resolve()).touch()
    (results / "done.wav.json").write_text("{}")
    found, refused = read_manifest(manifest, results, FAST_SETTINGS)
    assert [row.output.name for row in found] == ["left.wav", "done.wav"]
    assert [failure.line for failure in refused] == [2]
    assert "exists and no batch made it: choose another name" in refused[0].error
    run_rows(engine, found, Share(0, 1, 0), quiet=True)
    assert [(results / row["out"]).read_bytes() == b"a sound" for row in rows] == [True, False, False]
    assert all(is_finished(row, engine.name, engine.model.digest()) for row in found)


@pytest.mark.parametrize(
    "damage", [b"", b'{"request": {"content"', b"\xff\xfe\x00", b"[]", b"7", b"{}", b'{"request": 1}', b"[" * 100_000]
)
def test_a_damaged_or_foreign_report_means_not_done(clips, engine, damage):
    manifest = write_manifest(clips / "pairs.csv", [{"content": "content.wav", "style": "style.flac", "out": "a.wav"}])
    (row,), _ = read_manifest(manifest, clips / "results", FAST_SETTINGS)
    run_rows(engine, [row], Share(0, 1, 0), quiet=True)
    row.report.write_bytes(damage)
    assert not is_finished(row, engine.name, engine.model.digest())
    again = run_rows(engine, [row], Share(0, 1, 0), quiet=True)
    assert again["written"] == [str(row.output)]
    assert counts_of(again) == "1 written"
    assert counts_of(run_rows(engine, [row], Share(0, 1, 0), quiet=True)) == "1 done before"
    assert is_finished(row, engine.name, engine.model.digest())


def test_two_rows_may_not_write_one_file(clips):
    row = {"content": "content.wav", "style": "style.flac"}
    manifest = write_manifest(clips / "pairs.csv", [{**row, "alpha": "0.1"}, {**row, "alpha": "0.9"}])
    with pytest.raises(ValueError, match="lines 2 and 3 both write"):
        read_manifest(manifest, clips / "results", FAST_SETTINGS)


@pytest.mark.parametrize(
    "spelling", ["style.flac", "linked.flac", "twin.flac", "folder/../style.flac", "here/style.flac"]
)
def test_no_row_may_write_over_what_a_row_reads(clips, spelling):
    """Under its own name, another spelling of it, a symbolic or a hard link."""
    (clips / "linked.flac").symlink_to(clips / "style.flac")
    (clips / "twin.flac").hardlink_to(clips / "style.flac")
    (clips / "folder").mkdir()
    (clips / "here").symlink_to(clips)
    rows = [
        {"content": "content.wav", "style": "other.wav", "out": spelling},
        {"content": "content.wav", "style": "style.flac"},
    ]
    before = (clips / "style.flac").read_bytes()
    with pytest.raises(ValueError, match=r"line 2: out .*\.flac is a recording that line 3 reads"):
        read_manifest(write_manifest(clips / "pairs.csv", rows), clips, FAST_SETTINGS)
    assert (clips / "style.flac").read_bytes() == before


def test_no_row_may_write_over_a_mask(clips):
    Image.new("L", (7, 5)).save(clips / "a.flac.json", "PNG")
    rows = [
        {"content": "content.wav", "style": "other.wav", "out": "a.flac"},
        {"content": "content.wav", "style": "style.flac", "mask": "a.flac.json"},
    ]
    with pytest.raises(ValueError, match=r"line 2: out .*a\.flac\.json is a mask that line 3 reads: choose another"):
        read_manifest(write_manifest(clips / "pairs.csv", rows), clips, FAST_SETTINGS)
    with pytest.raises(ValueError, match="is a mask that line 2 reads"):
        read_manifest(write_manifest(clips / "pairs.csv", [{**rows[0], **rows[1]}]), clips, FAST_SETTINGS)


def test_a_mask_in_a_batch_does_what_it_does_to_a_single_transfer(clips, model, engine):
    (clips / "masks").mkdir()
    left_half = Image.new("L", (2, 1))
    left_half.putpixel((0, 0), 255)
    left_half.save(clips / "masks" / "left.png")
    pair = {"content": "content.wav", "style": "style.flac"}
    table = [{**pair, "mask": "masks/left.png", "out": "masked.wav"}, {**pair, "mask": "", "out": "plain.wav"}]
    rows, _ = read_manifest(write_manifest(clips / "pairs.csv", table), clips / "results", FAST_SETTINGS)
    run_rows(engine, rows, Share(0, 1, 0), quiet=True)
    command = ["transfer", clips / "content.wav", clips / "style.flac", "-o", clips / "single.wav", "--model", model]
    assert main([*map(str, command), "--mask", str(clips / "masks" / "left.png"), *FAST]) == 0
    masked, plain, single = (soundfile.read(path)[0] for path in (*(row.output for row in rows), clips / "single.wav"))
    assert np.abs(masked - single).max() < 1e-4
    assert np.abs(masked - plain).max() > 1e-2

    assert json.loads(rows[0].report.read_text())["mask"] == "masks/left.png"
    assert run_rows(engine, rows, Share(0, 1, 0), quiet=True)["written"] == []
    changed = [rows[0]._replace(mask=None), rows[1]]
    assert run_rows(engine, changed, Share(0, 1, 0), quiet=True)["written"] == [str(rows[0].output)]


def test_two_processes_share_the_rows(clips, model):
    """`torch.distributed.run` is what `accelerate launch` starts processes with."""
    manifest = write_manifest(
        clips / "pairs.csv",
        [{"content": "content.wav", "style": "style.flac", "out": f"{number}.flac"} for number in range(3)],
    )
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = ["-m", "stylus_ops", "batch", manifest, "--out", clips / "results", "--model", model, "--json", *FAST]
    done = subprocess.run([*launcher, *map(str, command)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (clips / "results").iterdir())
    assert names == ["0.flac", "0.flac.json", "1.flac", "1.flac.json", "2.flac", "2.flac.json"]
    summary = json.loads(done.stdout)
    assert (summary["process"], summary["processes"]) == (0, 2)
    assert [Path(path).name for path in summary["written"]] == ["0.flac", "2.flac"]


def test_two_batches_started_on_one_folder_share_its_rows(clips, model):
    """Without a launcher: neither knows of the other."""
    table = [{"content": "content.wav", "style": "style.flac", "out": f"{number}.flac"} for number in range(6)]
    manifest = write_manifest(clips / "pairs.csv", table)
    command = ["batch", manifest, "--out", clips / "results", "--model", model, "--json", "--steps", "20"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "stylus_ops", *map(str, command), "--preset", "tiny-256"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for _ in range(2)
    ]
    summaries = [json.loads(process.communicate()[0]) for process in processes]
    written = [Path(path).name for summary in summaries for path in summary["written"]]
    assert sorted(written) == [f"{number}.flac" for number in range(6)]  # each once
    assert names(clips / "results") == results_of(*written)


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no SIGKILL")
def test_a_batch_killed_amid_a_row_is_taken_over(clips, engine):
    """kill -9 loses the row in flight; its claim and its temporary files are in nobody's way, and gone after the next run."""
    table = [{"content": "content.wav", "style": "style.flac", "out": f"{number}.flac"} for number in range(2)]
    manifest = write_manifest(clips / "pairs.csv", table)
    results = clips / "results"
    process = subprocess.Popen(
        [sys.executable, "-m", "stylus_ops", "batch", str(manifest), "--out", str(results), "--steps", "999"], cwd=ROOT
    )
    while not (results.is_dir() and list(results.glob(".claim-*"))):
        assert process.poll() is None
    rows, _ = read_manifest(manifest, results, FAST_SETTINGS)
    assert run_rows(engine, rows, Share(0, 1, 0), quiet=True)["elsewhere"] == [str(rows[0].output)]
    process.kill()
    process.wait()
    (results / ".stylus-0123456789abcdef.flac").write_text("what it was writing")
    assert run_rows(engine, rows, Share(0, 1, 0), quiet=True)["written"] == [str(rows[0].output)]
    assert names(results) == results_of("0.flac", "1.flac")


def test_a_batch_that_is_done_loads_nothing_and_moves_with_its_folder(clips, model, tmp_path, monkeypatch, capsys):
    project = tmp_path / "project"
    project.mkdir()
    for name in ("content.wav", "style.flac"):
        shutil.copy(clips / name, project)
    manifest = write_manifest(project / "pairs.csv", [{"content": "content.wav", "style": "style.flac"}])
    arguments = ["--model", str(model), "--quiet", "--json", *FAST]
    assert main(["batch", str(manifest), "--out", str(project / "results"), *arguments]) == 0
    (report,) = (project / "results").glob("*.json")
    assert str(tmp_path) not in report.read_text().replace(json.dumps(str(model)), "")

    moved = tmp_path / "elsewhere" / "moved"
    moved.parent.mkdir()
    project.rename(moved)
    monkeypatch.chdir(tmp_path)

    def load(*arguments):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(Engine, "load", load)
    capsys.readouterr()
    command = ["batch", "elsewhere/moved/pairs.csv", "--out", "elsewhere/moved/results"]
    assert main([*command, *arguments]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert len(summary["skipped"]) == 1
    with pytest.raises(AssertionError, match="a model was loaded"):
        main([*command, *arguments, "--alpha", "0.1"])
    weights = next(model.glob("unet/*.safetensors"))
    os.utime(weights, (1, 1))
    with pytest.raises(AssertionError, match="a model was loaded"):
        main([*command, *arguments])


def test_a_launcher_that_starts_one_process_instead_of_several_is_told_of(clips, model, monkeypatch, capsys):
    """What `accelerate launch --num_processes 2 --cpu` puts into the environment: where to meet, but not how many."""
    manifest = write_manifest(clips / "pairs.csv", [])
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "29500")
    (clips / "pairs.csv").write_text("content,style\n")
    assert main(["batch", str(manifest), "--out", str(clips / "results"), "--model", str(model)]) == 0
    told = capsys.readouterr()
    assert "the launcher has started one process" in told.err
    assert told.out == "no rows\n"


@pytest.mark.parametrize(
    ("environment", "share"),
    [
        ({}, (0, 1, 0)),
        ({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}, (3, 4, 1)),
        ({"PMI_RANK": "1", "PMI_SIZE": "2", "MPI_LOCALRANKID": "1"}, (1, 2, 1)),
        ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "0"}, (1, 2, 0)),
    ],
)
def test_launchers_tell_the_share(monkeypatch, environment, share):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Share.of_this_process() == share


@pytest.mark.parametrize("environment", [{"RANK": "2", "WORLD_SIZE": "2"}, {"RANK": "1"}, {"RANK": "first"}])
def test_an_environment_that_contradicts_itself_is_refused(monkeypatch, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match="RANK is"):
        Share.of_this_process()
