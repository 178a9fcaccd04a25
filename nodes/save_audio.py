"""Save Audio: flac, wav, mp3 or opus in ComfyUI's output folder, with the workflow in the file's tags."""

import json
import os
from contextlib import suppress
from pathlib import Path, PurePath

import folder_paths
from comfy.cli_args import args
from comfy_api.latest import io, ui

from ..stylus_ops.audio.loudness import MINUS_1_DBFS, limit_true_peak
from ..stylus_ops.audio.write import FORMATS, check_format, tags_fit, write_audio
from ..stylus_ops.disk import check_name
from .host.messages import warn
from .inputs import answer, require_audio, schema
from .queued import beside

BIT_DEPTHS = ("24", "16", "float")


class SaveAudio(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="StylusSaveAudio",
            display_name="Save Audio (Stylus)",
            essentials_category="Audio",
            description="Saves audio of any rate and channel count to ComfyUI's output folder, wav included.",
            search_aliases=["export audio", "wav", "flac", "mp3", "opus", "stylus"],
            inputs=[
                io.Audio.Input("audio", tooltip="The audio to save; every clip of a batch gets a file of its own."),
                io.String.Input(
                    "filename_prefix",
                    default="audio/stylus",
                    tooltip="Folder and name within the output folder. %date:yyyy-MM-dd% and the like are filled in.",
                ),
                io.Combo.Input(
                    "format",
                    options=list(FORMATS),
                    default="flac",
                    tooltip="flac and wav are lossless; mp3 is written at 320 kb/s, opus at 192 kb/s.",
                ),
                io.Combo.Input(
                    "bit_depth",
                    options=list(BIT_DEPTHS),
                    default="24",
                    advanced=True,
                    tooltip="For flac (24, 16) and wav (24, 16, float). Float alone keeps what is louder than full scale.",
                ),
            ],
            outputs=[io.Audio.Output("audio_out", "audio", tooltip="The same audio, to go on with.")],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, audio: dict | None, filename_prefix: str, format: str, bit_depth: str) -> io.NodeOutput:
        audio = require_audio(audio)
        check_prefix(filename_prefix)
        check_format(f"audio.{format}", audio["waveform"].shape[1], bit_depth)
        tags = workflow_tags(cls.hidden)
        if not tags_fit(format, tags):
            warn(f"the workflow is too large for the tags of a {format} and was left out: save as wav to keep it")
            tags = {}
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
            filename_prefix.rstrip("/\\"), folder_paths.get_output_directory()
        )
        saved = []
        for number, waveform in enumerate(audio["waveform"]):
            if (format, bit_depth) != ("wav", "float") and waveform.abs().max() > 1:
                waveform = limit_true_peak(waveform.cpu().float(), audio["sample_rate"], MINUS_1_DBFS)[:, :]
                warn(f"turned down to -1 dB: {format} stops at full scale. A wav of float keeps what is louder")
            stem = name.replace("%batch_num%", str(number))
            while True:
                file = f"{stem}_{counter:05}_.{format}"
                path = os.path.join(folder, file)
                counter += 1
                if os.path.lexists(path):
                    continue
                with suppress(FileExistsError):  # another server on this folder was faster
                    write_audio(path, waveform, audio["sample_rate"], bit_depth, tags, overwrite=False)
                    break
            saved.append(ui.SavedResult(file, subfolder, io.FolderType.output))
        return io.NodeOutput(audio, ui=ui.SavedAudios(saved))

    @classmethod
    def validate_inputs(cls, filename_prefix: str | None) -> bool | str:
        form, bit_depth = beside("format", ""), beside("bit_depth", "")
        if form in FORMATS and bit_depth in BIT_DEPTHS:  # ComfyUI says what is wrong with each alone
            fits = answer(check_format, f"audio.{form}", 1, bit_depth)
            if fits is not True:
                return fits
        return answer(check_prefix, "linked" if filename_prefix is None else filename_prefix)


def workflow_tags(hidden: io.HiddenHolder) -> dict[str, str]:
    """The tags from which ComfyUI restores a workflow, unless it was started with --disable-metadata."""
    if args.disable_metadata:
        return {}
    tags = dict(hidden.extra_pnginfo or {})
    if hidden.prompt is not None:
        tags["prompt"] = hidden.prompt
    return {name: json.dumps(value) for name, value in tags.items()}


def check_prefix(prefix: str) -> None:
    """Raises ValueError unless files named after `prefix` can lie in ComfyUI's output folder."""
    output = Path(os.path.realpath(folder_paths.get_output_directory()))
    relative = PurePath(prefix.replace("\\", "/") if isinstance(prefix, str) else "")
    if not relative.name:
        raise ValueError(f"filename_prefix is {prefix!r}: name the file, with a folder before it if you like")
    path = output / f"{relative}_00001_.flac"
    try:
        if ".." in relative.parts or not Path(os.path.realpath(path)).is_relative_to(output):
            raise ValueError("it leaves the output folder")
        check_name(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", error)
        raise ValueError(f"filename_prefix {prefix!r} can't be used ({reason}): choose another") from error
