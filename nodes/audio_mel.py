"""Load Audio to Mel and Audio to Mel: a recording as a batch of mel-spectrogram images."""

import os
from pathlib import Path
from typing import Any

import folder_paths
from aiohttp import web
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ..stylus_ops.audio.geometry import PRESETS, SpectrogramParams, check_overlap
from ..stylus_ops.audio.input_warnings import warn_if_short, warn_of_silence
from ..stylus_ops.audio.read import read_audio
from ..stylus_ops.audio.stft import between_blocks
from ..stylus_ops.audio.windows import Spectrogram, audio_to_windows
from ..stylus_ops.dials import Excerpt, Images
from ..stylus_ops.tiny import RECORDINGS, sha256
from . import sockets
from .host.model import preset_of
from .host.runs import check_interrupt
from .inputs import answer, require_audio, require_wires, schema, widgets

BUNDLED_PREFIX = "stylus/"


def window_inputs() -> list[io.Input]:
    """How both nodes turn sound into images."""
    return [
        *widgets(Images),
        io.Model.Input("model", optional=True, tooltip="For the preset auto: the MODEL whose images are wanted."),
    ]


def window_outputs() -> list[io.Output]:
    return [
        io.Image.Output(
            "images", tooltip="One image per window, for VAE Encode. Bright is quiet, low notes are below."
        ),
        sockets.Spectrogram.Output(
            "spectrogram", tooltip="The recording itself and how it was cut, for Phase-Preserving Decode."
        ),
    ]


class AudioToMel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="StylusAudioToMel",
            display_name="Audio to Mel",
            description="Cuts audio of any length, rate and channel count into windows and draws their mel spectrograms.",
            search_aliases=["spectrogram", "mel", "audio to image", "images as in riffusion", "stylus"],
            inputs=[
                io.Audio.Input("audio", tooltip="The recording. Stereo and its sample rate are kept."),
                *window_inputs(),
            ],
            outputs=window_outputs(),
        )

    @classmethod
    def execute(cls, audio: dict | None, model: ModelPatcher | None = None, **dials: Any) -> io.NodeOutput:
        audio, images = require_audio(audio), Images(**dials)
        return io.NodeOutput(*draw(audio, images, geometry_of(images, model)))


class LoadAudioMel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="StylusLoadAudioMel",
            display_name="Load Audio to Mel",
            essentials_category="Audio",
            description="Reads a recording, or the sound of a video, and draws its mel spectrogram.",
            search_aliases=["load audio", "open audio", "spectrogram", "mel", "images as in riffusion", "stylus"],
            inputs=[
                io.Combo.Input(
                    "audio",
                    options=recordings(),
                    upload=io.UploadType.audio,
                    tooltip="A recording or video in ComfyUI's input folder; those under stylus/ come with this pack.",
                ),
                *widgets(Excerpt),
                *window_inputs(),
            ],
            outputs=[
                *window_outputs(),
                io.Audio.Output("audio_out", "audio", tooltip="The part of the recording that was read."),
            ],
        )

    @classmethod
    def execute(
        cls, audio: str, start: float, duration: float, model: ModelPatcher | None = None, **dials: Any
    ) -> io.NodeOutput:
        images = Images(**dials)
        params = geometry_of(images, model)
        recording = read_recording(recording_path(audio), start, duration)
        return io.NodeOutput(*draw(recording, images, params), recording)

    @classmethod
    def fingerprint_inputs(cls, audio: str, **kwargs: object) -> str:
        return sha256(recording_path(audio))

    @classmethod
    def validate_inputs(cls, audio: str) -> bool | str:
        return answer(recording_path, audio)


def geometry_of(dials: Images, model: ModelPatcher | None) -> SpectrogramParams:
    """That of the preset, before a recording is read; `auto` is the MODEL's, or Stable Diffusion's without one.
    Raises ValueError if the MODEL takes another preset, or the overlap is more than half of a window."""
    require_wires(["model"], model=model)
    fitting = preset_of(model) if model else "sd-512" if dials.preset == "auto" else dials.preset
    if dials.preset not in ("auto", fitting):
        raise ValueError(f"preset is {dials.preset} and the model takes {fitting}: choose auto or {fitting}")
    check_overlap(dials.overlap, PRESETS[fitting])
    return PRESETS[fitting]


def draw(audio: dict, dials: Images, params: SpectrogramParams) -> tuple[Tensor, Spectrogram]:
    """A recording in windows; silence, and a clip too short to hold a melody, are warned about on the node."""
    waveform, rate = audio["waveform"], audio["sample_rate"]
    with between_blocks(check_interrupt):
        images, spectrogram = audio_to_windows(waveform, rate, params, dials.overlap, dials.short_clip)
    if not spectrogram.peak.any():
        warn_of_silence("the recording")
    warn_if_short("the recording", waveform.shape[-1] / rate)
    return images, spectrogram


def read_recording(path: Path, start: float = 0.0, duration: float = 0.0) -> dict:
    waveform, sample_rate = read_audio(path, start, duration)
    return {"waveform": waveform, "sample_rate": sample_rate}


def recordings() -> list[str]:
    """Names of ComfyUI's input recordings and videos, then of the bundled recordings."""
    folder = folder_paths.get_input_directory()
    files = [name for name in os.listdir(folder) if os.path.isfile(os.path.join(folder, name))]
    found = folder_paths.filter_files_content_types(files, ["audio", "video"])
    return sorted(found) + sorted(BUNDLED_PREFIX + path.name for path in RECORDINGS.iterdir())


def recording_path(name: str) -> Path:
    """The file that `name` stands for, links followed; ValueError if it isn't there or lies outside ComfyUI's folders."""
    if not isinstance(name, str):
        raise ValueError(f"audio is {name!r}: choose a recording in the node itself")
    if name.startswith(BUNDLED_PREFIX):
        folder, relative = str(RECORDINGS), name.removeprefix(BUNDLED_PREFIX)
    else:
        relative, annotated = folder_paths.annotated_filepath(name)
        folder = annotated or folder_paths.get_input_directory()
    path = Path(os.path.realpath(os.path.join(folder, relative)))
    if not path.is_relative_to(os.path.realpath(folder)):
        raise ValueError(f"audio {name!r} lies outside ComfyUI's folders: upload the recording instead")
    if not path.is_file():
        raise ValueError(f"audio {name!r} is not in ComfyUI's input folder: upload the recording again")
    return path


async def send_bundled(request: web.Request) -> web.StreamResponse:
    """A bundled recording for the browser, which ComfyUI gives nothing but files of its own folders."""
    files = {path.name: path for path in RECORDINGS.iterdir()}
    if (path := files.get(request.match_info["name"])) is None:
        raise web.HTTPNotFound
    return web.FileResponse(path, headers={"Content-Type": f"audio/{path.suffix[1:]}"})
