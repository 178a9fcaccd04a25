"""The transfer of one latent onto another, as a graph that the tests then bend."""

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
    return comfy.upload(f"{name}.latent", save(latent))


def saved_latent(comfy: ComfyServer, run: Run, node: str) -> torch.Tensor:
    """What a Save Latent node wrote."""
    return load_file(comfy.files(run, node, "latents")[0])["latent_tensor"]


def png(pixels: torch.Tensor) -> bytes:
    """An 8-bit PNG of `pixels` [H, W] in 0..1, as a grey image."""
    file = io.BytesIO()
    Image.fromarray((pixels * 255).round().to(torch.uint8).numpy()).save(file, "PNG")
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
            lora = self.add("LoraLoaderModelOnly", model=self.model, lora_name="small.safetensors")
            self[lora]["inputs"]["strength_model"] = lora_strength
            self.model = [lora, 0]
        self.prompt: list[Any] = [self.add("TestRandomConditioning", width=context, seed=0), 0]
        self.content = self.add("LoadLatent", latent=content or upload_latent(comfy, "content", seed=1))
        self.style_clip = self.add("LoadLatent", latent=style or upload_latent(comfy, "style", seed=2))
        self.schedule = self.add("StylusSchedule", steps=steps)
        shared: dict[str, Any] = {"model": self.model, "conditioning": self.prompt, "schedule": [self.schedule, 0]}
        self.invert = self.add("StylusDDIMInvert", latent=[self.content, 0], **shared)
        self.capture = self.add("StylusCaptureStyle", latent=[self.style_clip, 0], **shared)
        self.sampler = self.add(
            "StylusInjectSampler",
            model=self.model,
            conditioning=self.prompt,
            inversion=[self.invert, 0],
            style=[self.capture, 0],
        )
        self.saved = self.add("SaveLatent", samples=[self.sampler, 0], filename_prefix="stylised")

    def set(self, node: str, **inputs: Any) -> None:
        """Change inputs of a node."""
        self[node]["inputs"].update(inputs)

    def add_patched_sampler(self, cfg: float = 1.0) -> str:
        """Apply Style to Model and the stock euler sampler over the inversion's sigmas; returns its Save Latent."""
        dials = {name: value for name, value in self[self.sampler]["inputs"].items() if name != "conditioning"}
        self.patch = self.add("StylusApplyStyle", **dials)
        euler = self.add("KSamplerSelect", sampler_name="euler")
        self.euler = self.add(
            "SamplerCustom",
            model=[self.patch, 0],
            add_noise=False,
            noise_seed=0,
            cfg=cfg,
            positive=self.prompt,
            negative=self.prompt,
            sampler=[euler, 0],
            sigmas=[self.invert, 2],
            latent_image=[self.patch, 1],
        )
        return self.add("SaveLatent", samples=[self.euler, 0], filename_prefix="patched")

    def add_stock_sampler(self, latent: str) -> str:
        """A plain KSampler on the MODEL, from an uploaded latent; returns its Save Latent."""
        loaded = self.add("LoadLatent", latent=latent)
        sampler = self.add(
            "KSampler",
            model=self.model,
            seed=7,
            steps=2,
            cfg=1.0,
            sampler_name="euler",
            scheduler="normal",
            positive=self.prompt,
            negative=self.prompt,
            latent_image=[loaded, 0],
            denoise=1.0,
        )
        return self.add("SaveLatent", samples=[sampler, 0], filename_prefix="stock")
