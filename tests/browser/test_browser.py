"""What somebody at the screen sees and hears: `make browser`."""

import json
from pathlib import Path

import pytest
import soundfile

from stylus_ops.tiny import RECORDINGS
from tests.integration.comfy_server import PACK, ComfyServer

from .conftest import Canvas, template

TEMPLATES = sorted((PACK / "workflows").glob("*.json"))
LANGUAGES = sorted(path.parent.name for path in (PACK / "locales").glob("*/nodeDefs.json"))
NOT_OFFERED = {"de"}
SEARCHES = {
    "timbre": "Inject Attention Sampler",
    "music style": "Inject Attention Sampler",
    "texture": "Inject Attention Sampler",
    "riffusion": "Inject Attention Sampler",
    "instrument swap": "Inject Attention Sampler",
    "cover": "Inject Attention Sampler",
    "keep melody change timbre": "Inject Attention Sampler",
    "audio style transfer": "Inject Attention Sampler",
    "unsample": "DDIM Invert",
    "drums": "Mask from Sound",
}
"""What people look for, and which of the pack's nodes comes first; ComfyUI puts others before it that have the word in their names."""
LOADER = "() => app.graph.nodes.find(node => node.type === 'StylusLoadAudioMel')"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_template_opens_whole_and_nothing_lies_on_top_of_anything(canvas: Canvas, path: Path) -> None:
    canvas.open(template(path.stem))
    canvas.shot(path.stem)
    unknown = "() => app.graph.nodes.map(n => n.type).filter(type => !LiteGraph.registered_node_types[type])"
    assert set(canvas.page.evaluate(unknown)) <= {"MarkdownNote"}
    assert canvas.overlaps() == []
    assert canvas.page.evaluate("() => app.canvas.ds.scale") >= 8 / 14  # below it titles are left out
    assert canvas.errors == []


def test_the_quick_start_runs_by_its_button_and_plays_the_contents_length(canvas: Canvas, comfy: ComfyServer) -> None:
    graph = template("quick_start_tiny")
    for node in graph["nodes"]:
        if node["type"] == "StylusSchedule":
            node["widgets_values"][0] = 4
    canvas.open(graph)
    saved = canvas.run(comfy.output / "audio", "stylus_")
    canvas.page.wait_for_selector(".stylus-compare .track")
    names = canvas.page.locator(".stylus-compare .track").all_inner_texts()
    assert names == ["content", "style", "result"]
    content = soundfile.info(RECORDINGS / "melody.flac").duration
    assert soundfile.info(saved).duration == pytest.approx(content, abs=1e-3)
    lengths = "() => [...document.querySelectorAll('audio')].map(player => player.duration)"
    canvas.page.wait_for_timeout(2000)
    if canvas.renderer == "classic":
        assert any(abs(length - content) < 0.1 for length in canvas.page.evaluate(lengths))

    buttons = canvas.page.locator(".stylus-compare .track")
    for heard in range(3):
        buttons.nth(heard).dispatch_event("click")
        pressed = [buttons.nth(number).get_attribute("aria-pressed") for number in range(3)]
        assert pressed == ["true" if number == heard else "false" for number in range(3)]
    canvas.shot("quick_start_done")
    assert canvas.overlaps() == []
    assert canvas.errors == []


def test_the_quick_start_is_an_app_too(canvas: Canvas, comfy: ComfyServer) -> None:
    graph = template("quick_start_tiny")
    for node in graph["nodes"]:
        if node["type"] == "StylusSchedule":
            node["widgets_values"][0] = 2
    graph["extra"]["linearMode"] = True
    canvas.open(graph)
    if (tour := canvas.page.get_by_text("Skip", exact=True)).is_visible():  # ComfyUI's own, the first time
        tour.click()
        canvas.page.wait_for_timeout(1000)
    canvas.shot("quick_start_app")
    shown = canvas.page.locator("body").inner_text()
    assert "alpha" in shown
    assert "audio" in shown
    assert "gamma" not in shown
    saved = canvas.run(comfy.output / "audio", "stylus_")
    canvas.shot("quick_start_app_done")
    assert soundfile.info(saved).frames == soundfile.info(RECORDINGS / "melody.flac").frames
    assert canvas.errors == []


def test_values_survive_being_saved_and_opened_again(canvas: Canvas) -> None:
    graph = template("quick_start_tiny")
    sampler = next(node for node in graph["nodes"] if node["type"] == "StylusInjectSampler")
    sampler["widgets_values"][:2] = [0.33, 0.44]
    canvas.open(graph)
    canvas.open(canvas.page.evaluate("() => app.graph.serialize()"))
    again = canvas.page.evaluate("() => app.graph.serialize()")
    kept = {node["id"]: node["widgets_values"] for node in again["nodes"] if "widgets_values" in node}
    for node in graph["nodes"]:
        mine = node["widgets_values"]
        assert kept.get(node["id"], [])[: len(mine)] == mine


def test_the_trim_handles_write_start_and_duration(canvas: Canvas) -> None:
    canvas.open(template("quick_start_tiny"))
    strip = canvas.page.locator(".stylus-trim").first
    strip.wait_for(state="visible")
    canvas.page.wait_for_timeout(2000)
    values = """() => app.graph.nodes.filter(node => node.type === 'StylusLoadAudioMel').map(
      node => node.widgets.filter(w => ['start', 'duration'].includes(w.name)).map(w => w.value))"""
    assert canvas.page.evaluate(values) == [[0, 0], [0, 0]]
    canvas.page.wait_for_function("() => document.querySelector('.stylus-trim').getBoundingClientRect().width > 50")
    box = strip.bounding_box()
    middle = box["y"] + box["height"] / 2
    canvas.page.mouse.move(box["x"] + 3, middle)
    canvas.page.mouse.down()
    canvas.page.mouse.move(box["x"] + box["width"] * 0.4, middle, steps=5)
    canvas.page.mouse.up()
    start, duration = max(canvas.page.evaluate(values))  # the renderers draw the two in different order
    seconds = soundfile.info(RECORDINGS / "melody.flac").duration
    assert start == pytest.approx(0.4 * seconds, abs=0.1)
    assert duration in (0, pytest.approx(seconds - start, abs=0.1))


def test_an_uploaded_recording_is_chosen(canvas: Canvas, comfy: ComfyServer) -> None:
    canvas.open(template("quick_start_tiny"))
    if canvas.renderer == "classic":
        with canvas.page.expect_file_chooser() as chooser:
            canvas.page.evaluate(f"() => ({LOADER})().widgets.find(w => w.name === 'upload').callback()")
        chooser.value.set_files(RECORDINGS / "style_b.flac")
    else:
        number = canvas.page.evaluate(f"() => ({LOADER})().id")
        canvas.page.locator(f'[data-node-id="{number}"] input[type=file]').set_input_files(RECORDINGS / "style_b.flac")
    canvas.page.wait_for_function(f"() => ({LOADER})().widgets.find(w => w.name === 'audio').value === 'style_b.flac'")
    assert (comfy.input / "style_b.flac").is_file()


def test_every_node_has_help_with_a_picture(canvas: Canvas) -> None:
    nodes = canvas.page.evaluate(
        "() => Object.keys(LiteGraph.registered_node_types).filter(n => n.startsWith('Stylus'))"
    )
    fetch = "async node => { const page = await fetch(`/extensions/stylus/docs/${node}.md`); return page.ok ? page.text() : '' }"
    load = """node => new Promise(seen => {
      const picture = new Image();
      picture.onload = () => seen(picture.naturalWidth);
      picture.onerror = () => seen(0);
      picture.src = `/extensions/stylus/docs/pictures/${node}.webp`;
    })"""
    assert len(nodes) > 10
    assert [node for node in nodes if not canvas.page.evaluate(fetch, node).startswith("# ")] == []
    assert [node for node in nodes if canvas.page.evaluate(load, node) < 200] == []


def test_help_opens_beside_the_graph_with_its_picture(canvas: Canvas) -> None:
    canvas.open(template("quick_start_tiny"))
    canvas.page.evaluate(
        "() => app.canvas.selectNode(app.graph.nodes.find(node => node.type === 'StylusInjectSampler'))"
    )
    canvas.page.get_by_role("button", name="Node Info").click()
    picture = canvas.page.locator("img[src*='pictures/StylusInjectSampler']")
    picture.wait_for()
    canvas.page.wait_for_timeout(1000)
    canvas.shot("help")
    assert picture.evaluate("image => image.naturalWidth") > 200
    assert "Samples the content again" in canvas.page.locator("body").inner_text()
    canvas.page.get_by_role("button", name="Toggle properties panel").click()  # it would stay for the tests to come


def test_a_search_finds_the_node_that_is_meant(canvas: Canvas) -> None:
    canvas.open({"nodes": [], "links": [], "version": 0.4})
    first = {}
    for words in SEARCHES:
        found = canvas.search(words)
        first[words] = next((name for name, source, *_ in found if source == "stylus"), None)
        for _ in range(2):
            canvas.page.keyboard.press("Escape")
            canvas.page.wait_for_timeout(300)
    assert first == SEARCHES


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_shows_its_words(canvas: Canvas, language: str) -> None:
    if language in NOT_OFFERED:
        pytest.skip("ComfyUI's own settings do not offer this language yet")
    words = json.loads((PACK / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8"))
    canvas.set("Comfy.Locale", language)
    try:
        canvas.page.reload()
        canvas.ready()
        shown = canvas.page.evaluate(
            "() => Object.fromEntries(Object.entries(LiteGraph.registered_node_types)"
            ".filter(([name]) => name.startsWith('Stylus')).map(([name, kind]) => [name, kind.title]))"
        )
        canvas.open(template("quick_start_tiny"))
        canvas.shot(f"quick_start_tiny-{language}")
        assert shown == {name: node["display_name"] for name, node in words.items()}
    finally:
        canvas.set("Comfy.Locale", "en")
        canvas.page.reload()  # or ComfyUI would open the graph once more, in English, while the next test is at work
        canvas.ready()
