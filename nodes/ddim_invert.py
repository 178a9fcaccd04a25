"""DDIM Invert: a content latent to the noise that samples back to it, and the features recorded meanwhile."""

from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from ..stylus_ops.audio.windows import Spectrogram
from ..stylus_ops.dials import Memory, Schedule
from ..stylus_ops.diffusion.features import Inversion
from ..stylus_ops.diffusion.schedule import sampling_sigmas
from . import sockets
from .host import runs
from .inputs import require_wires, schema, widgets
from .style_library import kept_steps
from .wiring import check_wiring


def inversion_inputs() -> list[io.Input]:
    """The inputs that DDIM Invert and Capture Style KV share."""
    return [
        io.Model.Input(
            "model", tooltip="Stable Diffusion 1.x, 2.x or XL, or Stylus Tiny. The same one everywhere in the graph."
        ),
        io.Conditioning.Input("conditioning", tooltip="An empty prompt, the same one everywhere in the graph."),
        io.Latent.Input(
            "latent", tooltip="VAE Encode of the mel images. Every image of the batch is one window of the clip."
        ),
        sockets.Schedule.Input(
            "schedule", tooltip="From Stylus Schedule, the same one for DDIM Invert and every Capture Style KV."
        ),
        *widgets(Memory),
        sockets.Spectrogram.Input(
            "spectrogram",
            optional=True,
            advanced=True,
            tooltip="Of the same clip. Keeps the padding of a clip shorter than one window out of the statistics.",
        ),
    ]


def invert(
    model: ModelPatcher,
    conditioning: list,
    latent: dict,
    schedule: Schedule,
    spectrogram: Spectrogram | None = None,
    windows: int | None = None,
    **dials: Any,
) -> Inversion:
    """As `runs.invert_latent`, with the inputs of `inversion_inputs` and of at most so many `windows`; None for all.
    Raises ValueError, too, if the spectrogram is another clip's than the latent."""
    wires = {"model": model, "conditioning": conditioning, "latent": latent, "schedule": schedule}
    require_wires(["spectrogram"], **wires, spectrogram=spectrogram)
    samples, valid_width = latent["samples"], None
    if spectrogram is not None:
        if spectrogram.windows != len(samples):
            raise ValueError(
                f"spectrogram has {spectrogram.windows} windows and latent {len(samples)}: wire both from the same Audio to Mel"
            )
        valid_width = spectrogram.valid_columns(samples.shape[-1])
    first = {**latent, "samples": samples[:windows]}
    return runs.invert_latent(model, conditioning, first, schedule, Memory(**dials), valid_width)


class DDIMInvert(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="StylusDDIMInvert",
            display_name="DDIM Invert",
            description="Finds the noise that samples back to the content, and records its self-attention features.",
            search_aliases=["unsample", "inversion", "noise from image", "stylus"],
            inputs=inversion_inputs(),
            outputs=[
                sockets.Inversion.Output("inversion", tooltip="For Inject Attention Sampler or Apply Style to Model."),
                io.Latent.Output("noise", tooltip="The inverted noise, for a stock sampler without added noise."),
                io.Sigmas.Output("sigmas", tooltip="The noise levels of the inversion, for SamplerCustom with euler."),
            ],
            hidden=[io.Hidden.prompt],
        )

    @classmethod
    def execute(cls, model: ModelPatcher, **shared: Any) -> io.NodeOutput:
        check_wiring(cls.hidden.prompt, kept_steps)
        result = invert(model, **shared)
        return io.NodeOutput(result, runs.as_latent(model, result.noise), sampling_sigmas(result.sigmas))
