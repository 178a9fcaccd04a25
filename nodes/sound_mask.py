"""Mask from Sound: where the style goes, read off a recording instead of painted."""

from __future__ import annotations

from comfy_api.latest import io

from ..stylus_ops.audio.mask import KINDS, sound_mask
from ..stylus_ops.audio.stft import between_blocks
from ..stylus_ops.audio.windows import Spectrogram, check_waveform
from . import sockets
from .host.runs import check_interrupt


class MaskFromSound(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StylusMaskFromSound",
            display_name="Mask from Sound",
            category="audio/stylus",
            description="A mask of the spectrogram's size that is white at the attacks, the drums, the tones, the loud "
            "moments or a band of a recording: for the sampler's mask, or for stock compositing.",
            search_aliases=["onset", "transient", "percussive", "harmonic", "hpss", "drums", "audio mask", "stylus"],
            inputs=[
                sockets.Spectrogram.Input(
                    "spectrogram", tooltip="Of the content: the mask has its size and its windows."
                ),
                io.Combo.Input(
                    "what",
                    options=list(KINDS),
                    default="percussive",
                    tooltip="White where: onsets, attacks over all frequencies. percussive, clicks and drums. harmonic, "
                    "tones. loud, moments close to the loudest. band, everywhere between low_hz and high_hz.",
                ),
                io.Float.Input(
                    "low_hz",
                    default=0.0,
                    min=0.0,
                    max=20000.0,
                    step=10.0,
                    tooltip="Black below this frequency, in Hz, whatever is chosen above.",
                ),
                io.Float.Input(
                    "high_hz",
                    default=20000.0,
                    min=0.0,
                    max=20000.0,
                    step=10.0,
                    tooltip="Black above this frequency, in Hz. The spectrogram ends at 10000.",
                ),
                io.Float.Input(
                    "smooth",
                    default=0.05,
                    min=0.0,
                    max=10.0,
                    step=0.01,
                    advanced=True,
                    tooltip="Seconds over which the mask is averaged in time.",
                ),
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
    def execute(
        cls,
        spectrogram: Spectrogram,
        what: str,
        low_hz: float,
        high_hz: float,
        smooth: float,
        audio: dict | None = None,
    ) -> io.NodeOutput:
        sound = None
        if audio is not None:
            sound = check_waveform(audio["waveform"], audio["sample_rate"]), audio["sample_rate"]
        with between_blocks(check_interrupt):
            return io.NodeOutput(sound_mask(spectrogram, what, low_hz, high_hz, smooth, sound))
