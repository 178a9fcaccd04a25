"""Transfers as graphs that the tests then bend: of one latent onto another, and of one recording onto another."""

import io
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load_file, save

from .comfy_server import ComfyServer, Graph, Run

STEPS = 3


def upload_latent(comfy: ComfyServer, name: str, seed: int, batch: int = 1, width: int = 16, height: int = 16) -> str:
    """A smooth random LATENT of unit variance (in the model's scale) for Load Latent."""
    noise = torch.randn(batch, 4, height // 4, width // 4, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.interpolate(noise, scale_factor=4, mode="bilinear")
    latent = {"latent_tensor": smooth / smooth.std() / 0.18215, "latent_format_version_0": torch.tensor([])}
    return comfy.put(f"{name}.latent", save(latent))


def saved_latent(comfy: ComfyServer, run: Run, node: str) -> torch.Tensor:
    """What a Save Latent node wrote."""
    return load_file(comfy.files(run, node, "latents")[0])["latent_tensor"]


def result(comfy: ComfyServer, graph: "TransferGraph") -> torch.Tensor:
    """The stylised latent."""
    return saved_latent(comfy, comfy.finish(graph), graph.saved)


def relative(actual: torch.Tensor, expected: torch.Tensor) -> float:
    """The error beside the expected values, in Euclidean norms."""
    return float((actual - expected).norm() / expected.norm())


def png(pixels: torch.Tensor) -> bytes:
    """An 8-bit PNG of `pixels` [H, W] in 0..1. In RGB, because ComfyUI converts the range of a grey one."""
    file = io.BytesIO()
    Image.fromarray((pixels * 255).round().byte().numpy()).convert("RGB").save(file, "PNG")
    return file.getvalue()


class TransferGraph(Graph):
    """Latents in, stylised latent out, with the ids of its nodes as attributes."""

    def __init__(
        self,
        comfy: ComfyServer,
        content: str | None = None,
        style: str | None = None,
        checkpoint: str = "sd15-small",
        context: int = 768,
        lora_strength: float | None = None,
        steps: int = STEPS,
    ):
        super().__init__()
        self.loader = self.add("CheckpointLoaderSimple", ckpt_name=f"{checkpoint}.safetensors")
        self.model: list[Any] = [self.loader, 0]
        if lora_strength is not None:
            lora = {"lora_name": "small.safetensors", "strength_model": lora_strength}
            self.model = [self.add("LoraLoaderModelOnly", model=self.model, **lora), 0]
        self.prompt: list[Any] = [self.add("TestRandomConditioning", width=context, seed=0), 0]
        self.content = self.add("LoadLatent", latent=content or upload_latent(comfy, "content", seed=1))
        self.style_clip = self.add("LoadLatent", latent=style or upload_latent(comfy, "style", seed=2))
        self.schedule = self.add("StylusSchedule", steps=steps)
        shared: dict[str, Any] = {"model": self.model, "conditioning": self.prompt, "schedule": [self.schedule, 0]}
        self.invert = self.add("StylusDDIMInvert", latent=[self.content, 0], **shared)
        self.capture = self.add("StylusCaptureStyle", latent=[self.style_clip, 0], **shared)
        clips = {"inversion": [self.invert, 0], "style": [self.capture, 0]}
        self.sampler = self.add("StylusInjectSampler", model=self.model, conditioning=self.prompt, **clips)
        self.saved = self.add("SaveLatent", samples=[self.sampler, 0], filename_prefix="stylised")

    def add_patched_sampler(self, cfg: float = 1.0) -> str:
        """Apply Style to Model and the stock euler sampler over the inversion's sigmas; returns its Save Latent."""
        dials = {name: value for name, value in self[self.sampler]["inputs"].items() if name != "conditioning"}
        self.patch = self.add("StylusApplyStyle", **dials)
        euler = self.add("KSamplerSelect", sampler_name="euler")
        wires = {"sampler": [euler, 0], "sigmas": [self.invert, 2], "positive": self.prompt, "negative": self.prompt}
        patched = {"model": [self.patch, 0], "latent_image": [self.patch, 1]}
        self.euler = self.add("SamplerCustom", **wires, **patched, add_noise=False, noise_seed=0, cfg=cfg)
        return self.add("SaveLatent", samples=[self.euler, 0], filename_prefix="patched")


def add_stock_sampler(graph: Graph, model: list[Any], prompt: list[Any], latent: str) -> str:
    """A plain KSampler from the latent of a node; returns its Save Latent."""
    dials = {"seed": 7, "steps": 4, "cfg": 1.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
    wires = {"model": model, "positive": prompt, "negative": prompt, "latent_image": [latent, 0]}
    return graph.add("SaveLatent", samples=[graph.add("KSampler", **dials, **wires), 0], filename_prefix="stock")


class TinyGraph(Graph):
    """Recordings in, sound out, on the bundled prior; `content` and `style` are the inputs of Load Audio to Mel."""

    def __init__(self, content: dict[str, Any], style: dict[str, Any]):
        super().__init__()
        self.prior = self.add("StylusLoadTiny")
        self.vae = [self.prior, 2]
        self.shared = {"model": [self.prior, 0], "conditioning": [self.prior, 1]}
        self.schedule = self.add("StylusSchedule", steps=2)
        self.content, self.style = (
            self.add("StylusLoadAudioMel", preset="tiny-256", **clip) for clip in (content, style)
        )
        self.invert, self.capture = (
            self.add(
                node,
                latent=[self.add("VAEEncode", pixels=[mel, 0], vae=self.vae), 0],
                schedule=[self.schedule, 0],
                spectrogram=[mel, 1],
                **self.shared,
            )
            for node, mel in (("StylusDDIMInvert", self.content), ("StylusCaptureStyle", self.style))
        )
        self.clips = {"inversion": [self.invert, 0], "style": [self.capture, 0]}
        self.sampler = self.add("StylusInjectSampler", **self.clips, **self.shared)
        self.decode = self.add_decode(self.sampler)

    def add_decode(self, sampler: str, **dials: Any) -> str:
        """The sound of a sampler's latent."""
        images = self.add("VAEDecode", samples=[sampler, 0], vae=self.vae)
        return self.add("StylusPhaseDecode", images=[images, 0], spectrogram=[self.content, 1], **dials)
