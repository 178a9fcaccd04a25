"""The bundled melody in the timbre of two bundled styles, with the bundled prior: sound, a figure and numbers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..audio.figure import write_figure
from ..audio.metrics import chroma_cosine, closed_shares, timbre
from ..audio.write import write_audio
from ..diffusion.features import Style
from ..disk import make_folder
from ..engine.engine import Engine
from ..tiny import RECORDINGS
from .settings import Settings
from .transfer import Transfer

CONTENT = "melody"
STYLES = ("style_a", "style_b")
RESULTS = tuple(f"{CONTENT}--{style}" for style in STYLES)
FIGURE = "spectrograms.png"
SETTINGS = Settings(steps=25)

LEGEND = (
    "chroma cosine: 1 keeps the melody's harmony in every frame, unrelated music reaches about 0.6.",
    "All others: share of the distance from the melody to the style that is closed; 1 is the style's own sound.",
)

Numbers = dict[str, float]


def run_demo(folder: Path, quiet: bool = False) -> dict[str, Numbers]:
    """Write the recordings, the results and `spectrograms.png` to `folder`, made if need be.

    All three inversions run as one batch. Returns of each result, by file name, its `chroma_cosine` to the melody and its
    `closed_shares` of the distance to the style. Raises ValueError if one of these files is there already.
    """
    for name in (FIGURE, *(f"{stem}.flac" for stem in (CONTENT, *STYLES, *RESULTS))):
        if os.path.lexists(folder / name):
            raise ValueError(f"{folder / name} exists already: choose another folder with --out, or move it away")
    make_folder(folder)
    run = Transfer(Engine.load("tiny"), SETTINGS, folder, quiet)
    content, *styles = run.read(RECORDINGS / f"{CONTENT}.flac", [RECORDINGS / f"{name}.flac" for name in STYLES])
    inversion, *captures = run.invert([content, *styles])

    rate = content.recording.sample_rate
    melody = content.recording.waveform[:, :]
    panels = [run.panel(content)]
    table: dict[str, Numbers] = {}
    for clip, capture, result in zip(styles, captures, RESULTS, strict=True):
        latents = run.restyle(inversion, Style((capture,), (1.0,)))
        waveform = run.decode(latents, content, [clip])[:, :]
        path = folder / f"{result}.flac"
        write_audio(path, waveform, rate, overwrite=False)
        panels += [run.panel(clip), run.panel(content, waveform, path.name)]
        closed = closed_shares(*(timbre(sound, rate) for sound in (melody, clip.recording.waveform[:, :], waveform)))
        table[path.name] = {"chroma cosine": chroma_cosine(melody, waveform, rate), **closed}
    for clip in (content, *styles):
        write_audio(folder / clip.name, clip.recording.waveform, clip.recording.sample_rate, overwrite=False)
    write_figure(folder / FIGURE, panels, overwrite=False)
    return table


def describe(table: Mapping[str, Numbers]) -> str:
    """A line for each number, a column for each result."""
    lines = [" " * 18 + "".join(f"{name:>24}" for name in table)]
    for number in next(iter(table.values())):
        lines.append(f"{number:18}" + "".join(f"{column[number]:24.2f}" for column in table.values()))
    return "\n".join([*lines, "", *LEGEND])
