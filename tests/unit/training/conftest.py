"""One triple whose truth is known: a dark tone, a bright tone that is turned round, and the bright tone itself."""

from pathlib import Path

import pytest
import torch

from stylus_ops.audio.files import write_audio

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
