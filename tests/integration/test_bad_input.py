"""What can't work is refused in words that name the input, and writes nothing."""

import io
import json
from collections.abc import Callable
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from .comfy_server import PACK, ComfyServer, Graph, words
from .graphs import TransferGraph, upload_latent

Spoil = Callable[[ComfyServer, TransferGraph], None]
SIBLING = {"unet_name": "sd15-sibling.safetensors", "weight_dtype": "default"}
LORA = {"lora_name": "small.safetensors", "strength_model": 0.5}


def wired(target: str, name: str, node: str, **inputs: Any) -> Spoil:
    """Wire another node to an input of one of the graph's nodes."""
    return lambda comfy, graph: graph.set(getattr(graph, target), **{name: [graph.add(node, **inputs), 0]})


def through(target: str, name: str, node: str, given: str, **inputs: Any) -> Spoil:
    """Wire an input of one of the graph's nodes through a core node, on whose input `given` it arrives."""
    return lambda comfy, graph: wired(
        target, name, node, **{given: graph[getattr(graph, target)]["inputs"][name]}, **inputs
    )(comfy, graph)


def another_family(wide: bool) -> Spoil:
    """SDXL under the prompt of SD 1.x, or under a prompt as wide as its own but without all that it reads."""

    def spoil(comfy: ComfyServer, graph: TransferGraph) -> None:
        wired("invert", "model", "CheckpointLoaderSimple", ckpt_name="sdxl-small.safetensors")(comfy, graph)
        if wide:
            wired("invert", "conditioning", "TestRandomConditioning", width=2048, seed=0)(comfy, graph)

    return spoil


def another_latent(target: str, **size: int) -> Spoil:
    return lambda comfy, graph: wired(target, "latent", "LoadLatent", latent=upload_latent(comfy, "odd", 9, **size))(
        comfy, graph
    )


def masked(comfy: ComfyServer, graph: TransferGraph) -> None:
    mask = graph.add("SolidMask", value=1.0, width=128, height=128)
    through("invert", "latent", "SetLatentNoiseMask", "samples", mask=[mask, 0])(comfy, graph)


def steps_of_another_node(comfy: ComfyServer, graph: TransferGraph) -> None:
    number = graph.add("PrimitiveInt", value=4)
    wired("capture", "schedule", "StylusSchedule", steps=[number, 0])(comfy, graph)


def lora_after_the_patch(comfy: ComfyServer, graph: TransferGraph) -> None:
    graph.add_patched_sampler()
    through("euler", "model", "LoraLoaderModelOnly", "model", **LORA)(comfy, graph)
    del graph[graph.saved]


TRANSFERS: list[tuple[str, Spoil]] = [
    ("768 wide and the model reads 2048", another_family(False)),
    ("no pooled output, which SDXL needs", another_family(True)),
    ("model is Flux", wired("invert", "model", "UNETLoader", **SIBLING | {"unet_name": "flux-small.safetensors"})),
    ("model is SD3", wired("invert", "model", "UNETLoader", **SIBLING | {"unet_name": "sd3-small.safetensors"})),
    (
        "latent has 16 channels and the model works on 4",
        wired("invert", "latent", "EmptySD3LatentImage", width=128, height=128, batch_size=1),
    ),
    ("latent is of tiny-256 images and the model takes sd-512", another_latent("invert", width=32, height=32)),
    ("height", another_latent("capture", height=24)),
    ("noise mask", masked),
    ("weights", wired("sampler", "model", "UNETLoader", **SIBLING)),
    ("weights", through("sampler", "model", "LoraLoaderModelOnly", "model", **LORA)),
    ("weights", lora_after_the_patch),
    ("conditioning", wired("sampler", "conditioning", "TestRandomConditioning", width=768, seed=1)),
    (
        "remove Conditioning Set Timestep Range",
        through("invert", "conditioning", "ConditioningSetTimestepRange", "conditioning", start=0, end=0.3),
    ),
    ("steps is 2 for DDIM Invert and 4 for Capture", wired("capture", "schedule", "StylusSchedule", steps=4)),
    ("captured with 4 steps", steps_of_another_node),
    *(
        (f"model carries {node}", through(target, "model", node, "model", **inputs))
        for node, target, inputs in (
            ("EasyCache", "invert", {}),
            ("EasyCache", "sampler", {}),
            ("LazyCache", "invert", {}),
            ("SelfAttentionGuidance", "invert", {"scale": 0.5, "blur_sigma": 2.0}),
            ("SelfAttentionGuidance", "sampler", {"scale": 0.5, "blur_sigma": 2.0}),
            ("PerturbedAttentionGuidance", "invert", {"scale": 3.0}),
            ("RescaleCFG", "invert", {"multiplier": 0.7}),
            ("SkipLayerGuidanceDiTSimple", "invert", {}),
        )
    ),
]


@pytest.mark.parametrize(("expected", "spoil"), TRANSFERS)
def test_transfer(comfy: ComfyServer, expected: str, spoil: Spoil) -> None:
    graph = TransferGraph(comfy, steps=2)
    spoil(comfy, graph)
    before = sorted(comfy.output.rglob("*"))
    assert expected in words(comfy, graph)
    assert sorted(comfy.output.rglob("*")) == before


def audio_graph(**inputs: Any) -> tuple[Graph, str]:
    """Audio from a test node through Audio to Mel, back without a model, into a wav of floats; and the last node."""
    graph = Graph()
    audio = graph.add("TestAudio", **{"samples": 4410} | inputs)
    mel = graph.add("StylusAudioToMel", audio=[audio, 0], preset="tiny-256")
    decoded = graph.add("StylusPhaseDecode", images=[mel, 0], spectrogram=[mel, 1])
    saved = graph.add("StylusSaveAudio", audio=[decoded, 0], filename_prefix="edge", format="wav", bit_depth="float")
    return graph, saved


@pytest.mark.parametrize(
    ("content", "samples", "channels", "sample_rate"),
    [
        ("silence", 44100, 2, 44100),
        ("noise", 1, 1, 44100),
        ("noise", 8000, 1, 8000),
        ("noise", 44101, 8, 44100),
        ("noise", 192001, 2, 192000),
    ],
)
def test_unusual_audio_keeps_its_shape(
    comfy: ComfyServer, content: str, samples: int, channels: int, sample_rate: int
) -> None:
    graph, saved = audio_graph(content=content, samples=samples, channels=channels, sample_rate=sample_rate)
    waveform, rate = soundfile.read(comfy.files(comfy.finish(graph), saved, "audio")[0], always_2d=True)
    assert (*waveform.shape, rate) == (samples, channels, sample_rate)
    assert np.isfinite(waveform).all()
    assert bool(waveform.any()) == (content != "silence")


@pytest.mark.parametrize("value", [5, {"a": 1}, ["a"], None])
def test_what_no_widget_gives_is_refused_in_words(comfy: ComfyServer, value: Any) -> None:
    graph, saved = audio_graph()
    graph[saved]["inputs"]["filename_prefix"] = [graph.add("TestValue", json=json.dumps(value)), 0]
    assert f"filename_prefix is {value!r}: name the file" in words(comfy, graph)
    assert f"audio is {value!r}: choose a recording" in comfy.refusal(loaded(value)[0])


def silent_video() -> bytes:
    """One black frame and no audio stream."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("mpeg4", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))))
        container.mux(stream.encode(None))
    return file.getvalue()


def loaded(audio: Any, **inputs: Any) -> tuple[Graph, str]:
    graph = Graph()
    mel = graph.add("StylusLoadAudioMel", audio=audio, **{"preset": "tiny-256"} | inputs)
    graph.add("PreviewImage", images=[mel, 0])
    return graph, mel


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [("mute.mkv", silent_video(), "no audio stream"), ("text.wav", b"this is no recording", "text.wav")],
)
def test_file_without_sound(comfy: ComfyServer, name: str, content: bytes, expected: str) -> None:
    assert expected in words(comfy, loaded(comfy.upload(name, content))[0])


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "stylus/../../../pyproject.toml", "gone.wav", "link.flac", "folder/melody.flac"]
)
def test_file_outside_the_input_folder(comfy: ComfyServer, name: str) -> None:
    """By its path, or over a link to where anything of the machine might lie."""
    recordings = PACK / "stylus_ops" / "tiny" / "recordings"
    for link, target in (("link.flac", recordings / "melody.flac"), ("folder", recordings)):
        (comfy.input / link).unlink(missing_ok=True)
        (comfy.input / link).symlink_to(target)
    assert f"audio {name!r}" in words(comfy, loaded(name)[0])


def test_a_preset_of_another_model_is_refused_where_it_is_chosen(comfy: ComfyServer) -> None:
    graph, mel = loaded("stylus/melody.flac", preset="sd-512")
    graph[mel]["inputs"]["model"] = [graph.add("StylusLoadTiny"), 0]
    run = comfy.run(graph)
    assert run.failed_node == mel
    assert "preset is sd-512 and the model takes tiny-256" in (run.error or "")


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        *(
            ({"filename_prefix": prefix}, "filename_prefix - filename_prefix")
            for prefix in ("x" * 300, "a new folder/" + "x" * 300, "", "a/../../b", "/tmp/c", "blocked/song")
        ),
        ({"format": "flac", "bit_depth": "float"}, "flac has"),
        ({"format": "flac", "bit_depth": "32"}, "bit_depth"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused(comfy: ComfyServer, inputs: dict[str, str], expected: str) -> None:
    (comfy.output / "blocked").touch()
    graph, saved = audio_graph()
    graph[saved]["inputs"] |= inputs
    before = sorted(comfy.base.glob("*")) + sorted(comfy.output.rglob("*"))
    said = words(comfy, graph)
    assert expected in said
    assert "; " not in said.removeprefix("Prompt outputs failed validation; ")  # once, on its own input
    assert sorted(comfy.base.glob("*")) + sorted(comfy.output.rglob("*")) == before


def test_a_bit_depth_that_the_format_has_not_is_refused_before_the_inversion(comfy: ComfyServer) -> None:
    graph, saved = audio_graph(samples=44100)
    graph[saved]["inputs"]["format"] = "flac"
    decode = next(node["inputs"] for node in graph.values() if node["class_type"] == "StylusPhaseDecode")
    prior = graph.add("StylusLoadTiny")
    latent = graph.add("VAEEncode", pixels=decode["images"], vae=[prior, 2])
    schedule = [graph.add("StylusSchedule", steps=2), 0]
    shared = {"model": [prior, 0], "conditioning": [prior, 1], "schedule": schedule}
    inverted = graph.add("StylusDDIMInvert", latent=[latent, 0], **shared)
    decode["images"] = [graph.add("VAEDecode", samples=[inverted, 1], vae=[prior, 2]), 0]
    run = comfy.run(graph)
    assert run.failed_node == inverted
    assert "Save Audio's bit_depth is 'float' and flac has" in (run.error or "")


@pytest.mark.parametrize("prefix", ["over/", "over%batch_num%", "with:colon", "over/./"])
def test_nothing_is_overwritten(comfy: ComfyServer, prefix: str) -> None:
    files = []
    for samples in (4410, 4411):
        graph, saved = audio_graph(samples=samples)
        graph[saved]["inputs"]["filename_prefix"] = prefix
        files += comfy.files(comfy.finish(graph), saved, "audio")
    assert [soundfile.info(file).frames for file in files] == [4410, 4411]


def test_more_channels_than_the_format_holds(comfy: ComfyServer) -> None:
    graph, saved = audio_graph(channels=3)
    graph[saved]["inputs"]["format"] = "mp3"
    assert "mp3 holds at most 2 channels and the audio has 3" in words(comfy, graph)


def test_a_workflow_too_large_for_a_flac_is_left_out_and_warned_about(comfy: ComfyServer) -> None:
    graph, saved = audio_graph()
    graph[saved]["inputs"] |= {"filename_prefix": "large", "format": "flac", "bit_depth": "24"}
    graph.add("StylusSchedule", steps=2, note="x" * (1 << 24))
    assert any("too large for the tags of a flac" in text for text in comfy.finish(graph).words(saved))
    with av.open(str(comfy.output / "large_00001_.flac")) as container:
        assert "prompt" not in container.metadata


@pytest.mark.parametrize(
    ("target", "inputs", "expected"),
    [
        ("sampler", {"start_percent": 0.6, "end_percent": 0.4}, "start_percent"),
        ("patch", {"start_percent": 0.6, "end_percent": 0.4}, "start_percent"),
        ("schedule", {"sites": "all"}, "sites"),
        ("blend", {"weights": "1, 1, 1"}, "weights"),
    ],
)
def test_dials_that_do_not_fit_are_refused_before_the_run(
    comfy: ComfyServer, target: str, inputs: dict[str, Any], expected: str
) -> None:
    graph = TransferGraph(comfy)
    styles = {"styles.style_0": [graph.capture, 0], "styles.style_1": [graph.capture, 0]}
    blend = graph.add("StylusBlendStyles", **styles, weights="1, 1")
    graph.set(graph.sampler, style=[blend, 0])
    if target == "patch":
        graph.add_patched_sampler()
        del graph[graph.saved]  # ComfyUI runs what is sound and leaves out the rest
    graph.set(blend if target == "blend" else getattr(graph, target), **inputs)
    assert f"{expected} " in comfy.refusal(graph)


def test_images_of_another_recording(comfy: ComfyServer) -> None:
    graph, _ = audio_graph(samples=44100)
    decode = next(node for node in graph.values() if node["class_type"] == "StylusPhaseDecode")
    decode["inputs"]["images"] = [graph.add("EmptyImage", width=256, height=256, batch_size=2, color=0), 0]
    assert "do not belong to this spectrogram" in words(comfy, graph)


def test_spectrogram_of_another_clip_than_the_latent(comfy: ComfyServer) -> None:
    graph = TransferGraph(comfy, content=upload_latent(comfy, "two", seed=8, batch=2))
    audio = graph.add("TestAudio", samples=44100)
    mel = graph.add("StylusAudioToMel", audio=[audio, 0], preset="tiny-256")
    graph.set(graph.invert, spectrogram=[mel, 1])
    assert "spectrogram has 1 windows and latent 2" in words(comfy, graph)


def test_more_windows_of_two_clips_than_a_style_takes(comfy: ComfyServer) -> None:
    graph = TransferGraph(comfy, style=upload_latent(comfy, "two_clips", seed=8, batch=4))
    audio = graph.add("TestAudio", samples=8 * 44100, batch=2)
    mel = graph.add("StylusAudioToMel", audio=[audio, 0], preset="tiny-256", overlap=0)
    graph.set(graph.capture, spectrogram=[mel, 1], style_windows=3)
    assert "style_windows is 3" in words(comfy, graph)
    graph.set(graph.capture, style_windows=4)
    comfy.finish(graph)
