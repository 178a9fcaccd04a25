"""The bundled prior in ComfyUI: the same numbers as on diffusers, and on stock nodes."""

import numpy as np
import pytest
import torch
from PIL import Image

from stylus_ops.dials import Schedule
from stylus_ops.diffusion.ddim import invert
from stylus_ops.diffusion.schedule import ddim_sigmas
from stylus_ops.engine.engine import Engine

from .comfy_server import ComfyServer, Graph, Run
from .graphs import add_stock_sampler, png, saved_latent

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
    image = graph.add("LoadImage", image=comfy.put(f"grey{width}.png", png(smooth_image(width))))
    return graph, loader, graph.add("VAEEncode", pixels=[image, 0], vae=[loader, 2])


def test_model_and_vae_agree_with_diffusers(comfy: ComfyServer, engine: Engine) -> None:
    graph, loader, latent = encoded(comfy, 256)
    source = graph.add("SaveLatent", samples=[latent, 0], filename_prefix="tiny")
    schedule = [graph.add("StylusSchedule", steps=STEPS), 0]
    prior = {"model": [loader, 0], "conditioning": [loader, 1]}
    inverted = graph.add("StylusDDIMInvert", latent=[latent, 0], schedule=schedule, **prior)
    saved = graph.add("SaveLatent", samples=[inverted, 1], filename_prefix="noise")
    decoded = graph.add("VAEDecode", samples=[latent, 0], vae=[loader, 2])
    image = graph.add("SaveImage", images=[decoded, 0], filename_prefix="tiny")
    run = comfy.finish(graph)
    latents, sigmas = saved_latent(comfy, run, source), ddim_sigmas(engine.model.sigmas, STEPS)
    expected = invert(engine.evaluate, latents, sigmas, Schedule(steps=STEPS)).noise
    assert (saved_latent(comfy, run, saved) - expected).abs().max() < 1e-3 * expected.abs().max()
    expected = engine.encode(smooth_image(256)[None, :, :, None].expand(-1, -1, -1, 3))
    assert torch.allclose(latents, expected, atol=1e-3)
    assert (saved_image(comfy, run, image) - engine.decode(expected)[0]).abs().max() < 0.01


def test_tiled_vae_nodes_agree_with_the_plain_ones(comfy: ComfyServer) -> None:
    graph, loader, latent = encoded(comfy, 1024)
    tiling = {"vae": [loader, 2], "tile_size": 512, "overlap": 128, "temporal_size": 64, "temporal_overlap": 8}
    tiled = graph.add("VAEEncodeTiled", pixels=graph[latent]["inputs"]["pixels"], **tiling)
    plain = graph.add("VAEDecode", samples=[latent, 0], vae=[loader, 2])
    both = graph.add("VAEDecodeTiled", samples=[tiled, 0], **tiling)
    images = [graph.add("SaveImage", images=[node, 0], filename_prefix="tiled") for node in (plain, both)]
    run = comfy.finish(graph)
    first, second = (saved_image(comfy, run, node) for node in images)
    assert (first - second).abs().mean() < 0.01


def test_stock_ksampler_takes_the_prior(comfy: ComfyServer) -> None:
    graph = Graph()
    loader = graph.add("StylusLoadTiny")
    empty = graph.add("EmptyLatentImage", width=256, height=256, batch_size=2)
    saved = add_stock_sampler(graph, [loader, 0], [loader, 1], empty)
    latents = saved_latent(comfy, comfy.finish(graph), saved)
    assert latents.shape == (2, 4, 32, 32)
    assert 0.3 < latents.std() < 2  # the scale of spectrograms, not of noise at any level


def saved_image(comfy: ComfyServer, run: Run, node: str) -> torch.Tensor:
    """[H, W, 3] in 0..1."""
    image = Image.open(comfy.files(run, node, "images")[0]).convert("RGB")
    return torch.from_numpy(np.asarray(image, dtype=np.float32) / 255)
