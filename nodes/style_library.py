"""Save Style and Load Style: captured styles in the models folder `stylus_styles`."""

import os
import re
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import io

from ..stylus_ops.diffusion.features import Style
from ..stylus_ops.diffusion.style_file import SUFFIX, read_style, steps_of, write_style
from ..stylus_ops.disk import check_name
from . import sockets
from .graph import upstream
from .host.identity import Weights
from .host.messages import count_windows, tell
from .inputs import answer, require_wires, schema

FOLDER = "stylus_styles"


def register_folder() -> None:
    """Make `models/stylus_styles` known to ComfyUI, beside those of extra_model_paths.yaml."""
    folder_paths.add_model_folder_path(FOLDER, os.path.join(folder_paths.models_dir, FOLDER))
    folder_paths.folder_names_and_paths[FOLDER][1].add(SUFFIX)


class SaveStyle(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="StylusSaveStyle",
            display_name="Save Style",
            description="Keeps a captured style in a small file in models/stylus_styles, to use again and to share.",
            search_aliases=["export style", "share style", "style library", "stylus"],
            inputs=[
                sockets.Style.Input("style", tooltip="From Capture Style KV or Blend Styles."),
                io.String.Input(
                    "name",
                    default="my style",
                    tooltip="Name of the file, with folders if you like: strings/cello. A style of that name is replaced.",
                ),
            ],
            outputs=[sockets.Style.Output("style_out", "style", tooltip="The same style, to go on with.")],
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, style: Style, name: str) -> io.NodeOutput:
        require_wires(style=style)
        path = style_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        found = [node["inputs"].get("audio") for node in upstream(cls.hidden.prompt, cls.hidden.unique_id)]
        recordings = ", ".join(dict.fromkeys(name for name in found if isinstance(name, str)))
        write_style(path, style, recordings, lambda weights: weights.values)
        tell(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")
        return io.NodeOutput(style)

    @classmethod
    def validate_inputs(cls, name: str | None) -> bool | str:
        return answer(style_path, "linked" if name is None else name)


class LoadStyle(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="StylusLoadStyle",
            display_name="Load Style",
            description="Reads a style that Save Style kept. It fits the model, prompt, steps and sites it was captured with.",
            search_aliases=["import style", "style library", "style preset", "stylus"],
            inputs=[
                io.Combo.Input(
                    "name",
                    options=folder_paths.get_filename_list(FOLDER) or ["(none saved yet)"],
                    tooltip="A file in models/stylus_styles. R refreshes the list.",
                )
            ],
            outputs=[sockets.style_output()],
        )

    @classmethod
    def execute(cls, name: str) -> io.NodeOutput:
        style, recording = read_style(saved_path(name), Weights.restored)
        clip = style.captures[0]
        sites = ", ".join(map(str, dict(clip.sites)))
        windows = count_windows(sum(len(capture.noise) for capture in style.captures))
        tell(f"{recording or 'a style'}\n{len(clip.sigmas)} steps, sites {sites}, {windows}")
        return io.NodeOutput(style)

    @classmethod
    def fingerprint_inputs(cls, name: str) -> Any:
        status = saved_path(name).stat()
        return status.st_mtime_ns, status.st_size

    @classmethod
    def validate_inputs(cls, name: str) -> bool | str:
        return answer(saved_path, name)


def style_path(name: str) -> Path:
    """The file of a style to be saved; ValueError if the name is none, leaves the folder or can't be had there."""
    parts = str(name).removesuffix(SUFFIX).replace("\\", "/").split("/")
    if any(not part.strip(" .") or re.search(r'[<>:"|?*\x00-\x1f]', part) for part in parts):
        raise ValueError(f"name is {name!r}: choose letters, digits and spaces, with / between folder and name")
    folder = folder_paths.get_folder_paths(FOLDER)[0]
    path = Path(folder, *(part.strip() for part in parts[:-1]), parts[-1].strip() + SUFFIX)
    try:
        check_name(path)
    except OSError as error:
        raise ValueError(f"name {name!r} can't be used ({error.strerror}): choose another") from error
    return path


def saved_path(name: str) -> Path:
    """The file of a saved style; ValueError if there is none in ComfyUI's folders."""
    path = folder_paths.get_full_path(FOLDER, name) if name in folder_paths.get_filename_list(FOLDER) else None
    if path is None:
        raise ValueError(f"style {name!r} is not in models/{FOLDER}: refresh the list and choose another")
    return Path(path)


def kept_steps(name: str) -> int | None:
    """The steps of a saved style; None where it can't be read, which Load Style reports in its turn."""
    try:
        return steps_of(saved_path(name))
    except ValueError:
        return None
