"""The quick judge of priors: one triple, few steps, the bundled prior."""

import sys
from pathlib import Path

import pytest
import torch

from stylus_ops.audio.files import write_audio
from training.truth import COLUMNS, main

RATE = 22050


@pytest.fixture
def triples(tmp_path: Path) -> Path:
    time = torch.arange(2 * RATE) / RATE
    bright, dark = (
        0.05 * torch.stack([torch.sin(2 * torch.pi * 330 * n * time) * n**-slope for n in range(1, 9)]).sum(0)[None]
        for slope in (0.3, 2.0)
    )
    for name, sound in {"content": dark, "style": bright.flip(1), "truth": bright}.items():
        write_audio(tmp_path / f"{name}.wav", sound, RATE)
    for table, style in {"triples": "style", "truth_as_style": "truth"}.items():
        (tmp_path / f"{table}.csv").write_text(f"content,style,truth\ncontent.wav,{style}.wav,truth.wav\n")
    return tmp_path


@pytest.mark.parametrize("truth_as_style", [False, True])
def test_medians_of_the_content_and_of_each_alpha_are_printed(
    triples: Path, truth_as_style: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    arguments = ["truth", "--triples", str(triples), "--steps", "4", "--alpha", "0", "1.2"]
    monkeypatch.setattr(sys, "argv", arguments + ["--truth-as-style"] * truth_as_style)
    threads = torch.get_num_threads()
    main()
    torch.set_num_threads(threads)
    header, _, *lines = capsys.readouterr().out.splitlines()
    assert header == f"| method | {' | '.join(COLUMNS)} |"
    closed = {line.strip("| ").split(" | ")[0]: float(line.strip("| ").split(" | ")[1]) for line in lines}
    assert closed["content"] == 0
    assert closed["alpha 1.2, gamma 0.75"] > max(0.05, closed["alpha 0, gamma 0.75"])
