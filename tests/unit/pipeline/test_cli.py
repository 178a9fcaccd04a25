"""The command line, end to end: recordings in, files out, and every mistake answered in a sentence."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
import soundfile
import torch
from PIL import Image

from stylus_ops.__main__ import main
from stylus_ops.audio.read import read_audio
from stylus_ops.audio.write import write_audio
from stylus_ops.engine.engine import Engine
from stylus_ops.pipeline.settings import PAPER, Settings
from stylus_ops.pipeline.transfer import Transfer
from stylus_ops.style_weights import normalised
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


def transferred(clips: Path, model: Path, name: str, *options: object) -> bytes:
    """The file of that name, made of the two clips."""
    command = ["transfer", clips / "content.wav", clips / "style.flac", "-o", clips / name, "--model", model, *options]
    assert main([*map(str, command), *FAST]) == 0
    return (clips / name).read_bytes()


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
    for name, grey in (("black", 0), ("white", 255)):
        Image.new("L", (7, 5), grey).save(clips / f"{name}.png")
    plain, content = (
        transferred(clips, model, "plain.wav"),
        transferred(clips, model, "content_alone.wav", "--alpha", 0, "--adain", 0),
    )
    assert plain != content
    masked = [
        soundfile.read(io.BytesIO(transferred(clips, model, f"{name}.wav", "--mask", clips / f"{name}.png")))[0]
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


def test_a_batch_does_what_single_transfers_do_and_reports_what_fails(clips, model, capsys):
    Image.linear_gradient("L").save(clips / "mask.png")
    (clips / "pairs.csv").write_text(
        "content,style,mask,out\nwords.wav,style.flac,,a.wav\ncontent.wav,style.flac,,b.wav\n"
        "content.wav,style.flac,mask.png,c.wav\n"
    )
    command = ["batch", clips / "pairs.csv", "--out", clips / "results", "--model", model, "--json", "--quiet", *FAST]
    assert main([*map(str, command)]) == 2
    told = capsys.readouterr()
    summary = json.loads(told.out)
    assert [failure["line"] for failure in summary["failed"]] == [2]
    assert [Path(path).name for path in summary["written"]] == ["b.wav", "c.wav"]
    assert "line 2" in told.err
    assert "words.wav" in told.err
    for name, options in (("b.wav", []), ("c.wav", ["--mask", clips / "mask.png"])):
        assert transferred(clips, model, name, *options) == (clips / "results" / name).read_bytes()
