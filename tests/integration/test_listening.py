"""Compare, Match Tone, Mask from Sound, Load Audio Folder, and what the browser asks for."""

import socket
import sys
import urllib.error
import urllib.parse
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from stylus_ops.tiny import RECORDINGS
from tests.fuzz.corpus import write_days, write_with_ffmpeg
from tests.unit.signals import noise

from .comfy_server import ComfyServer, Graph
from .graphs import TinyGraph


def test_compare_draws_and_plays_every_clip_equally_loud(comfy: ComfyServer) -> None:
    """Silence and ten channels, which no flac has, among them."""
    graph = Graph()
    content, style = (graph.add("StylusLoadAudioMel", audio=f"stylus/{n}.flac") for n in ("melody", "style_a"))
    silent = {"samples": 48000, "channels": 10, "sample_rate": 48000, "loudness": 0.0}
    silence = graph.add("TestAudio", **silent, decode="no dial of this node " * 10_000)
    clips = {"content": [content, 2], "style": [style, 2], "further_styles.style_2": [style, 2]}
    results = {"results.result_0": [silence, 0], "results.result_1": [content, 2]}
    node = graph.add("StylusCompare", **clips, **results)
    saved = graph.add("SaveImage", images=[node, 0], filename_prefix="figure")

    run = comfy.finish(graph)
    (shown,), tracks = run.outputs[node]["stylus_compare"], run.outputs[node]["audio"]
    assert [track["name"] for track in tracks] == ["content", "style 1", "style 2", "result 1", "result 2"]
    assert [track["seconds"] for track in tracks] == pytest.approx([5.1, 5.1, 5.1, 1.0, 5.1], abs=0.01)
    assert max(track["gain"] for track in tracks) == 1.0
    assert tracks[0]["gain"] == tracks[4]["gain"]
    for track in tracks:
        assert soundfile.info(comfy.base / "temp" / track["filename"]).duration == pytest.approx(track["seconds"])
    figure, png = Image.open(comfy.base / "temp" / shown["filename"]), Image.open(comfy.files(run, saved, "images")[0])
    assert (np.asarray(figure) == np.asarray(png)).all()
    assert list(figure.size) == shown["size"]
    assert figure.height < 2000
    assert comfy.read(f"/view?filename={tracks[2]['filename']}&type=temp")


def test_titles_tell_the_dials_in_which_results_differ(comfy: ComfyServer) -> None:
    graph = TinyGraph({"audio": "stylus/melody.flac"}, {"audio": "stylus/style_a.flac"})
    graph.set(graph.sampler, alpha=0.5)
    other = graph.add_decode(graph.add("StylusInjectSampler", **graph.clips, **graph.shared, alpha=1.0), decode="gain")
    results = {"results.result_0": [graph.decode, 0], "results.result_1": [other, 0]}
    node = graph.add("StylusCompare", content=[graph.content, 2], style=[graph.style, 2], **results)
    titles = [track["title"] for track in comfy.finish(graph).outputs[node]["audio"]]
    assert titles == ["content", "style", "result 1: alpha 0.5 · decode phase", "result 2: alpha 1 · decode gain"]


def album(comfy: ComfyServer, folder: str, names: list[str]) -> None:
    """Recordings of 1 s, 2 s ... in a folder of the input folder."""
    target = comfy.input / folder
    target.mkdir(parents=True, exist_ok=True)
    for seconds, name in enumerate(names, 1):
        soundfile.write(target / name, noise(seconds, 44100)[0].t().numpy(), 44100)


def folder_graph(**inputs: Any) -> tuple[Graph, str, str]:
    """A folder's recordings to files of their names; the node that loads them and the one that saves them."""
    graph = Graph()
    folder = graph.add("StylusLoadAudioFolder", **inputs)
    return graph, folder, graph.add("StylusSaveAudio", audio=[folder, 0], filename_prefix=[folder, 1])


def test_what_follows_a_folder_runs_once_for_each_recording(comfy: ComfyServer) -> None:
    album(comfy, "album", ["b.wav", "a.flac"])
    (comfy.input / "album" / "cover.txt").write_text("no sound")
    write_with_ffmpeg(comfy.input / "album" / "aa.mp4", None, 44100, picture=True)
    graph, folder, save = folder_graph(folder="album")
    run = comfy.finish(graph)
    assert any("'aa.mp4' has no audio stream" in text for text in run.words(folder))
    files = comfy.files(run, save, "audio")
    assert [path.name.split("_")[0] for path in files] == ["a", "b"]
    assert [round(soundfile.info(path).duration) for path in files] == [2, 1]


def test_part_of_a_folder_and_what_is_none(comfy: ComfyServer) -> None:
    """The number and the weights come out of other nodes and are not known before the run."""
    album(comfy, "deep/er", ["1.wav", "2.wav", "3.wav"])
    (comfy.input / "empty").mkdir(exist_ok=True)
    graph, folder, save = folder_graph(folder="deep/er", most=1)
    graph.set(folder, first=[graph.add("PrimitiveInt", value=2), 0])
    weights = {"weights": [graph.add("PrimitiveString", value="1"), 0]}
    matched = graph.add("StylusMatchTone", audio=[folder, 0], **{"styles.style_0": [folder, 0]}, **weights)
    graph.set(save, audio=[matched, 0])
    (path,) = comfy.files(comfy.finish(graph), save, "audio")
    assert path.name.startswith("2_")
    for change, expected in (
        ({"folder": "../output"}, "folder - folder '../output'"),
        ({"folder": "empty"}, "folder - folder 'empty'"),
        ({"first": 9}, "folder - first is 9"),
        ({"first": 0}, "smaller than min"),
    ):
        graph[folder]["inputs"] = {"folder": "deep/er", **change}
        said = comfy.failure(graph, refused=True)
        assert (expected in said, said.count("; ")) == (True, 1)  # once


def test_a_link_out_of_the_input_folder_is_not_followed(comfy: ComfyServer) -> None:
    album(comfy, "linking", ["1.wav"])
    for link, target in (("linking/2.flac", "melody.flac"), ("linked", "")):
        (comfy.input / link).unlink(missing_ok=True)
        (comfy.input / link).symlink_to(RECORDINGS / target)
    graph, folder, _ = folder_graph(folder="linking", most=1)
    comfy.finish(graph)
    for inputs in ({"folder": "linking", "most": 0}, {"folder": "linked"}):
        graph.set(folder, **inputs)
        assert "outside ComfyUI's folders" in comfy.failure(graph, refused=True)


def test_a_recording_takes_the_tone_of_two_others_and_shows_the_curve(comfy: ComfyServer) -> None:
    graph = Graph()
    content = graph.add("TestAudio", samples=44100, channels=2)
    sound, silence = (graph.add("TestAudio", samples=30000, sample_rate=48000, loudness=level) for level in (0.1, 0.0))
    warned = {}
    for other in (sound, silence):
        styles = {"styles.style_0": [sound, 0], "styles.style_1": [other, 0]}
        tone = graph.add("StylusMatchTone", audio=[content, 0], tone=1.0, weights="2, 1", **styles)
        shown = graph.add("PreviewAudio", audio=[tone, 0]), graph.add("PreviewImage", images=[tone, 1])
        warned[tone] = shown, other == silence
    run = comfy.finish(graph)
    for tone, ((audio, curve), silent) in warned.items():
        assert run.outputs[audio]["audio"]
        assert run.outputs[curve]["images"]
        assert any("a style is silent" in text for text in run.words(tone)) == silent


def test_every_bundled_recording_can_be_heard_and_seen(comfy: ComfyServer) -> None:
    options = comfy.get("/object_info/StylusLoadAudioMel")["StylusLoadAudioMel"]["input"]["required"]["audio"][1]
    bundled = [name.removeprefix("stylus/") for name in options["options"] if name.startswith("stylus/")]
    assert bundled == sorted(path.name for path in RECORDINGS.iterdir())
    for name in bundled:
        assert comfy.read(f"/api/stylus/recordings/{name}") == (RECORDINGS / name).read_bytes()
    shown = comfy.get("/stylus/overview?audio=stylus/melody.flac")
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


@pytest.mark.skipif(sys.platform == "win32", reason="files there are not sparse")
def test_work_for_a_browser_that_has_gone_ends(comfy: ComfyServer) -> None:
    """Each of the four would take 20 s, and the last request waits for a minute."""
    url = urllib.parse.urlsplit(comfy.url)
    for number in range(4):
        write_days(comfy.input / f"days{number}.wav")
        with socket.create_connection((url.hostname, url.port)) as browser:
            browser.sendall(f"GET /stylus/overview?audio=days{number}.wav HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            comfy.get("/system_stats")
    soundfile.write(comfy.input / "after.wav", np.zeros(8000), 8000)
    assert comfy.get("/stylus/overview?audio=after.wav")["seconds"] == 1


def test_what_is_above_full_scale_is_turned_down_and_not_lower(comfy: ComfyServer) -> None:
    sine = 1.5 * np.sin(2 * np.pi * 440 * np.arange(22050) / 44100)
    soundfile.write(comfy.input / "loud.wav", sine, 44100, subtype="FLOAT")
    graph = Graph()
    loaded = graph.add("StylusLoadAudioMel", audio="loud.wav", preset="tiny-256")
    exact = graph.add("StylusSaveAudio", audio=[loaded, 2], format="wav", bit_depth="float")
    flac = graph.add("StylusSaveAudio", audio=[loaded, 2])
    run = comfy.finish(graph)
    kept, lower = (soundfile.read(comfy.files(run, node, "audio")[0])[0] for node in (exact, flac))
    assert np.allclose(kept, sine, atol=1e-6)
    assert np.abs(lower).max() == pytest.approx(10 ** (-1 / 20), abs=0.002)
    assert np.allclose(lower / np.abs(lower).max(), sine / 1.5, atol=1e-3)
