"""Compare: content, style and results in one figure and one player."""

from __future__ import annotations

import random
import string
from pathlib import Path
from typing import Any

import folder_paths
import numpy as np
import torch
from comfy_api.latest import io
from torch import Tensor

from ..stylus_ops.audio.figure import draw, recording_panel
from ..stylus_ops.audio.files import write_audio
from ..stylus_ops.audio.loudness import equal_loudness_gains
from ..stylus_ops.audio.stft import between_blocks
from ..stylus_ops.audio.windows import check_waveform
from .graph import Prompt, linked, upstream
from .host.runs import check_interrupt
from .inputs import wired

SHOWN_DIALS = ("alpha", "gamma", "temperature", "adain", "steps", "decode")
"""Widgets above a result that its title tells of; those that all results share stand in the figure's title."""
MOST_RESULTS = 12
FLAC_CHANNELS = 8


class Track:
    """One clip of the comparison."""

    def __init__(self, title: str, waveform: Tensor, sample_rate: int):
        self.title, self.sample_rate = title, sample_rate
        self.waveform = check_waveform(waveform[None], sample_rate)[0]

    def save(self, folder: Path, stem: str) -> str:
        """Write the clip for the browser; returns the file's name."""
        name = f"{stem}.{'flac' if len(self.waveform) <= FLAC_CHANNELS else 'wav'}"
        write_audio(folder / name, self.waveform, self.sample_rate, "24")
        return name


class Compare(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StylusCompare",
            display_name="Compare",
            category="audio/stylus",
            essentials_category="Audio",
            description="Draws content, style and results over seconds and hertz, and plays them in turn: at one playhead, "
            "equally loud.",
            search_aliases=["a/b", "spectrogram", "listen", "difference", "preview audio", "stylus"],
            inputs=[
                io.Audio.Input(
                    "content", tooltip="The recording that kept its melody. Its length is the time axis of all."
                ),
                io.Audio.Input("style", tooltip="The recording that gave its timbre."),
                io.Autogrow.Input(
                    "results",
                    template=io.Autogrow.TemplatePrefix(
                        io.Audio.Input("result", tooltip="A transfer; a further input appears below."),
                        prefix="result_",
                        min=1,
                        max=MOST_RESULTS,
                    ),
                    tooltip="Transfers of that content, such as the same one at several alphas.",
                ),
            ],
            outputs=[io.Image.Output("figure", tooltip="The figure as an image, for Save Image.")],
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, content: dict | None, style: dict | None, results: dict[str, dict | None]) -> io.NodeOutput:
        titles, shared = _titles(
            cls.hidden.prompt, cls.hidden.unique_id, [k for k, v in results.items() if v is not None]
        )
        sources = [("content", wired(content)), ("style", wired(style))]
        sources += [(titles[name], audio) for name, audio in results.items() if audio is not None]
        tracks = [track for title, audio in sources for track in _tracks(title, audio)]
        panels = []
        for track in tracks:
            with between_blocks(check_interrupt):
                panels.append(recording_panel(track.title, track.waveform, track.sample_rate))
        figure = draw(panels, shared)
        gains = equal_loudness_gains([(track.waveform, track.sample_rate) for track in tracks])

        folder = Path(folder_paths.get_temp_directory())
        folder.mkdir(parents=True, exist_ok=True)
        stem = "stylus_compare_" + "".join(random.choices(string.ascii_lowercase, k=8))
        figure.image.save(folder / f"{stem}.png", compress_level=1)
        shown = {
            "figure": f"{stem}.png",
            "size": figure.image.size,
            "tracks": [
                {
                    "title": track.title,
                    "file": track.save(folder, f"{stem}_{number}"),
                    "seconds": track.waveform.shape[-1] / track.sample_rate,
                    "gain": gain,
                    "plot": plot,
                }
                for number, (track, gain, plot) in enumerate(zip(tracks, gains, figure.plots, strict=True))
            ],
        }
        pixels = torch.from_numpy(np.array(figure.image)).float()[None] / 255
        return io.NodeOutput(pixels, ui={"stylus_compare": [shown]})


def _tracks(title: str, audio: dict) -> list[Track]:
    """Every clip of an AUDIO, numbered where there are several."""
    clips = audio["waveform"]
    numbers = [f" {i + 1}" for i in range(len(clips))] if len(clips) > 1 else [""]
    return [Track(title + n, clip, audio["sample_rate"]) for n, clip in zip(numbers, clips, strict=True)]


def _titles(prompt: Prompt | None, node: str, names: list[str]) -> tuple[dict[str, str], str]:
    """For each result a title of the dials in which it differs from the others, and a title of those that all share."""
    inputs = (prompt or {}).get(node, {"inputs": {}})["inputs"]
    dials = {name: _dials(prompt, linked(inputs.get(f"results.{name}"))) for name in names}
    same = {
        dial: value
        for dial, value in next(iter(dials.values()), {}).items()
        if all(other.get(dial) == value for other in dials.values())
    }
    titles = {}
    for number, (name, own) in enumerate(dials.items(), 1):
        differing = _words({dial: value for dial, value in own.items() if dial not in same})
        titles[name] = "result" if len(names) == 1 else differing or f"result {number}"
    return titles, _words(same)


def _dials(prompt: Prompt | None, start: str | None) -> dict[str, Any]:
    """Values of `SHOWN_DIALS` in the nodes above a result, of several nodes that have one the nearest's."""
    found: dict[str, Any] = {}
    for node in upstream(prompt, start) if start else ():
        for dial, value in node["inputs"].items():
            if dial in SHOWN_DIALS and isinstance(value, (int, float, str)):
                found.setdefault(dial, value)
    return {dial: found[dial] for dial in SHOWN_DIALS if dial in found}


def _words(dials: dict[str, Any]) -> str:
    return " · ".join(
        f"{dial} {value:g}" if isinstance(value, float) else f"{dial} {value}" for dial, value in dials.items()
    )
