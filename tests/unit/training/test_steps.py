"""Few steps beside many, on one triple with the bundled prior."""

import sys
from pathlib import Path

import pytest
import torch

from training.steps import COLUMNS, main


def test_more_steps_come_closer_to_many(triples: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    monkeypatch.setattr(sys, "argv", ["steps", "--triples", str(triples), "--steps", "2", "4", "--against", "8"])
    threads = torch.get_num_threads()
    main()
    torch.set_num_threads(threads)
    header, _, *lines = capsys.readouterr().out.splitlines()
    assert header == f"| method | {' | '.join(COLUMNS)} |"
    few, more, most = (line.strip("| ").split(" | ")[1:] for line in lines)
    assert float(more[0]) > float(few[0]) + 3  # dB of the images
    assert float(more[1]) < float(few[1])  # dB of the sound
    assert most[:3] == ["-", "0", "1"]
    assert float(most[3]) > 0.05
