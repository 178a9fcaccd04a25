"""ComfyUI and the command line give the same latents for the same checkpoint, in float32."""

from pathlib import Path

import pytest
import soundfile
import torch
from safetensors.torch import load_file

from stylus_ops.dials import Schedule, Steering
from stylus_ops.diffusion.features import Style
from stylus_ops.diffusion.stylizer import Stylizer
from stylus_ops.engine.engine import Engine
from stylus_ops.engine.model import LoadedModel, sd_sigmas
from stylus_ops.engine.stable_diffusion import predicts_velocity, unet_from_checkpoint
from stylus_ops.pipeline.settings import Settings
from stylus_ops.pipeline.transfer import Transfer
from tests.small_unet import record, restyle, single
from tests.unit.signals import melody, mix

from .comfy_server import ComfyServer, Graph
from .graphs import STEPS, TransferGraph, relative, saved_latent

SCALE = 0.18215
"""Of Stable Diffusion's latents: ComfyUI divides by it on its sockets."""


def test_from_recordings_to_the_stylised_latent(comfy: ComfyServer, models: dict[str, Path], tmp_path: Path) -> None:
    """Audio to Mel, VAE, text encoder, inversion, capture and injection of one graph, with the defaults of both hosts."""
    paths = []
    for name, sound in (("content", melody(3.0, 44100)), ("style", mix(3.0, 44100))):
        paths.append(tmp_path / f"{name}_agree.wav")
        soundfile.write(paths[-1], sound[0].T.numpy(), 44100, "FLOAT")
        comfy.put(paths[-1].name, paths[-1].read_bytes())

    graph = Graph()
    loader = graph.add("CheckpointLoaderSimple", ckpt_name="sd15-small.safetensors")
    model = {"model": [loader, 0], "conditioning": [graph.add("CLIPTextEncode", clip=[loader, 1], text=""), 0]}
    schedule = [graph.add("StylusSchedule", steps=STEPS), 0]
    encoded, inverted = [], {}
    for name, end, node, short in (
        ("content", "inversion", "StylusDDIMInvert", "pad"),
        ("style", "style", "StylusCaptureStyle", "loop"),
    ):
        mel = graph.add("StylusLoadAudioMel", audio=f"{name}_agree.wav", short_clip=short)
        latent = [graph.add("VAEEncode", pixels=[mel, 0], vae=[loader, 2]), 0]
        encoded.append(graph.add("SaveLatent", samples=latent, filename_prefix=name))
        inverted[end] = [graph.add(node, latent=latent, spectrogram=[mel, 1], schedule=schedule, **model), 0]
    sampler = graph.add("StylusInjectSampler", **model, **inverted)
    saved = graph.add("SaveLatent", samples=[sampler, 0], filename_prefix="agree")
    run = comfy.finish(graph)

    transfer = Transfer(Engine.load(str(models["sd15-small"]), "cpu"), Settings(steps=STEPS), quiet=True)
    read = transfer.read(paths[0], paths[1:])
    for clip, node in zip(read, encoded, strict=True):
        latents = transfer.engine.encode(clip.recording.images(slice(None)))
        assert relative(latents, SCALE * saved_latent(comfy, run, node)) < 1e-3
    content, style = transfer.invert(read)
    latents = transfer.restyle(content, Style((style,), (1.0,)))
    assert relative(latents, SCALE * saved_latent(comfy, run, saved)) < 1e-3


@pytest.mark.parametrize("checkpoint", ["sd15-small", "sd21-small"])
def test_inversion_and_injection(comfy: ComfyServer, models: dict[str, Path], checkpoint: str) -> None:
    """SD 1.x predicts noise, this SD 2.x velocity; the same random conditioning stands for the prompt."""
    weights = load_file(models[checkpoint])
    width = 768 if checkpoint == "sd15-small" else 1024
    context = torch.randn(1, 77, width, generator=torch.Generator().manual_seed(0))
    prediction = "v_prediction" if predicts_velocity(weights) else "epsilon"
    no_autoencoder: object = None
    unet = unet_from_checkpoint(weights, torch.float32)
    model = LoadedModel(unet, no_autoencoder, context, sd_sigmas(), prediction, "sd-512")  # type: ignore[arg-type]
    engine = Engine(checkpoint, model, torch.device("cpu"), torch.float32)

    graph = TransferGraph(comfy, checkpoint=checkpoint, context=width)
    clips = graph.content, graph.style_clip
    sources = [graph.add("SaveLatent", samples=[node, 0], filename_prefix="source") for node in clips]
    noise = graph.add("SaveLatent", samples=[graph.invert, 1], filename_prefix="noise")
    run = comfy.finish(graph)

    schedule = Schedule(steps=STEPS)
    content, style = (record(engine, SCALE * saved_latent(comfy, run, node), "cache", schedule) for node in sources)
    assert relative(content.noise, SCALE * saved_latent(comfy, run, noise)) < 1e-3
    latents = restyle(engine, Stylizer(content, single(style), Steering()))
    assert relative(latents, SCALE * saved_latent(comfy, run, graph.saved)) < 1e-3
