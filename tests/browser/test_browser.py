"""What somebody at the screen sees and hears: `make browser`."""

import json
from pathlib import Path
from typing import Any

import pytest
import soundfile

from stylus_ops.tiny import RECORDINGS
from tests.integration.comfy_server import PACK, ComfyServer

from .conftest import Canvas

TEMPLATES = sorted((PACK / "workflows").glob("*.json"))
LANGUAGES = sorted(path.parent.name for path in (PACK / "locales").glob("*/nodeDefs.json"))
NOT_OFFERED = {"de"}
BOXES = """() => app.graph.nodes.map(node => {
  const drawn = document.querySelector(`[data-node-id="${node.id}"]`)?.getBoundingClientRect();
  const height = drawn ? drawn.height / app.canvas.ds.scale - 30 : node.size[1];
  return {name: `${node.id} ${node.title}`, left: node.pos[0], top: node.pos[1] - 30,
          right: node.pos[0] + node.size[0], bottom: node.pos[1] + height};
})"""
LOADER = "() => app.graph.nodes.find(node => node.type === 'StylusLoadAudioMel')"


def template(name: str) -> dict[str, Any]:
    return json.loads((PACK / "workflows" / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_template_opens_whole_and_nothing_lies_on_top_of_anything(canvas: Canvas, path: Path) -> None:
    canvas.open(template(path.stem))
    canvas.shot(path.stem)
    unknown = "() => app.graph.nodes.map(n => n.type).filter(type => !LiteGraph.registered_node_types[type])"
    assert set(canvas.page.evaluate(unknown)) <= {"MarkdownNote"}
    boxes = canvas.page.evaluate(BOXES)
    overlaps = [
        (one["name"], other["name"])
        for index, one in enumerate(boxes)
        for other in boxes[index + 1 :]
        if one["left"] < other["right"]
        and other["left"] < one["right"]
        and one["top"] < other["bottom"] - 1
        and other["top"] < one["bottom"] - 1
    ]
    assert overlaps == []
    assert canvas.page.evaluate("() => app.canvas.ds.scale") >= 8 / 14  # below it titles are left out
    assert canvas.errors == []


def test_the_quick_start_runs_by_its_button_and_plays_the_contents_length(canvas: Canvas, comfy: ComfyServer) -> None:
    graph = template("quick_start_tiny")
    for node in graph["nodes"]:
        if node["type"] == "StylusSchedule":
            node["widgets_values"][0] = 4
    canvas.open(graph)
    canvas.page.get_by_test_id("queue-button").or_(
        canvas.page.get_by_role("button", name="Run", exact=True)
    ).first.click()
    canvas.page.wait_for_selector(".stylus-compare .track", timeout=300_000)
    names = canvas.page.locator(".stylus-compare .track").all_inner_texts()
    assert names == ["content", "style", "result"]
    content = soundfile.info(RECORDINGS / "melody.flac").duration
    saved = sorted(comfy.output.glob("audio/*.flac"))[-1]
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
    assert canvas.errors == []


def test_the_quick_start_is_an_app_too(canvas: Canvas) -> None:
    graph = template("quick_start_tiny")
    graph["extra"]["linearMode"] = True
    canvas.open(graph)
    canvas.shot("quick_start_app")
    shown = canvas.page.locator("body").inner_text()
    assert "alpha" in shown
    assert "audio" in shown
    assert "gamma" not in shown
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
    if canvas.renderer != "classic":
        pytest.skip("Nodes 2.0 has a picker of its own in the place of the button")
    with canvas.page.expect_file_chooser() as chooser:
        canvas.page.evaluate(f"() => ({LOADER})().widgets.find(w => w.name === 'upload').callback()")
    chooser.value.set_files(RECORDINGS / "style_b.flac")
    canvas.page.wait_for_function(f"() => ({LOADER})().widgets.find(w => w.name === 'audio').value === 'style_b.flac'")
    assert (comfy.input / "style_b.flac").is_file()


def test_every_node_has_help(canvas: Canvas) -> None:
    nodes = canvas.page.evaluate(
        "() => Object.keys(LiteGraph.registered_node_types).filter(n => n.startsWith('Stylus'))"
    )
    fetch = "async node => { const page = await fetch(`/extensions/stylus/docs/${node}.md`); return page.ok ? page.text() : '' }"
    assert len(nodes) > 10
    assert [node for node in nodes if not canvas.page.evaluate(fetch, node).startswith("# ")] == []


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
