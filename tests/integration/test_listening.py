"""Compare, Match Tone, Mask from Sound, Load Audio Folder, and what the browser asks for."""

import json
import urllib.error
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from stylus_ops.tiny import RECORDINGS
from tests.fuzz.corpus import write_with_ffmpeg

from .comfy_server import ComfyServer, Graph


def test_compare_draws_and_plays_every_clip_equally_loud(comfy: ComfyServer) -> None:
    graph = Graph()
    content, style = (graph.add("StylusLoadAudioMel", audio=f"stylus/{n}.flac") for n in ("melody", "style_a"))
    other = graph.add("TestAudio", samples=48000, channels=2, sample_rate=48000)
    node = graph.add(
        "StylusCompare",
        content=[content, 2],
        style=[style, 2],
        **{"results.result_0": [other, 0], "results.result_1": [content, 2], "further_styles.style_2": [style, 2]},
    )
    saved = graph.add("SaveImage", images=[node, 0], filename_prefix="figure")

    run = comfy.run(graph)

    assert run.error is None
    (shown,), tracks = run.outputs[node]["stylus_compare"], run.outputs[node]["audio"]
    assert [track["name"] for track in tracks] == ["content", "style 1", "style 2", "result 1", "result 2"]
    assert [track["seconds"] for track in tracks] == pytest.approx([5.1, 5.1, 5.1, 1.0, 5.1], abs=0.01)
    assert max(track["gain"] for track in tracks) == 1.0
    assert tracks[0]["gain"] == tracks[4]["gain"]
    for track in tracks:
        samples, rate = soundfile.read(comfy.base / "temp" / track["filename"])
        assert len(samples) / rate == pytest.approx(track["seconds"])
    with (
        Image.open(comfy.base / "temp" / shown["filename"]) as figure,
        Image.open(comfy.files(run, saved, "images")[0]) as png,
    ):
        assert (np.asarray(figure) == np.asarray(png)).all()
        assert list(figure.size) == shown["size"]
    assert comfy.read(f"/view?filename={tracks[2]['filename']}&type=temp")


def test_titles_tell_the_dials_in_which_results_differ(comfy: ComfyServer) -> None:
    graph = Graph()
    prior = graph.add("StylusLoadTiny")
    mels = [graph.add("StylusLoadAudioMel", audio=f"stylus/{n}.flac", preset="tiny-256") for n in ("melody", "style_a")]
    latents = [graph.add("VAEEncode", pixels=[mel, 0], vae=[prior, 2]) for mel in mels]
    shared = {"model": [prior, 0], "conditioning": [prior, 1]}
    schedule = [graph.add("StylusSchedule", steps=2), 0]
    content = graph.add("StylusDDIMInvert", latent=[latents[0], 0], schedule=schedule, **shared)
    style = graph.add("StylusCaptureStyle", latent=[latents[1], 0], schedule=schedule, **shared)
    results = {}
    for number, (alpha, decode) in enumerate(((0.5, "phase"), (1.0, "gain"))):
        sampler = graph.add("StylusInjectSampler", inversion=[content, 0], style=[style, 0], alpha=alpha, **shared)
        images = graph.add("VAEDecode", samples=[sampler, 0], vae=[prior, 2])
        audio = graph.add("StylusPhaseDecode", images=[images, 0], spectrogram=[mels[0], 1], decode=decode)
        results[f"results.result_{number}"] = [audio, 0]
    node = graph.add("StylusCompare", content=[mels[0], 2], style=[mels[1], 2], **results)
    titles = [track["title"] for track in comfy.finish(graph).outputs[node]["audio"]]
    assert titles == ["content", "style", "result 1: alpha 0.5 · decode phase", "result 2: alpha 1 · decode gain"]


def test_every_clip_of_a_batch_is_a_track_and_silence_is_drawn(comfy: ComfyServer) -> None:
    graph = Graph()
    sound = {"content": "silence", "samples": 4410, "channels": 10, "sample_rate": 44100}
    silence = graph.add("TestAudio", **sound, decode="no dial of this node " * 10_000)
    node = graph.add("StylusCompare", content=[silence, 0], style=[silence, 0], **{"results.result_0": [silence, 0]})
    shown = comfy.finish(graph).outputs[node]
    tracks = shown["audio"]
    assert shown["stylus_compare"][0]["size"][1] < 2000
    assert [track["gain"] for track in tracks] == [1.0, 1.0, 1.0]
    assert all(track["filename"].endswith(".wav") for track in tracks)


def test_a_mask_has_the_size_of_the_images(comfy: ComfyServer) -> None:
    graph = Graph()
    mel = graph.add("StylusLoadAudioMel", audio="stylus/melody.flac", preset="tiny-256")
    mask = graph.add("StylusMaskFromSound", spectrogram=[mel, 1], what="band", low_hz=500.0)
    image = graph.add("MaskToImage", mask=[mask, 0])
    black = graph.add("EmptyImage", width=256, height=256, batch_size=1, color=0)
    joined = graph.add(
        "ImageCompositeMasked", destination=[black, 0], source=[mel, 0], x=0, y=0, resize_source=False, mask=[mask, 0]
    )
    saved = [graph.add("SaveImage", images=[source, 0], filename_prefix="mask") for source in (image, joined)]
    run = comfy.finish(graph)
    images = [np.asarray(Image.open(comfy.files(run, node, "images")[0])) for node in saved]
    assert images[0].shape[:2] == (256, 256)
    assert images[0].max() > 60
    assert images[0][-10:].max() == 0
    assert images[1][-10:].max() == 0


def album(comfy: ComfyServer, folder: str, names: list[str]) -> None:
    target = comfy.input / folder
    target.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        wave = 0.1 * torch.randn(1, 44100 * (number + 1), generator=torch.Generator().manual_seed(number))
        soundfile.write(target / name, wave.t().numpy(), 44100)


def test_what_follows_a_folder_runs_once_for_each_recording(comfy: ComfyServer) -> None:
    """A video without sound is reported and skipped."""
    album(comfy, "album", ["b.wav", "a.flac"])
    (comfy.input / "album" / "cover.txt").write_text("no sound")
    write_with_ffmpeg(comfy.input / "album" / "aa.mp4", None, 44100, picture=True)
    graph = Graph()
    folder = graph.add("StylusLoadAudioFolder", folder="album")
    save = graph.add("StylusSaveAudio", audio=[folder, 0], filename_prefix=[folder, 1])
    run = comfy.finish(graph)
    assert any("'aa.mp4' has no audio stream" in text for text in run.words(folder))
    files = comfy.files(run, save, "audio")
    assert [path.name.split("_")[0] for path in files] == ["a", "b"]
    assert [round(soundfile.info(path).duration) for path in files] == [2, 1]


def test_part_of_a_folder_and_what_is_none(comfy: ComfyServer) -> None:
    album(comfy, "deep/er", ["1.wav", "2.wav", "3.wav"])
    (comfy.input / "empty").mkdir(exist_ok=True)
    graph = Graph()
    folder = graph.add("StylusLoadAudioFolder", folder="deep/er", first=2, most=1)
    save = graph.add("StylusSaveAudio", audio=[folder, 0], filename_prefix=[folder, 1])
    (path,) = comfy.files(comfy.run(graph), save, "audio")
    assert path.name.startswith("2_")
    for change in ({"folder": "../output"}, {"folder": "empty"}, {"first": 9}):
        graph[folder]["inputs"] = {"folder": "deep/er", **change}
        assert next(iter(change)) in comfy.refusal(graph)


def test_a_link_out_of_the_input_folder_is_not_followed(comfy: ComfyServer) -> None:
    album(comfy, "linking", ["1.wav"])
    for link, target in (("linking/2.flac", "melody.flac"), ("linked", "")):
        (comfy.input / link).unlink(missing_ok=True)
        (comfy.input / link).symlink_to(RECORDINGS / target)
    graph = Graph()
    folder = graph.add("StylusLoadAudioFolder", folder="linking", most=1)
    graph.add("StylusSaveAudio", audio=[folder, 0], filename_prefix=[folder, 1])
    assert comfy.run(graph).error is None
    for inputs in ({"folder": "linking", "most": 0}, {"folder": "linked"}):
        graph[folder]["inputs"] |= inputs
        assert "outside ComfyUI's folders" in comfy.refusal(graph)


def test_numbers_and_texts_may_come_from_other_nodes(comfy: ComfyServer) -> None:
    """What they are is not known before the run."""
    album(comfy, "counted", ["1.wav", "2.wav"])
    graph = Graph()
    first = graph.add("PrimitiveInt", value=2)
    weights = graph.add("PrimitiveString", value="1")
    folder = graph.add("StylusLoadAudioFolder", folder="counted", first=[first, 0])
    matched = graph.add(
        "StylusMatchTone", audio=[folder, 0], **{"styles.style_0": [folder, 0], "weights": [weights, 0]}
    )
    save = graph.add("StylusSaveAudio", audio=[matched, 0], filename_prefix=[folder, 1])
    run = comfy.finish(graph)
    (path,) = comfy.files(run, save, "audio")
    assert path.name.startswith("2_")


@pytest.mark.parametrize(("style", "weights"), [("noise", "2, 1"), ("silence", "")])
def test_a_recording_takes_the_tone_of_two_others_and_shows_the_curve(
    comfy: ComfyServer, style: str, weights: str
) -> None:
    """A silent style is warned about on the node."""
    graph = Graph()
    content = graph.add("TestAudio", samples=44100, channels=2)
    sounds = [graph.add("TestAudio", content=kind, samples=30000, sample_rate=48000) for kind in ("noise", style)]
    styles = {f"styles.style_{i}": [sound, 0] for i, sound in enumerate(sounds)}
    tone = graph.add("StylusMatchTone", audio=[content, 0], tone=1.0, weights=weights, **styles)
    sound, curve = graph.add("PreviewAudio", audio=[tone, 0]), graph.add("PreviewImage", images=[tone, 1])
    run = comfy.finish(graph)
    assert run.outputs[sound]["audio"]
    assert run.outputs[curve]["images"]
    assert any("a style is silent" in text for text in run.words(tone)) == (style == "silence")


def test_every_bundled_recording_can_be_heard(comfy: ComfyServer) -> None:
    options = comfy.get("/object_info/StylusLoadAudioMel")["StylusLoadAudioMel"]["input"]["required"]["audio"][1]
    bundled = [name.removeprefix("stylus/") for name in options["options"] if name.startswith("stylus/")]
    assert bundled == sorted(path.name for path in RECORDINGS.iterdir())
    for name in bundled:
        assert comfy.read(f"/api/stylus/recordings/{name}") == (RECORDINGS / name).read_bytes()


def test_the_browser_sees_a_recording_at_a_glance(comfy: ComfyServer) -> None:
    shown = json.loads(comfy.read("/stylus/overview?audio=" + quote("stylus/melody.flac")))
    assert shown["seconds"] == pytest.approx(5.1, abs=0.01)
    assert len(shown["levels"]) == 600
    assert 0.1 < max(shown["levels"]) <= 1


@pytest.mark.parametrize(
    ("route", "status"),
    [
        *((f"/stylus/overview?audio={name}", 404) for name in ("", "gone.wav", "../server.log", "/etc/passwd")),
        *((f"/stylus/overview?audio={name}", 400) for name in ("a%00b", "a" * 300)),
        *(
            (f"/api/stylus/recordings/{name}", 404)
            for name in ("gone.flac", "..%2Fprior.safetensors", "%2Fetc%2Fpasswd")
        ),
    ],
)
def test_no_other_file_is_served(comfy: ComfyServer, route: str, status: int) -> None:
    with pytest.raises(urllib.error.HTTPError) as refusal:
        comfy.read(route)
    assert refusal.value.code == status
    assert str(comfy.input) not in refusal.value.read().decode()


def test_long_recordings_leave_the_web_interface_alone(comfy: ComfyServer) -> None:
    """Eight at once, each of another file: ComfyUI's own requests are answered meanwhile, and each file is drawn."""
    names = [f"long{number}.wav" for number in range(8)]
    for number, name in enumerate(names):
        soundfile.write(comfy.input / name, np.full(4_000_000, 0.1 * (number + 1), np.float32), 8000)
    with ThreadPoolExecutor(len(names)) as pool:
        drawn = [pool.submit(comfy.get, "/stylus/overview?audio=" + name) for name in names]
        comfy.get("/system_stats")
        assert not all(one.done() for one in drawn)
        levels = [one.result()["levels"] for one in drawn]
    assert [round(max(values), 1) for values in levels] == [round(0.1 * (number + 1), 1) for number in range(8)]


def test_what_is_above_full_scale_is_turned_down_and_not_clipped(comfy: ComfyServer) -> None:
    sine = 1.5 * np.sin(2 * np.pi * 440 * np.arange(22050) / 44100)
    soundfile.write(comfy.input / "loud.wav", sine, 44100, subtype="FLOAT")
    graph = Graph()
    loaded = graph.add("StylusLoadAudioMel", audio="loud.wav", preset="tiny-256")
    saved = {
        depth: graph.add("StylusSaveAudio", audio=[loaded, 2], filename_prefix=depth, format=form, bit_depth=depth)
        for form, depth in (("flac", "24"), ("wav", "float"))
    }
    run = comfy.finish(graph)
    kept = {depth: soundfile.read(comfy.files(run, node, "audio")[0])[0] for depth, node in saved.items()}
    assert np.allclose(kept["float"], sine, atol=1e-6)
    assert np.abs(kept["24"]).max() == pytest.approx(10 ** (-1 / 20), abs=0.002)
    assert np.allclose(kept["24"] / np.abs(kept["24"]).max(), sine / 1.5, atol=1e-3)
