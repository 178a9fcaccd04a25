"""Compare: content, style and results in one figure and one player."""

import secrets
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import folder_paths
import numpy as np
import torch
from comfy_api.latest import io
from torch import Tensor

from ..stylus_ops.audio.figure import draw, recording_panel
from ..stylus_ops.audio.loudness import equal_loudness_gains
from ..stylus_ops.audio.stft import between_blocks
from ..stylus_ops.audio.windows import check_waveform
from ..stylus_ops.audio.write import tags_fit, write_audio
from ..stylus_ops.dials import DIALS
from .graph import Prompt, linked, upstream
from .host.runs import check_interrupt
from .inputs import MOST_STYLES, require_audio, require_wires, schema
from .save_audio import workflow_tags

SHOWN_DIALS = ("alpha", "gamma", "temperature", "adain", "steps", "decode")
"""Widgets above the results: in a result's title where the results differ, in the figure's title where they agree."""
TEMPORARY = {"subfolder": "", "type": "temp"}  # of a file there, as ComfyUI's app mode shows files


class Track(NamedTuple):
    name: str  # on its button
    title: str  # above its spectrogram
    waveform: Tensor  # [C, T]
    sample_rate: int


class Compare(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="StylusCompare",
            display_name="Compare",
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
                        max=12,
                    ),
                    tooltip="Transfers of that content, such as the same one at several alphas.",
                ),
                io.Autogrow.Input(
                    "further_styles",
                    optional=True,
                    template=io.Autogrow.TemplateNames(
                        io.Audio.Input("style", optional=True, tooltip="One more style of a blend."),
                        names=[f"style_{number}" for number in range(2, MOST_STYLES + 1)],
                        min=0,
                    ),
                    tooltip="The other styles of a blend.",
                ),
            ],
            outputs=[io.Image.Output("figure", tooltip="The figure as an image, for Save Image.")],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo, io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls,
        content: dict | None,
        style: dict | None,
        results: dict[str, dict | None],
        further_styles: dict[str, dict | None] | None = None,
    ) -> io.NodeOutput:
        wired = {"content": content, "style": style, **results, **(further_styles or {})}
        require_wires(wired, **wired)
        differing, shared = _dials_of_results(cls.hidden.prompt, cls.hidden.unique_id, list(results))
        tracks = [
            *_tracks("content", [content]),
            *_tracks("style", [style, *(further_styles or {}).values()]),
            *_tracks("result", list(results.values()), differing),
        ]
        with between_blocks(check_interrupt):
            panels = [recording_panel(track.title, track.waveform, track.sample_rate) for track in tracks]
        figure = draw(panels, shared)
        gains = equal_loudness_gains([(track.waveform, track.sample_rate) for track in tracks])

        folder = Path(folder_paths.get_temp_directory())
        folder.mkdir(parents=True, exist_ok=True)
        tags = workflow_tags(cls.hidden)
        stem = f"stylus_compare_{secrets.token_hex(4)}"
        figure.image.save(folder / f"{stem}.png", compress_level=1)
        shown = []
        for (name, title, waveform, rate), gain, plot in zip(tracks, gains, figure.plots, strict=True):
            suffix = "flac" if len(waveform) <= 8 else "wav"  # flac holds no more channels
            file = f"{stem}_{name.replace(' ', '_')}.{suffix}"
            write_audio(folder / file, waveform, rate, "24", tags if tags_fit(suffix, tags) else {})
            about = {"name": name, "title": title, "seconds": waveform.shape[-1] / rate, "gain": gain, "plot": plot}
            shown.append({"filename": file, **TEMPORARY, **about})
        figure_shown = {"filename": f"{stem}.png", **TEMPORARY, "size": figure.image.size}
        pixels = torch.from_numpy(np.array(figure.image)).float()[None] / 255
        return io.NodeOutput(pixels, ui={"stylus_compare": [figure_shown], "audio": shown})


def _tracks(kind: str, audios: list[dict | None], dials: Sequence[str] = ()) -> list[Track]:
    """Every clip of some AUDIOs, numbered where there are several; `dials` are what each AUDIO's titles add to its name."""
    tracks = []
    for number, (audio, words) in enumerate(zip_longest(map(require_audio, audios), dials), 1):
        rate = audio["sample_rate"]
        for place, clip in enumerate(clips := check_waveform(audio["waveform"], rate), 1):
            name = _numbered(_numbered(kind, number, len(audios)), place, len(clips))
            tracks.append(Track(name, f"{name}: {words}" if words else name, clip, rate))
    return tracks


def _numbered(name: str, number: int, count: int) -> str:
    return f"{name} {number}" if count > 1 else name


def _dials_of_results(prompt: Prompt | None, node: str, names: list[str]) -> tuple[list[str], str]:
    """The dials that all results have: for each result those that differ between them, and those that agree, in words."""
    inputs = (prompt or {}).get(node, {"inputs": {}})["inputs"]
    results = [_dials(prompt, linked(inputs.get(f"results.{name}"))) for name in names]
    common = [dial for dial in SHOWN_DIALS if all(dial in result for result in results)]
    same = [dial for dial in common if all(result[dial] == results[0][dial] for result in results)]
    differing = [_words({dial: result[dial] for dial in common if dial not in same}) for result in results]
    return differing, _words({dial: results[0][dial] for dial in same})


def _dials(prompt: Prompt | None, start: str | None) -> dict[str, Any]:
    """Values of `SHOWN_DIALS` in the nodes above a result, of several nodes that have one the nearest's."""
    found: dict[str, Any] = {}
    for node in upstream(prompt, start) if start else ():
        for dial, value in node["inputs"].items():
            if dial in SHOWN_DIALS and (isinstance(value, (int, float)) or value in DIALS["decode"].choices):
                found.setdefault(dial, value)
    return {dial: found[dial] for dial in SHOWN_DIALS if dial in found}


def _words(dials: dict[str, Any]) -> str:
    return " · ".join(f"{dial} {value if isinstance(value, str) else f'{value:g}'}" for dial, value in dials.items())
