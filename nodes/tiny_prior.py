"""Load Stylus Tiny: the bundled prior on the sockets of an ordinary checkpoint."""

from comfy_api.latest import io

from ..stylus_ops.tiny import load
from .host.tiny import tiny_model, tiny_vae
from .inputs import schema


class LoadTiny(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="StylusLoadTiny",
            display_name="Load Stylus Tiny",
            description="The small prior of spectrogram images that comes with Stylus: no download. Use the preset tiny-256.",
            search_aliases=[
                "stylus prior",
                "stylus checkpoint",
                "spectrogram model",
                "model as in riffusion",
                "stylus",
            ],
            inputs=[],
            outputs=[
                io.Model.Output(tooltip="Goes wherever a Stable Diffusion 1.x MODEL goes."),
                io.Conditioning.Output(tooltip="The empty prompt; the prior knows no other."),
                io.Vae.Output(display_name="VAE", tooltip="Codes 256x256 mel images; for VAE Encode and VAE Decode."),
            ],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        prior = load()
        return io.NodeOutput(tiny_model(prior), [[prior.context, {}]], tiny_vae(prior.autoencoder))
