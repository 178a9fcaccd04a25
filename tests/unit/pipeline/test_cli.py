"""The command line, end to end: recordings in, files out, and every mistake answered in a sentence."""

import io
import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import NoReturn

import pytest
import soundfile
import torch
from PIL import Image

from stylus_ops.__main__ import main
from stylus_ops.audio.read import read_audio
from stylus_ops.audio.write import write_audio
from stylus_ops.engine.engine import Engine
from stylus_ops.pipeline.settings import PAPER, Settings
from tests.small_folder import write_small_folder

from ..signals import noise, tones

ROOT = Path(__file__).parents[3]
FAST = ["--steps=2", "--grain=0", "--partials=0"]

pytestmark = pytest.mark.usefixtures("one_engine", "clips")


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: a stereo content at 48 kHz, two styles and a file without sound."""
    write_audio(tmp_path / "content.wav", tones(1.5, 48000)[0], 48000)
    write_audio(tmp_path / "style.flac", noise(1.2, 22050, 1)[0], 22050)
    write_audio(tmp_path / "other.wav", tones(6.0, 44100, 1)[0], 44100)
    (tmp_path / "words.wav").write_text("no sound at all")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(output: str, *options: object, content: str = "content.wav", styles: str = "style.flac") -> list[str]:
    """The arguments of a transfer of recordings to a name, with options."""
    return ["transfer", content, *styles.split(), "-o", output, *FAST, *map(str, options)]


def transferred(output: str, *options: object, **recordings: str) -> bytes:
    """The file that a transfer writes."""
    assert main(command(output, *options, **recordings)) == 0
    return Path(output).read_bytes()


def test_transfer_writes_sound_figure_and_one_json_object(clips, capfd):
    styles = "style.flac other.wav"
    transferred("out.flac", "--figure", "out.png", "--weights", 3, 1, "--json", styles=styles)
    out, progress = capfd.readouterr()
    assert "sampling: 100%" in progress

    report = json.loads(out)
    assert [style["weight"] for style in report["styles"]] == [0.75, 0.25]
    assert (report["settings"]["alpha"], report["settings"]["steps"]) == (0.9, 2)
    chosen = {"preset": "tiny-256", "sites": [6, 7, 8, 9, 10, 11], "dtype": "float32"}
    assert report["chosen"] == {**chosen, "features": "cache", "windows_per_pass": 4}
    assert report["evaluations"] == 2 * (1 + 1 + 2) + 2
    assert report["seconds"].keys() == {"load", "read", "encode", "inversion", "sampling", "decode", "write"}
    assert report["peak_memory_bytes"] > 2**28

    waveform, rate = read_audio(clips / "out.flac")
    assert (rate, waveform.shape) == (48000, (1, 2, 72000))
    assert waveform.isfinite().all()
    assert waveform.abs().max() > 0.01
    with Image.open(clips / "out.png") as image:
        assert len(image.getcolors(image.width * image.height) or ()) > 1000
    assert not list(clips.glob(".*"))


def test_the_paper_s_run_has_one_name_and_what_is_given_beside_it_counts(capsys):
    transferred("out.flac", "--json", "--paper", "--alpha", 0.5)
    wanted = replace(Settings(**PAPER), steps=2, alpha=0.5)
    assert json.loads(capsys.readouterr().out)["settings"] == asdict(wanted)


def test_a_black_mask_keeps_the_content_and_a_white_one_changes_nothing():
    for name, grey in (("black", 0), ("white", 255)):
        Image.new("L", (7, 5), grey).save(f"{name}.png")
    plain, content = transferred("plain.wav"), transferred("content_alone.wav", "--alpha", 0, "--adain", 0)
    assert plain != content
    for wanted, name in ((content, "black"), (plain, "white")):
        masked = transferred(f"{name}.wav", "--mask", f"{name}.png")
        assert abs(soundfile.read(io.BytesIO(wanted))[0] - soundfile.read(io.BytesIO(masked))[0]).max() < 1e-4


def test_a_part_of_each_recording_is_read():
    options = ["--content-start", "0.25", "--content-duration", "1", "--style-start", "0.5", "--style-duration", "0.5"]
    part = transferred("part.wav", *options, styles="other.wav")
    for name, start, duration in (("content.wav", 0.25, 1.0), ("other.wav", 0.5, 0.5)):
        waveform, rate = read_audio(name, start, duration)
        write_audio(Path(f"part_of_{name}"), waveform[0], rate, "float")
    cut = transferred("cut.wav", content="part_of_content.wav", styles="part_of_other.wav")
    assert soundfile.info(io.BytesIO(part)).frames == 48000
    assert abs(soundfile.read(io.BytesIO(part))[0] - soundfile.read(io.BytesIO(cut))[0]).max() < 1e-4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"--alpha": "nan"}, "alpha is nan"),
        ({"--model": "tiny", "--preset": "sd-512"}, "preset is sd-512 and the model takes tiny-256 images"),
        ({"--model": "a.safetensors", "--preset": "tiny-256"}, "preset is tiny-256 and the model takes sd-512 images"),
        ({"--mask": "words.wav"}, "words.wav can't be read as an image"),
        ({"--weights": "0"}, "weights are 0.0"),
        ({"--weights": "nan"}, "weights are nan"),
        ({"-o": "out.midi"}, "unknown ending"),
        ({"-o": "content.wav"}, "one of the recordings"),
        ({"--model": "missing.safetensors", "--preset": "auto"}, "does not exist"),
        ({"content": "words.wav"}, "words.wav"),
        ({"content": "missing.wav"}, "missing.wav does not exist"),
    ],
)
def test_mistakes_are_named_and_leave_nothing_behind(clips, capsys, change, words):
    before = sorted(clips.rglob("*"))
    content = change.pop("content", "content.wav")
    assert main(command("out.flac", *(word for option in change.items() for word in option), content=content)) == 2
    told = capsys.readouterr()
    assert told.err.splitlines()[-1].startswith("stylus: ")
    assert words in told.err
    assert told.out == ""
    assert sorted(clips.rglob("*")) == before


def test_an_earlier_file_is_overwritten_only_when_asked_to(clips, capsys):
    transfer, output = command("out.wav", "--figure", "out.png"), clips / "out.wav"
    for earlier in (output, clips / "out.png"):
        earlier.write_text("something of the user's")
        assert main(transfer) == 2
        assert f"{earlier.name} exists already" in capsys.readouterr().err
        assert earlier.read_text() == "something of the user's"
        earlier.unlink()
    output.symlink_to(clips / "gone.wav")
    assert main(transfer) == 2
    output.unlink()
    output.write_text("something of the user's")
    assert main([*transfer, "--overwrite"]) == 0
    assert soundfile.info(output).frames == 72000


def test_a_disk_that_is_full_is_blamed_and_not_the_recording(clips, capfd, full_disk):
    with full_disk(100_000):
        assert main(command(str(clips / "out.wav"), "--quiet")) == 2
    out, error = capfd.readouterr()
    assert error.startswith(f"stylus: {clips} has no room for the samples of this recording (File too large)")
    assert (out, error.count("\n")) == ("", 1)
    assert not [*clips.glob(".*"), *clips.glob("out.*")]


def test_neither_a_console_without_letters_nor_a_torchaudio_that_does_not_load_ends_a_run(clips):
    """transformers would import what is called torchaudio, here in the working folder."""
    (clips / "torchaudio.py").write_text("raise RuntimeError('built for another torch')")
    model = ["--model", write_small_folder(clips / "model"), "--preset", "tiny-256"]
    arguments = [sys.executable, "-m", "stylus_ops", *command("\u65e5\u672c.wav", *model)]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(arguments, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "wrote \\u65e5\\u672c.wav\n"
    assert (clips / "\u65e5\u672c.wav").is_file()


def test_a_host_without_memory_left_is_named_in_a_sentence(monkeypatch, capsys):
    def too_much(*arguments: object) -> NoReturn:
        torch.empty(1 << 50, dtype=torch.uint8)
        raise AssertionError("this machine has a petabyte")

    monkeypatch.setattr(Engine, "load", too_much)
    assert main(command("out.wav")) == 2
    assert capsys.readouterr().err.startswith("stylus: out of memory: try --windows-per-pass 1")


def test_a_batch_does_what_single_transfers_do_and_reports_what_fails(clips, capsys):
    Image.linear_gradient("L").save("mask.png")
    (clips / "pairs.csv").write_text(
        "content,style,mask,out\nwords.wav,style.flac,,a.wav\ncontent.wav,style.flac,,b.wav\n"
        "content.wav,style.flac,mask.png,c.wav\n"
    )
    assert main(["batch", "pairs.csv", "--out", "results", "--json", "--quiet", *FAST]) == 2
    told = capsys.readouterr()
    summary = json.loads(told.out)
    assert [failure["line"] for failure in summary["failed"]] == [2]
    assert [Path(path).name for path in summary["written"]] == ["b.wav", "c.wav"]
    assert "line 2" in told.err
    assert "words.wav" in told.err
    for name, options in (("b.wav", []), ("c.wav", ["--mask", "mask.png"])):
        assert transferred(name, *options) == (clips / "results" / name).read_bytes()


@pytest.mark.parametrize(
    ("content", "style", "words"),
    [
        ("silent.wav", "style.wav", "content silent.wav is silent: choose a recording, or a part of it, with sound"),
        ("blip.wav", "style.wav", "content blip.wav lasts 0.4 s: choose 0.5 s or more"),
        ("content.wav", "short.wav", "style short.wav lasts 1.9 s: choose 2 s or more"),
        ("content.wav", "silent.wav", "style silent.wav is silent: choose"),
        ("content.wav", "style.wav", ""),
    ],
)
def test_recordings_with_little_to_take_are_named_once_and_before_the_work(clips, capsys, content, style, words):
    for name, seconds in (("silent", 2.5), ("style", 2.0), ("short", 1.9), ("blip", 0.4)):
        write_audio(clips / f"{name}.wav", noise(seconds, 44100)[0] * (name != "silent"), 44100)
    tone = int(content == "silent.wav")
    assert main(["transfer", content, style, "-o", "out.wav", *FAST, f"--tone={tone}"]) == 0
    written = capsys.readouterr().err
    warnings = [line for line in written.splitlines() if line.startswith("stylus: ")]
    assert len(warnings) == bool(words)
    for warning in warnings:
        assert warning.startswith(f"stylus: {words}")
        assert "inversion" in written[written.index(warning) :]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_ended_while_a_library_is_imported_it_says_so() -> None:
    """Libraries run code by `exec`, and make an error of their own of what ends it."""
    script = (
        "import sys\nfrom stylus_ops import __main__ as stylus\ndef demo(args):\n try:\n  exec('import os; os.kill(os.getpid(), 15)')\n"
        " except BaseException:\n  raise ImportError('NumPy')\nstylus.demo = demo\nsys.exit(stylus.main(['demo']))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (143, "stylus: ended; nothing half-written is left behind\n")
