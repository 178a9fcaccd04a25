"""Phase-Preserving Decode: mel-spectrogram images back to sound."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..stylus_ops.audio.decode import LOUDNESS, METHODS, decode
from ..stylus_ops.audio.stft import between_blocks
from ..stylus_ops.audio.windows import Spectrogram
from . import sockets
from .host.runs import check_interrupt


class PhaseDecode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StylusPhaseDecode",
            display_name="Phase-Preserving Decode",
            category="audio/stylus",
            description="Turns images back into sound with the content's phase, length, sample rate and channels.",
            search_aliases=["image to audio", "vocoder", "griffin lim", "inverse mel", "stylus"],
            inputs=[
                io.Image.Input("images", tooltip="VAE Decode of the stylised latent."),
                sockets.Spectrogram.Input("spectrogram", tooltip="Of the content, from its Audio → Mel."),
                io.Combo.Input(
                    "method",
                    options=list(METHODS),
                    default="phase",
                    tooltip="phase: the images' magnitudes with the content's phase, and its detail where the images have none. "
                    "gain: filters the content by what changed; cleanest, but cannot add sound where the content is silent. "
                    "griffin_lim: guesses the phase; a baseline to compare with. phase_pinv: phase as in the paper.",
                ),
                io.Combo.Input(
                    "loudness",
                    options=list(LOUDNESS),
                    default="match content",
                    tooltip="match content: as loud as the content (ITU-R BS.1770). none: as loud as it comes out.",
                ),
                io.Int.Input(
                    "phase_iters",
                    default=0,
                    min=0,
                    max=256,
                    advanced=True,
                    tooltip="Griffin-Lim iterations, for all but gain. More bring the sound closer to the images "
                    "and further from the content's phase. 0 means 32 for griffin_lim and none for the others.",
                ),
                io.Float.Input(
                    "gain_db",
                    default=24.0,
                    min=0.0,
                    max=120.0,
                    step=1.0,
                    advanced=True,
                    tooltip="For gain: the most that a frequency is amplified or attenuated, in dB.",
                ),
                io.Float.Input(
                    "above_band_db",
                    default=0.0,
                    min=-120.0,
                    max=0.0,
                    step=1.0,
                    advanced=True,
                    tooltip="Level of what the content has above 10 kHz, which the images do not show. "
                    "0 keeps it, -120 removes it.",
                ),
                io.Image.Input(
                    "reference",
                    optional=True,
                    tooltip="For gain: the content's own images after VAE Encode and VAE Decode, so that what the VAE "
                    "loses cancels out.",
                ),
            ],
            outputs=[
                io.Audio.Output("audio", tooltip="As long as the content to the sample, at its rate and channels.")
            ],
        )

    @classmethod
    def execute(
        cls,
        images: Tensor,
        spectrogram: Spectrogram,
        method: str,
        loudness: str,
        phase_iters: int,
        gain_db: float,
        above_band_db: float,
        reference: Tensor | None = None,
    ) -> io.NodeOutput:
        with between_blocks(check_interrupt):
            waveform = decode(
                images,
                spectrogram,
                method,
                reference,
                phase_iters=phase_iters,
                gain_db=gain_db,
                above_band_db=above_band_db,
                loudness=loudness,
            )
        return io.NodeOutput({"waveform": waveform, "sample_rate": spectrogram.sample_rate})
