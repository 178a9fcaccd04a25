"""ComfyUI and the command line give the same latents for the same checkpoint, in float32."""

import io
from pathlib import Path

import pytest
import soundfile
import torch
from safetensors.torch import load_file
from torch import Tensor

from stylus_ops.dials import Schedule, Steering
from stylus_ops.diffusion.features import Style
from stylus_ops.diffusion.stylizer import Stylizer
from stylus_ops.engine.engine import Engine
from stylus_ops.engine.model import LoadedModel, sd_sigmas
from stylus_ops.engine.stable_diffusion import predicts_velocity, unet_from_checkpoint
from stylus_ops.pipeline.settings import Settings
from stylus_ops.pipeline.transfer import Transfer
from tests.small_unet import record, restyle, single

from .comfy_server import ComfyServer, Graph
from .graphs import STEPS, TransferGraph, saved_latent

SCALE = 0.18215
"""Of Stable Diffusion's latents: ComfyUI divides by it on its sockets."""


def recording(seed: int, frequency: float) -> bytes:
    """A stereo wav of 3 s at 44.1 kHz: plucked notes and a little noise."""
    time = torch.arange(3 * 44100) / 44100
    beat = time % 0.5
    notes = sum(torch.sin(2 * torch.pi * frequency * n * (1 + (time // 0.5)) * time) / n for n in (1, 2, 3))
    hiss = 0.01 * torch.randn(2, len(time), generator=torch.Generator().manual_seed(seed))
    file = io.BytesIO()
    soundfile.write(file, (0.2 * notes * torch.exp(-4 * beat) + hiss).T.numpy(), 44100, "FLOAT", format="WAV")
    return file.getvalue()


def relative(actual: Tensor, expected: Tensor) -> float:
    return float((actual - expected).norm() / expected.norm())


def test_from_recordings_to_the_stylised_latent(comfy: ComfyServer, models: dict[str, Path], tmp_path: Path) -> None:
    """Audio to Mel, VAE, text encoder, inversion, capture and injection of one graph, with the defaults of both hosts."""
    clips = {"content": recording(1, 220), "style": recording(2, 97)}
    paths = []
    for name, file in clips.items():
        comfy.upload(f"{name}_agree.wav", file)
        paths.append(tmp_path / f"{name}.wav")
        paths[-1].write_bytes(file)

    graph = Graph()
    loader = graph.add("CheckpointLoaderSimple", ckpt_name="sd15-small.safetensors")
    prompt = [graph.add("CLIPTextEncode", clip=[loader, 1], text=""), 0]
    schedule = [graph.add("StylusSchedule", steps=STEPS), 0]
    inverted = {}
    for name, node, short in (("content", "StylusDDIMInvert", "pad"), ("style", "StylusCaptureStyle", "loop")):
        mel = graph.add("StylusLoadAudioMel", audio=f"{name}_agree.wav", short_clip=short)
        latent = graph.add("VAEEncode", pixels=[mel, 0], vae=[loader, 2])
        graph.add("SaveLatent", samples=[latent, 0], filename_prefix=name)
        inverted[name] = graph.add(
            node, model=[loader, 0], conditioning=prompt, latent=[latent, 0], spectrogram=[mel, 1], schedule=schedule
        )
    sampler = graph.add(
        "StylusInjectSampler",
        model=[loader, 0],
        conditioning=prompt,
        inversion=[inverted["content"], 0],
        style=[inverted["style"], 0],
    )
    saved = graph.add("SaveLatent", samples=[sampler, 0], filename_prefix="agree")
    run = comfy.finish(graph)
    encoded = [node for node in graph if graph[node]["class_type"] == "SaveLatent" and node != saved]

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
    sources = [
        graph.add("SaveLatent", samples=[node, 0], filename_prefix="source")
        for node in (graph.content, graph.style_clip)
    ]
    noise = graph.add("SaveLatent", samples=[graph.invert, 1], filename_prefix="noise")
    run = comfy.finish(graph)

    schedule = Schedule(steps=STEPS)
    content, style = (record(engine, SCALE * saved_latent(comfy, run, node), "cache", schedule) for node in sources)
    assert relative(content.noise, SCALE * saved_latent(comfy, run, noise)) < 1e-3
    latents = restyle(engine, Stylizer(content, single(style), Steering()))
    assert relative(latents, SCALE * saved_latent(comfy, run, graph.saved)) < 1e-3
