"""Phase-Preserving Decode: mel-spectrogram images back to sound."""

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..stylus_ops.audio.decode import NO_SOURCES, Sources, decode
from ..stylus_ops.audio.stft import between_blocks
from ..stylus_ops.audio.tone import Reference
from ..stylus_ops.audio.windows import Spectrogram
from ..stylus_ops.dials import Decoding
from . import sockets
from .host.messages import warn
from .host.runs import check_interrupt
from .inputs import require_wires, schema, widgets
from .wiring import other_recording


class PhaseDecode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="StylusPhaseDecode",
            display_name="Phase-Preserving Decode",
            description="Turns images back into sound with the content's phase, length, sample rate and channels.",
            search_aliases=["image to audio", "vocoder", "griffin lim", "inverse mel", "stylus"],
            inputs=[
                io.Image.Input("images", tooltip="VAE Decode of the stylised latent."),
                sockets.Spectrogram.Input("spectrogram", tooltip="Of the content, from its Audio to Mel."),
                *widgets(Decoding),
                io.Image.Input(
                    "reference",
                    optional=True,
                    tooltip="For gain: the content's own images after VAE Encode and VAE Decode, so that what the VAE "
                    "loses cancels out.",
                ),
                sockets.Spectrogram.Input(
                    "style",
                    optional=True,
                    tooltip="For grain and partials: of the style, from its Audio to Mel. Its first 20 seconds are used.",
                ),
            ],
            outputs=[
                io.Audio.Output("audio", tooltip="As long as the content to the sample, at its rate and channels.")
            ],
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        images: Tensor,
        spectrogram: Spectrogram,
        reference: Tensor | None = None,
        style: Spectrogram | None = None,
        **dials: Any,
    ) -> io.NodeOutput:
        require_wires(["reference", "style"], images=images, spectrogram=spectrogram, reference=reference, style=style)
        if other_recording(cls.hidden.prompt, cls.hidden.unique_id):
            warn("spectrogram is of another recording than the images: wire that of the content's Audio to Mel")
        decoding, sources = Decoding(**dials), NO_SOURCES
        if style is not None:
            styles, contents = (
                [Reference(clip, sound.sample_rate) for clip in sound.waveform] for sound in (style, spectrogram)
            )
            sources = Sources.of(styles, contents, spectrogram.params, decoding)
        with between_blocks(check_interrupt):
            waveform = decode(images, spectrogram, decoding, reference, sources)
        return io.NodeOutput({"waveform": waveform, "sample_rate": spectrogram.sample_rate})
