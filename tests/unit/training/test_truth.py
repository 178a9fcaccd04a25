"""The quick judge of priors: one triple, few steps, the bundled prior."""

import sys
from pathlib import Path

import pytest
import torch

from training.truth import COLUMNS, main


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
