"""The bundled prior in ComfyUI: the same numbers as on diffusers, and on stock nodes."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save

from stylus_ops.dials import Schedule
from stylus_ops.diffusion.inversion import invert
from stylus_ops.diffusion.schedule import ddim_sigmas
from stylus_ops.engine.engine import Engine

from .comfy_server import ComfyServer, Graph
from .graphs import saved_latent

STEPS = 4


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.load("tiny", "cpu", "float32")


def smooth_image(width: int) -> torch.Tensor:
    """A random grey image of 256 rows in 0..1, as 8 bits keep it."""
    coarse = torch.rand(1, 1, 32, width // 8, generator=torch.Generator().manual_seed(0))
    fine = torch.nn.functional.interpolate(coarse, (256, width), mode="bicubic").clamp(0, 1)[0, 0]
    return (255 * fine).round() / 255


def encoded(comfy: ComfyServer, width: int) -> tuple[Graph, str, str]:
    """A graph that encodes an image: itself, its loader node and its latent node."""
    graph = Graph()
    loader = graph.add("StylusLoadTiny")
    image = graph.add("LoadImage", image=comfy.upload(f"grey{width}.png", rgb_png(smooth_image(width))))
    return graph, loader, graph.add("VAEEncode", pixels=[image, 0], vae=[loader, 2])


def test_model_agrees_with_diffusers(comfy: ComfyServer, engine: Engine) -> None:
    latents = torch.randn(2, 4, 32, 32, generator=torch.Generator().manual_seed(1))
    file = comfy.upload("tiny.latent", save({"latent_tensor": latents, "latent_format_version_0": torch.tensor([])}))
    graph = Graph()
    loader = graph.add("StylusLoadTiny")
    source = graph.add("LoadLatent", latent=file)
    schedule = graph.add("StylusSchedule", steps=STEPS)
    inverted = graph.add(
        "StylusDDIMInvert",
        model=[loader, 0],
        conditioning=[loader, 1],
        latent=[source, 0],
        schedule=[schedule, 0],
    )
    saved = graph.add("SaveLatent", samples=[inverted, 1], filename_prefix="noise")
    run = comfy.finish(graph)
    expected = invert(engine.evaluate, latents, ddim_sigmas(engine.model.sigmas, STEPS), Schedule(steps=STEPS)).noise
    assert (saved_latent(comfy, run, saved) - expected).abs().max() < 1e-3 * expected.abs().max()


def test_vae_agrees_with_diffusers(comfy: ComfyServer, engine: Engine) -> None:
    graph, loader, latent = encoded(comfy, 256)
    saved = graph.add("SaveLatent", samples=[latent, 0], filename_prefix="tiny")
    decoded = graph.add("VAEDecode", samples=[latent, 0], vae=[loader, 2])
    image = graph.add("SaveImage", images=[decoded, 0], filename_prefix="tiny")
    run = comfy.finish(graph)
    expected = engine.encode(smooth_image(256)[None, :, :, None].expand(-1, -1, -1, 3))
    assert torch.allclose(saved_latent(comfy, run, saved), expected, atol=1e-3)
    assert (read_image(comfy.files(run, image, "images")[0]) - engine.decode(expected)[0]).abs().max() < 0.01


def test_tiled_vae_nodes_agree_with_the_plain_ones(comfy: ComfyServer) -> None:
    graph, loader, latent = encoded(comfy, 1024)
    image = graph[latent]["inputs"]["pixels"]
    tiling = {"vae": [loader, 2], "tile_size": 512, "overlap": 128, "temporal_size": 64, "temporal_overlap": 8}
    tiled = graph.add("VAEEncodeTiled", pixels=image, **tiling)
    plain = graph.add("VAEDecode", samples=[latent, 0], vae=[loader, 2])
    both = graph.add("VAEDecodeTiled", samples=[tiled, 0], **tiling)
    images = [graph.add("SaveImage", images=[node, 0], filename_prefix="tiled") for node in (plain, both)]
    run = comfy.finish(graph)
    first, second = (read_image(comfy.files(run, node, "images")[0]) for node in images)
    assert (first - second).abs().mean() < 0.01


def test_stock_ksampler_takes_the_prior(comfy: ComfyServer) -> None:
    graph = Graph()
    loader = graph.add("StylusLoadTiny")
    empty = graph.add("EmptyLatentImage", width=256, height=256, batch_size=2)
    sampled = graph.add(
        "KSampler",
        model=[loader, 0],
        positive=[loader, 1],
        negative=[loader, 1],
        latent_image=[empty, 0],
        steps=STEPS,
        cfg=1.0,
        sampler_name="euler",
        scheduler="normal",
    )
    saved = graph.add("SaveLatent", samples=[sampled, 0], filename_prefix="noise")
    run = comfy.finish(graph)
    latents = saved_latent(comfy, run, saved)
    assert latents.shape == (2, 4, 32, 32)
    assert 0.3 < latents.std() < 2  # the scale of spectrograms, not of noise at any level


def rgb_png(grey: torch.Tensor) -> bytes:
    """Three equal channels: ComfyUI reads those exactly, but a grey PNG through a conversion of its range."""
    file = io.BytesIO()
    Image.fromarray((grey * 255).round().byte().numpy()).convert("RGB").save(file, "PNG")
    return file.getvalue()


def read_image(path: object) -> torch.Tensor:
    """[H, W, 3] in 0..1."""
    return torch.from_numpy(np.asarray(Image.open(str(path)).convert("RGB"), dtype=np.float32) / 255)


def test_auto_is_the_geometry_of_the_wired_model(comfy: ComfyServer) -> None:
    graph = Graph()
    loader = graph.add("StylusLoadTiny")
    audio = graph.add("TestAudio", samples=44100)
    mel = graph.add("StylusAudioToMel", audio=[audio, 0], preset="auto", model=[loader, 0])
    latent = graph.add("VAEEncode", pixels=[mel, 0], vae=[loader, 2])
    saved = graph.add("SaveLatent", samples=[latent, 0], filename_prefix="auto")
    assert saved_latent(comfy, comfy.finish(graph), saved).shape == (1, 4, 32, 32)
