"""Mask from Sound: where the style goes, read off a recording instead of painted."""

from typing import Any

from comfy_api.latest import io

from ..stylus_ops.audio.mask import sound_mask
from ..stylus_ops.audio.stft import between_blocks
from ..stylus_ops.audio.windows import Spectrogram, check_waveform
from ..stylus_ops.dials import SoundMask
from . import sockets
from .host.runs import check_interrupt
from .inputs import require_wires, schema, widgets


class MaskFromSound(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="StylusMaskFromSound",
            display_name="Mask from Sound",
            description="A mask of the spectrogram's size that is white at the attacks, the drums, the tones, the loud "
            "moments or a band of a recording: for the sampler's mask, or for stock compositing.",
            search_aliases=["onset", "transient", "percussive", "harmonic", "hpss", "drums", "audio mask", "stylus"],
            inputs=[
                sockets.Spectrogram.Input(
                    "spectrogram", tooltip="Of the content: the mask has its size and its windows."
                ),
                *widgets(SoundMask),
                io.Audio.Input(
                    "audio",
                    optional=True,
                    tooltip="Another recording to listen to, such as the content's drum track. Left out: the "
                    "spectrogram's own.",
                ),
            ],
            outputs=[
                io.Mask.Output(
                    "mask", tooltip="One image a window: time to the right, low frequencies at the bottom, white is 1."
                )
            ],
        )

    @classmethod
    def execute(cls, spectrogram: Spectrogram, audio: dict | None = None, **dials: Any) -> io.NodeOutput:
        require_wires(["audio"], spectrogram=spectrogram, audio=audio)
        sound = (check_waveform(audio["waveform"], audio["sample_rate"]), audio["sample_rate"]) if audio else None
        with between_blocks(check_interrupt):
            return io.NodeOutput(sound_mask(spectrogram, SoundMask(**dials), sound))
