"""What can't work is refused in words that name the input, and writes nothing."""

import json
from collections.abc import Callable
from typing import Any

import av
import pytest
import soundfile

from stylus_ops.tiny import RECORDINGS

from .comfy_server import ComfyServer, Graph
from .graphs import TransferGraph, upload_latent

Spoil = Callable[[ComfyServer, TransferGraph], None]
SIBLING = {"unet_name": "sd15-sibling.safetensors", "weight_dtype": "default"}
CHROMA = {"nerf_tile_size": 32}  # puts a function around the U-Net, as caches and tilers of other packs do
LORA = {"lora_name": "small.safetensors", "strength_model": 0.5}


def wired(target: str, name: str, node: str, through: str = "", **inputs: Any) -> Spoil:
    """Wire another node to an input of one of the graph's; what was wired there arrives on its own input `through`."""

    def spoil(comfy: ComfyServer, graph: TransferGraph) -> None:
        place = getattr(graph, target)
        earlier = {through: graph[place]["inputs"][name]} if through else {}
        graph.set(place, **{name: [graph.add(node, **earlier, **inputs), 0]})

    return spoil


def another_latent(target: str, **size: int) -> Spoil:
    return lambda comfy, graph: wired(target, "latent", "LoadLatent", latent=upload_latent(comfy, "odd", 9, **size))(
        comfy, graph
    )


def sdxl(comfy: ComfyServer, graph: TransferGraph) -> None:
    loader = graph.add("CheckpointLoaderSimple", ckpt_name="sdxl-small.safetensors")
    for node in (graph.invert, graph.capture):
        graph.set(node, model=[loader, 0])


def sdxl_under_a_prompt_as_wide(comfy: ComfyServer, graph: TransferGraph) -> None:
    sdxl(comfy, graph)
    graph.set(str(graph.prompt[0]), width=2048)


def masked(comfy: ComfyServer, graph: TransferGraph) -> None:
    mask = graph.add("SolidMask", value=1.0, width=128, height=128)
    wired("invert", "latent", "SetLatentNoiseMask", "samples", mask=[mask, 0])(comfy, graph)


def after_the_patch(node: str, **inputs: Any) -> Spoil:
    def spoil(comfy: ComfyServer, graph: TransferGraph) -> None:
        graph.add_patched_sampler()
        wired("euler", "model", node, "model", **inputs)(comfy, graph)
        del graph[graph.saved]

    return spoil


TRANSFERS: list[tuple[str, Spoil]] = [
    ("768 wide and the model reads 2048", sdxl),
    ("no pooled output, which SDXL needs", sdxl_under_a_prompt_as_wide),
    ("model is Flux", wired("invert", "model", "UNETLoader", **SIBLING | {"unet_name": "flux-small.safetensors"})),
    ("latent has 16 channels", wired("invert", "latent", "EmptySD3LatentImage", width=128, height=128, batch_size=1)),
    ("latent is of tiny-256 images and the model takes sd-512", another_latent("invert", width=32, height=32)),
    ("height", another_latent("capture", height=24)),
    ("noise mask", masked),
    ("weights", wired("sampler", "model", "UNETLoader", **SIBLING)),
    ("weights", wired("sampler", "model", "LoraLoaderModelOnly", "model", **LORA)),
    ("weights", after_the_patch("LoraLoaderModelOnly", **LORA)),
    *(
        (f"model carries {node}", after_the_patch(node, **inputs))
        for node, inputs in (("LazyCache", {}), ("ChromaRadianceOptions", CHROMA))
    ),
    ("conditioning", wired("sampler", "conditioning", "TestRandomConditioning", width=768, seed=1)),
    (
        "remove Conditioning Set",
        wired("invert", "conditioning", "ConditioningSetTimestepRange", "conditioning", end=0.3),
    ),
    ("steps is 2 for DDIM Invert and 4 for Capture", wired("capture", "schedule", "StylusSchedule", steps=4)),
    ("model carries Wrapped", wired("invert", "model", "TestWrapped", "model")),
    *(
        (f"model carries {node}", wired("invert", "model", node, "model", **inputs))
        for node, inputs in (
            ("EasyCache", {}),
            ("LazyCache", {}),
            ("SelfAttentionGuidance", {"scale": 0.5, "blur_sigma": 2.0}),
            ("PerturbedAttentionGuidance", {"scale": 3.0}),
            ("RescaleCFG", {"multiplier": 0.7}),
            ("SkipLayerGuidanceDiTSimple", {}),
            ("ChromaRadianceOptions", CHROMA),
        )
    ),
]


@pytest.mark.parametrize(("expected", "spoil"), TRANSFERS)
def test_transfer(comfy: ComfyServer, expected: str, spoil: Spoil) -> None:
    graph = TransferGraph(comfy, steps=2)
    spoil(comfy, graph)
    before = sorted(comfy.output.rglob("*"))
    assert expected in comfy.failure(graph)
    assert sorted(comfy.output.rglob("*")) == before


def audio_graph(**inputs: Any) -> tuple[Graph, str]:
    """Audio from a test node through Audio to Mel, back without a model, into a wav of floats; and the last node."""
    graph = Graph()
    audio = graph.add("TestAudio", **{"samples": 4410} | inputs)
    mel = graph.add("StylusAudioToMel", audio=[audio, 0], preset="tiny-256")
    decoded = graph.add("StylusPhaseDecode", images=[mel, 0], spectrogram=[mel, 1])
    saved = graph.add("StylusSaveAudio", audio=[decoded, 0], filename_prefix="edge", format="wav", bit_depth="float")
    return graph, saved


@pytest.mark.parametrize("value", [5, {"a": 1}, ["a"], None])
def test_what_no_widget_gives_is_refused_in_words(comfy: ComfyServer, value: Any) -> None:
    graph, saved = audio_graph()
    graph.set(saved, filename_prefix=[graph.add("TestValue", json=json.dumps(value)), 0])
    assert f"filename_prefix is {value!r}: name the file" in comfy.failure(graph)
    assert f"audio is {value!r}: choose a recording" in comfy.failure(loaded(value), refused=True)


def loaded(audio: Any, **inputs: Any) -> Graph:
    graph = Graph()
    mel = graph.add("StylusLoadAudioMel", audio=audio, **{"preset": "tiny-256"} | inputs)
    graph.add("PreviewImage", images=[mel, 0])
    return graph


def test_file_without_sound(comfy: ComfyServer) -> None:
    assert "text.wav" in comfy.failure(loaded(comfy.put("text.wav", b"this is no recording")))


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "stylus/../../../pyproject.toml", "gone.wav", "link.flac", "folder/melody.flac"]
)
def test_file_outside_the_input_folder(comfy: ComfyServer, name: str) -> None:
    """By its path, or over a link to where anything of the machine might lie."""
    for link, target in (("link.flac", RECORDINGS / "melody.flac"), ("folder", RECORDINGS)):
        (comfy.input / link).unlink(missing_ok=True)
        (comfy.input / link).symlink_to(target)
    assert f"audio {name!r}" in comfy.failure(loaded(name))


def test_a_preset_of_another_model_is_refused_where_it_is_chosen(comfy: ComfyServer) -> None:
    graph = loaded("stylus/melody.flac", preset="sd-512")
    graph.set("1", model=[graph.add("StylusLoadTiny"), 0])
    assert "preset is sd-512 and the model takes tiny-256" in comfy.failure(graph)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        *(
            ({"filename_prefix": prefix}, "filename_prefix - filename_prefix")
            for prefix in ("x" * 300, "a new folder/" + "x" * 300, "", "a/../../b", "/tmp/c", "blocked/song")
        ),
        ({"format": "flac", "bit_depth": "float"}, "Custom validation failed for node: filename_prefix - bit_depth"),
        ({"format": "flac", "bit_depth": "32"}, "bit_depth"),
        ({"format": "mp3"}, "mp3 holds at most 2 channels and the audio has 3"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused(comfy: ComfyServer, inputs: dict[str, str], expected: str) -> None:
    (comfy.output / "blocked").touch()
    graph, saved = audio_graph(channels=3)
    graph.set(saved, **inputs)
    before = sorted(comfy.base.glob("*")) + sorted(comfy.output.rglob("*"))
    said = comfy.failure(graph)
    assert expected in said
    assert "; " not in said.removeprefix("Prompt outputs failed validation; ")  # once, on its own input
    assert sorted(comfy.base.glob("*")) + sorted(comfy.output.rglob("*")) == before


@pytest.mark.parametrize("prefix", ["over/", "over%batch_num%", "with:colon", "over/./"])
def test_nothing_is_overwritten(comfy: ComfyServer, prefix: str) -> None:
    files = []
    for samples in (4410, 4411):
        graph, saved = audio_graph(samples=samples)
        graph.set(saved, filename_prefix=prefix)
        files += comfy.files(comfy.finish(graph), saved, "audio")
    assert [soundfile.info(file).frames for file in files] == [4410, 4411]


def test_a_workflow_too_large_for_a_flac_is_left_out_and_warned_about(comfy: ComfyServer) -> None:
    graph, saved = audio_graph()
    graph.set(saved, format="flac", bit_depth="24")
    graph.add("StylusSchedule", steps=2, note="x" * (1 << 24))
    run = comfy.finish(graph)
    assert any("too large for the tags of a flac" in text for text in run.words(saved))
    with av.open(str(comfy.files(run, saved, "audio")[0])) as container:
        assert "prompt" not in container.metadata


@pytest.mark.parametrize(
    ("target", "inputs", "expected"),
    [
        ("sampler", {"start_percent": 0.6, "end_percent": 0.4}, "start_percent"),
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
    graph.set(blend if target == "blend" else getattr(graph, target), **inputs)
    said = comfy.failure(graph, refused=True)
    assert (f"{expected} " in said, said.count("; ")) == (True, 1)  # once


def with_spectrogram(comfy: ComfyServer, latents: int, clips: int) -> tuple[TransferGraph, list[Any]]:
    """A style of some latents, and the spectrogram of some clips of 8 s, which are two windows each."""
    graph = TransferGraph(comfy, style=upload_latent(comfy, f"of{latents}", seed=8, batch=latents))
    audio = graph.add("TestAudio", samples=8 * 44100, batch=clips)
    return graph, [graph.add("StylusAudioToMel", audio=[audio, 0], preset="tiny-256", overlap=0), 1]


def test_spectrogram_of_another_clip_than_the_latent(comfy: ComfyServer) -> None:
    graph, spectrogram = with_spectrogram(comfy, latents=1, clips=1)
    for node in (graph.invert, graph.capture):
        graph.set(node, spectrogram=spectrogram)
        assert "spectrogram has 2 windows and latent 1" in comfy.failure(graph)


def test_more_windows_of_two_clips_than_a_style_takes(comfy: ComfyServer) -> None:
    graph, spectrogram = with_spectrogram(comfy, latents=4, clips=2)
    graph.set(graph.capture, spectrogram=spectrogram, style_windows=3)
    assert "style_windows is 3" in comfy.failure(graph)
    graph.set(graph.capture, style_windows=4)
    comfy.finish(graph)
