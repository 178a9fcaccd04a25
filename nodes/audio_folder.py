"""Load Audio Folder: every recording of a folder, one after the other through the rest of the graph."""

import hashlib
import os
from pathlib import Path

import folder_paths
from comfy_api.latest import io

from ..stylus_ops.dials import Album
from .audio_mel import read_recording, recording_path
from .host.messages import tell, warn
from .host.runs import check_interrupt
from .inputs import answer, schema, widgets
from .queued import beside


class LoadAudioFolder(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="StylusLoadAudioFolder",
            display_name="Load Audio Folder",
            description="Reads every recording of a folder in ComfyUI's input folder. What follows runs once for each: wire "
            "one style beside it and every recording takes it on.",
            search_aliases=["batch", "load folder", "directory", "many files", "album", "stylus"],
            inputs=[
                io.Combo.Input(
                    "folder",
                    options=subfolders(),
                    tooltip="A folder in ComfyUI's input folder; . is the input folder itself. R refreshes the list.",
                ),
                *widgets(Album),
            ],
            outputs=[
                io.Audio.Output("audio", tooltip="The recordings in the order of their names.", is_output_list=True),
                io.String.Output(
                    "name", tooltip="Their names without ending, for Save Audio's filename_prefix.", is_output_list=True
                ),
            ],
        )

    @classmethod
    def execute(cls, folder: str, first: int, most: int) -> io.NodeOutput:
        Album(first, most)
        paths = chosen(folder, first, most)
        clips: list[dict] = []
        names: list[str] = []
        for number, path in enumerate(paths, 1):
            check_interrupt()
            tell(f"{number} of {len(paths)}: {path.name}")
            try:
                clips.append(read_recording(path))
                names.append(path.stem)
            except ValueError as error:
                warn(f"skipped: {error}")
        if not clips:
            raise ValueError(f"no recording of folder {folder!r} can be read: choose another folder")
        return io.NodeOutput(clips, names)

    @classmethod
    def fingerprint_inputs(cls, folder: str, first: int | None, most: int | None) -> str:
        state = [
            (path.name, path.stat().st_mtime_ns, path.stat().st_size)
            for path in chosen(folder, first or Album.first, most or Album.most)
        ]
        return hashlib.sha256(repr(state).encode()).hexdigest()

    @classmethod
    def validate_inputs(cls, folder: str) -> bool | str:
        return answer(chosen, folder, beside("first", Album.first), beside("most", Album.most))


def subfolders() -> list[str]:
    """Folders in ComfyUI's input folder, by their path in it; hidden ones are left out."""
    root = folder_paths.get_input_directory()
    found = ["."]
    for folder, inner, _ in os.walk(root):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        found += [os.path.relpath(os.path.join(folder, name), root).replace(os.sep, "/") for name in inner]
    return found


def chosen(folder: str, first: int, most: int) -> list[Path]:
    """The recordings of a folder from the `first` on, at most `most` of them (0: all).

    Raises ValueError for no folder of ComfyUI's input folder, no recording left, or one that is a link out of that folder.
    """
    if folder not in subfolders():
        raise ValueError(f"folder {folder!r} is not in ComfyUI's input folder: make it there, or choose another")
    root = Path(folder_paths.get_input_directory(), folder)
    names = [path.name for path in root.iterdir() if path.is_file()]
    found = sorted(folder_paths.filter_files_content_types(names, ["audio", "video"]))
    if not found:
        raise ValueError(f"folder {folder!r} holds no recording: put some there, or choose another")
    if first > len(found):
        raise ValueError(f"first is {first} and folder {folder!r} holds {len(found)} recordings: choose a lower number")
    names = found[first - 1 :][: most or None]
    for name in names:
        recording_path(f"./{folder}/{name}")
    return [root / name for name in names]
