"""What can't work is refused in words that name the input, and writes nothing."""

import io
import math
from collections.abc import Callable
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from .comfy_server import PACK, ComfyServer, Graph, PromptRefused
from .graphs import TransferGraph, upload_latent


def words(comfy: ComfyServer, graph: Graph) -> str:
    """The sentence that ended the run."""
    try:
        run = comfy.run(graph)
    except PromptRefused as refusal:
        return str(refusal)
    assert run.error is not None
    return run.error


def another_capture(comfy: ComfyServer, graph: TransferGraph, **changes: Any) -> None:
    """Sample with a style that was captured with other settings."""
    captured = graph.add("StylusCaptureStyle", **graph[graph.capture]["inputs"] | changes)
    graph.set(graph.sampler, style=[captured, 0])


def another_family(comfy: ComfyServer, graph: TransferGraph, wide: bool) -> None:
    """SDXL under the prompt of SD 1.x, or under a prompt as wide as its own but without all that it reads."""
    model = graph.add("CheckpointLoaderSimple", ckpt_name="sdxl-small.safetensors")
    graph.set(graph.invert, model=[model, 0])
    if wide:
        graph.set(graph.invert, conditioning=[graph.add("TestRandomConditioning", width=2048, seed=0), 0])


def another_schedule(comfy: ComfyServer, graph: TransferGraph, **changes: Any) -> None:
    """Capture the style at another schedule than the content's."""
    other = graph.add("StylusSchedule", **graph[graph.schedule]["inputs"] | changes)
    graph.set(graph.capture, schedule=[other, 0])


CACHE = {"reuse_threshold": 0.2, "start_percent": 0.15, "end_percent": 0.95, "verbose": False}


def patched(node: str, target: str, **inputs: Any) -> Callable[[ComfyServer, TransferGraph], None]:
    """Wire the MODEL through a core node on its way to one of the graph's nodes."""
    return lambda comfy, graph: graph.set(
        getattr(graph, target), model=[graph.add(node, model=graph.model, **inputs), 0]
    )


TRANSFERS = {
    "prompt_of_another_family": (
        "768 wide and the model reads 2048",
        lambda comfy, graph: another_family(comfy, graph, False),
    ),
    "no_pooled_output": ("no pooled output, which SDXL needs", lambda comfy, graph: another_family(comfy, graph, True)),
    "latent_of_another_family": (
        "latent has 16 channels and the model works on 4",
        lambda comfy, graph: graph.set(
            graph.invert, latent=[graph.add("EmptySD3LatentImage", width=128, height=128, batch_size=1), 0]
        ),
    ),
    "a_model_that_shares_its_first_layers": (
        "weights",
        lambda comfy, graph: graph.set(
            graph.sampler,
            model=[graph.add("UNETLoader", unet_name="sd15-sibling.safetensors", weight_dtype="default"), 0],
        ),
    ),
    "steps_0": ("steps", lambda comfy, graph: graph.set(graph.schedule, steps=0)),
    "steps_1": ("steps", lambda comfy, graph: graph.set(graph.schedule, steps=1)),
    "steps_1001": ("steps", lambda comfy, graph: graph.set(graph.schedule, steps=1001)),
    "alpha_nan": ("alpha is nan", lambda comfy, graph: graph.set(graph.sampler, alpha=math.nan)),
    "unknown_sites": (
        "no self-attention in decoder block",
        lambda comfy, graph: graph.set(graph.schedule, sites="1-2"),
    ),
    "missing_checkpoint": ("ckpt_name", lambda comfy, graph: graph.set(graph.loader, ckpt_name="gone.safetensors")),
    "other_steps": (
        "steps is 2 for DDIM Invert and 4 for Capture Style KV: wire one Stylus Schedule to both",
        lambda comfy, graph: another_schedule(comfy, graph, steps=4),
    ),
    "other_sites": (
        "sites is auto for DDIM Invert and 9-11 for Capture Style KV: wire one Stylus Schedule to both",
        lambda comfy, graph: another_schedule(comfy, graph, sites="9-11"),
    ),
    "steps_of_another_node": (
        "captured with 4 steps",
        lambda comfy, graph: another_schedule(comfy, graph, steps=[graph.add("PrimitiveInt", value=4), 0]),
    ),
    "geometry_of_another_model": (
        "latent is of tiny-256 images and the model takes sd-512: choose sd-512 as preset",
        lambda comfy, graph: graph.set(
            graph.invert,
            latent=[
                graph.add("LoadLatent", latent=upload_latent(comfy, "tiny_high", seed=9, width=32, height=32)),
                0,
            ],
        ),
    ),
    "other_conditioning": (
        "CONDITIONING",
        lambda comfy, graph: another_capture(
            comfy, graph, conditioning=[graph.add("TestRandomConditioning", width=768, seed=1), 0]
        ),
    ),
    "other_conditioning_in_the_sampler": (
        "conditioning",
        lambda comfy, graph: graph.set(
            graph.sampler, conditioning=[graph.add("TestRandomConditioning", width=768, seed=1), 0]
        ),
    ),
    "other_height": (
        "height",
        lambda comfy, graph: another_capture(
            comfy,
            graph,
            latent=[graph.add("LoadLatent", latent=upload_latent(comfy, "high", seed=6, height=24)), 0],
        ),
    ),
    "a_lora_since_the_capture": (
        "weights",
        lambda comfy, graph: graph.set(
            graph.sampler,
            model=[
                graph.add("LoraLoaderModelOnly", model=graph.model, lora_name="small.safetensors", strength_model=0.5),
                0,
            ],
        ),
    ),
    **{
        f"{node} under {target}": (f"model carries {node}", patched(node, target, **inputs))
        for node, target, inputs in (
            ("EasyCache", "invert", CACHE),
            ("EasyCache", "sampler", CACHE),
            ("LazyCache", "invert", CACHE),
            ("SelfAttentionGuidance", "invert", {"scale": 0.5, "blur_sigma": 2.0}),
            ("SelfAttentionGuidance", "sampler", {"scale": 0.5, "blur_sigma": 2.0}),
            ("PerturbedAttentionGuidance", "invert", {"scale": 3.0}),
            ("RescaleCFG", "invert", {"multiplier": 0.7}),
        )
    },
    "timestep range": (
        "remove Conditioning Set Timestep Range",
        lambda comfy, graph: graph.set(
            graph.invert,
            conditioning=[
                graph.add(
                    "ConditioningSetTimestepRange",
                    conditioning=graph[graph.invert]["inputs"]["conditioning"],
                    start=0,
                    end=0.3,
                ),
                0,
            ],
        ),
    ),
    "noise_mask": (
        "noise mask",
        lambda comfy, graph: graph.set(
            graph.invert,
            latent=[
                graph.add(
                    "SetLatentNoiseMask",
                    samples=[graph.content, 0],
                    mask=[graph.add("SolidMask", value=1.0, width=128, height=128), 0],
                ),
                0,
            ],
        ),
    ),
}


@pytest.mark.parametrize("case", TRANSFERS)
def test_transfer(comfy: ComfyServer, case: str) -> None:
    expected, spoil = TRANSFERS[case]
    graph = TransferGraph(comfy, steps=2)
    spoil(comfy, graph)
    before = sorted(comfy.output.rglob("*"))
    assert expected in words(comfy, graph)
    assert sorted(comfy.output.rglob("*")) == before


def test_a_preset_of_another_model_is_refused_before_an_inversion(comfy: ComfyServer) -> None:
    graph = Graph()
    prior = graph.add("StylusLoadTiny")
    shared = {"model": [prior, 0], "conditioning": [prior, 1], "schedule": [graph.add("StylusSchedule", steps=2), 0]}
    latents = []
    for preset in ("sd-512", "tiny-256"):
        mel = graph.add("StylusLoadAudioMel", audio="stylus/melody.flac", preset=preset)
        latents.append([graph.add("VAEEncode", pixels=[mel, 0], vae=[prior, 2]), 0])
    content = graph.add("StylusDDIMInvert", latent=latents[0], **shared)
    style = graph.add("StylusCaptureStyle", latent=latents[1], **shared)
    sampled = graph.add(
        "StylusInjectSampler", model=[prior, 0], conditioning=[prior, 1], inversion=[content, 0], style=[style, 0]
    )
    graph.add("SaveLatent", samples=[sampled, 0], filename_prefix="refused")

    run = comfy.run(graph)

    assert "preset is sd-512 for DDIM Invert and tiny-256 for Load Stylus Tiny: choose" in (run.error or "")
    assert not run.steps(content)
    assert not run.steps(style)


def test_a_lora_after_the_patch(comfy: ComfyServer) -> None:
    graph = TransferGraph(comfy, steps=2)
    graph.add_patched_sampler()
    lora = graph.add("LoraLoaderModelOnly", model=[graph.patch, 0], lora_name="small.safetensors", strength_model=0.5)
    graph.set(graph.euler, model=[lora, 0])
    assert "made with other model weights" in words(comfy, graph)


@pytest.mark.parametrize(("file", "family"), [("flux-small", "Flux"), ("sd3-small", "SD3")])
def test_flow_models_are_refused_by_name(comfy: ComfyServer, file: str, family: str) -> None:
    graph = TransferGraph(comfy, steps=2)
    model = graph.add("UNETLoader", unet_name=f"{file}.safetensors", weight_dtype="default")
    graph.set(graph.invert, model=[model, 0])
    assert f"model is {family}" in words(comfy, graph)


def audio_graph(source: str, **inputs: Any) -> tuple[Graph, str]:
    """Audio from a test node through Audio to Mel, back without a model, into a wav of floats; and the last node."""
    graph = Graph()
    audio = graph.add(source, **inputs)
    mel = graph.add("StylusAudioToMel", audio=[audio, 0], preset="tiny-256")
    decoded = graph.add("StylusPhaseDecode", images=[mel, 0], spectrogram=[mel, 1])
    saved = graph.add("StylusSaveAudio", audio=[decoded, 0], filename_prefix="edge", format="wav", bit_depth="float")
    return graph, saved


@pytest.mark.parametrize("content", ["nan", "infinity"])
def test_audio_that_is_no_number(comfy: ComfyServer, content: str) -> None:
    graph, _ = audio_graph("TestAudio", content=content, samples=44100, channels=1, sample_rate=44100)
    assert "NaN or infinite" in words(comfy, graph)


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
    graph, saved = audio_graph(
        "TestAudio", content=content, samples=samples, channels=channels, sample_rate=sample_rate
    )
    run = comfy.run(graph)
    assert run.error is None
    waveform, rate = soundfile.read(comfy.files(run, saved, "audio")[0], always_2d=True)
    assert waveform.shape == (samples, channels)
    assert rate == sample_rate
    assert np.isfinite(waveform).all()
    assert bool(waveform.any()) == (content != "silence")


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


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("mute.mkv", silent_video(), "no audio stream"),
        ("empty.wav", b"", "empty.wav"),
        ("text.wav", b"this is no recording", "text.wav"),
    ],
)
def test_file_without_sound(comfy: ComfyServer, name: str, content: bytes, expected: str) -> None:
    graph = Graph()
    mel = graph.add("StylusLoadAudioMel", audio=comfy.upload(name, content), preset="tiny-256")
    graph.add("PreviewImage", images=[mel, 0])
    assert expected in words(comfy, graph)


@pytest.mark.parametrize("name", ["../../etc/passwd", "stylus/../../../pyproject.toml", "gone.wav"])
def test_file_outside_the_input_folder(comfy: ComfyServer, name: str) -> None:
    graph = Graph()
    mel = graph.add("StylusLoadAudioMel", audio=name, preset="tiny-256")
    graph.add("PreviewImage", images=[mel, 0])
    assert repr(name) in words(comfy, graph)


@pytest.mark.parametrize("name", ["link.flac", "folder/melody.flac"])
def test_link_that_leaves_the_input_folder(comfy: ComfyServer, name: str) -> None:
    """The node's own `melody.flac`, as a file that lies anywhere on the machine."""
    recordings = PACK / "stylus_ops" / "tiny" / "recordings"
    (comfy.input / "link.flac").unlink(missing_ok=True)
    (comfy.input / "link.flac").symlink_to(recordings / "melody.flac")
    (comfy.input / "folder").unlink(missing_ok=True)
    (comfy.input / "folder").symlink_to(recordings)
    graph = Graph()
    mel = graph.add("StylusLoadAudioMel", audio=name, preset="tiny-256")
    graph.add("PreviewImage", images=[mel, 0])
    assert "outside ComfyUI's folders" in words(comfy, graph)


def test_playlist_of_a_file_outside_the_input_folder(comfy: ComfyServer) -> None:
    target = (comfy.base / "private.mp3").resolve()
    soundfile.write(target, np.zeros(44100), 44100, format="MP3")
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:1", "#EXTINF:1,", target.as_uri(), "#EXT-X-ENDLIST"]
    graph = Graph()
    uploaded = comfy.upload("list.m3u8", "\n".join(lines).encode())
    mel = graph.add("StylusLoadAudioMel", audio=uploaded, preset="tiny-256")
    graph.add("PreviewImage", images=[mel, 0])
    assert "list.m3u8" in words(comfy, graph)


@pytest.mark.parametrize("prefix", ["x" * 300, "a new folder/" + "x" * 300, "", "a/../../b", "/tmp/c"])
def test_a_prefix_that_cannot_be_used_is_refused_before_the_run(comfy: ComfyServer, prefix: str) -> None:
    graph, saved = audio_graph("TestAudio", content="noise", samples=4410, channels=1, sample_rate=44100)
    graph[saved]["inputs"]["filename_prefix"] = prefix
    with pytest.raises(PromptRefused, match="filename_prefix"):
        comfy.run(graph)


@pytest.mark.parametrize("prefix", ["over/", "over%batch_num%", "with:colon", "over/./"])
def test_nothing_is_overwritten(comfy: ComfyServer, prefix: str) -> None:
    files = []
    for samples in (4410, 4411):
        graph, saved = audio_graph("TestAudio", content="noise", samples=samples, channels=1, sample_rate=44100)
        graph[saved]["inputs"]["filename_prefix"] = prefix
        run = comfy.run(graph)
        assert run.error is None
        files += comfy.files(run, saved, "audio")
    assert [soundfile.info(file).frames for file in files] == [4410, 4411]


def test_more_channels_than_the_format_holds(comfy: ComfyServer) -> None:
    graph, saved = audio_graph("TestAudio", content="noise", samples=4410, channels=3, sample_rate=44100)
    graph[saved]["inputs"]["format"] = "mp3"
    assert "mp3 holds at most 2 channels and the audio has 3" in words(comfy, graph)


@pytest.mark.parametrize(
    ("format", "bit_depth", "expected"),
    [("flac", "float", "flac has 24, 16: choose one"), ("flac", "32", "bit_depth is '32'"), ("ogg", "24", "format")],
)
def test_a_format_that_is_none_is_refused_before_the_run(
    comfy: ComfyServer, format: str, bit_depth: str, expected: str
) -> None:
    graph, saved = audio_graph("TestAudio", content="noise", samples=4410, channels=1, sample_rate=44100)
    graph[saved]["inputs"] |= {"format": format, "bit_depth": bit_depth}
    with pytest.raises(PromptRefused, match=expected):
        comfy.run(graph)


def test_a_workflow_too_large_for_a_flac_is_left_out_and_told_of(comfy: ComfyServer) -> None:
    graph, saved = audio_graph("TestAudio", content="noise", samples=4410, channels=1, sample_rate=44100)
    graph[saved]["inputs"] |= {"filename_prefix": "large", "format": "flac", "bit_depth": "24"}
    graph.add("StylusSchedule", steps=2, note="x" * (1 << 24))
    run = comfy.run(graph)
    assert run.error is None
    assert any("too large for the tags of a flac" in text for node, text in run.texts if node == saved)
    with av.open(str(comfy.output / "large_00001_.flac")) as container:
        assert "prompt" not in container.metadata


@pytest.mark.parametrize("node", ["sampler", "patch"])
def test_an_end_before_the_start_is_refused_before_the_run(comfy: ComfyServer, node: str) -> None:
    graph = TransferGraph(comfy)
    if node == "patch":
        graph.add_patched_sampler()
        del graph[graph.saved], graph[graph.sampler]
    graph.set(getattr(graph, node), start_percent=0.6, end_percent=0.4)
    with pytest.raises(PromptRefused, match=r"start_percent is 0.6 and end_percent is 0.4: choose an end"):
        comfy.run(graph)


@pytest.mark.parametrize("weights", ["1, 1, 1", "0, 0", "1, -1"])
def test_weights_that_do_not_fit_are_refused_before_the_run(comfy: ComfyServer, weights: str) -> None:
    graph = TransferGraph(comfy)
    styles = {"styles.style_0": [graph.capture, 0], "styles.style_1": [graph.capture, 0]}
    graph.set(graph.sampler, style=[graph.add("StylusBlendStyles", **styles, weights=weights), 0])
    with pytest.raises(PromptRefused, match="weights are"):
        comfy.run(graph)


def test_sites_that_cannot_be_read_are_refused_before_the_run(comfy: ComfyServer) -> None:
    graph = TransferGraph(comfy)
    graph.set(graph.schedule, sites="all")
    with pytest.raises(PromptRefused, match="sites is 'all'"):
        comfy.run(graph)


def test_a_preset_of_another_model_is_refused_where_it_is_chosen(comfy: ComfyServer) -> None:
    graph = Graph()
    mel = graph.add(
        "StylusLoadAudioMel", audio="stylus/melody.flac", preset="sd-512", model=[graph.add("StylusLoadTiny"), 0]
    )
    graph.add("PreviewImage", images=[mel, 0])
    run = comfy.run(graph)
    assert run.failed_node == mel
    assert "preset is sd-512 and the model takes tiny-256" in (run.error or "")


@pytest.mark.parametrize("prefix", ["../escaped", "blocked/song"])
def test_output_that_cannot_be_written(comfy: ComfyServer, prefix: str) -> None:
    """Outside the output folder, and in a folder that can't be made because a file has its name."""
    (comfy.output / "blocked").touch()
    graph, saved = audio_graph("TestAudio", content="noise", samples=4410, channels=1, sample_rate=44100)
    graph[saved]["inputs"]["filename_prefix"] = prefix
    before = sorted(comfy.base.glob("*")) + sorted(comfy.output.rglob("*"))
    assert prefix.split("/")[0] in words(comfy, graph)
    assert sorted(comfy.base.glob("*")) + sorted(comfy.output.rglob("*")) == before


def test_images_of_another_recording(comfy: ComfyServer) -> None:
    graph, _ = audio_graph("TestAudio", content="noise", samples=44100, channels=1, sample_rate=44100)
    other = graph.add("EmptyImage", width=256, height=256, batch_size=2, color=0)
    decode = next(node for node in graph.values() if node["class_type"] == "StylusPhaseDecode")
    decode["inputs"]["images"] = [other, 0]
    assert "do not belong to this spectrogram" in words(comfy, graph)


def test_spectrogram_of_another_clip_than_the_latent(comfy: ComfyServer) -> None:
    graph = TransferGraph(comfy, content=upload_latent(comfy, "two", seed=8, batch=2))
    audio = graph.add("TestAudio", content="noise", samples=44100, channels=1, sample_rate=44100)
    mel = graph.add("StylusAudioToMel", audio=[audio, 0], preset="tiny-256")
    graph.set(graph.invert, spectrogram=[mel, 1])
    assert "spectrogram has 1 windows and latent 2" in words(comfy, graph)


def test_more_windows_of_two_clips_than_a_style_takes(comfy: ComfyServer) -> None:
    graph = TransferGraph(comfy, style=upload_latent(comfy, "two_clips", seed=8, batch=4))
    audio = graph.add("TestAudio", content="noise", samples=8 * 44100, channels=1, sample_rate=44100, batch=2)
    mel = graph.add("StylusAudioToMel", audio=[audio, 0], preset="tiny-256", overlap=0)
    graph.set(graph.capture, spectrogram=[mel, 1], style_windows=3)
    said = words(comfy, graph)
    assert "2 clips" in said
    assert "style_windows is 3" in said
    graph.set(graph.capture, style_windows=4)
    assert comfy.run(graph).error is None
