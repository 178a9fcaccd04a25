"""What somebody at the screen sees and hears: `make browser`."""

import json
from pathlib import Path
from textwrap import fill

import pytest
import soundfile

from stylus_ops.tiny import RECORDINGS
from tests.integration.comfy_server import PACK, ComfyServer

from .conftest import EMPTY, Canvas, template

TEMPLATES = sorted((PACK / "workflows").glob("*.json"))
LANGUAGES = sorted({path.name for path in (PACK / "locales").iterdir()} - {"de"})  # not offered by ComfyUI's settings
ALONE = """kind => {
  app.graph.clear();
  const node = LiteGraph.createNode(kind);
  app.graph.add(node);
  Object.assign(app.canvas.ds, {scale: 1, offset: [400, 300]});
  app.canvas.selectNode(node);
  app.canvas.setDirty(true, true);
}"""
TITLES = """() => Object.fromEntries(Object.entries(LiteGraph.registered_node_types)
  .filter(([name]) => name.startsWith("Stylus")).map(([name, kind]) => [name, kind.title]))"""
SLOTS = "() => app.graph.nodes.find(node => node.subgraph).inputs.map(input => input.localized_name)"
TOLD = """text => {
  const node = app.graph.nodes.find(node => node.subgraph);
  comfyAPI.api.api.dispatchCustomEvent("progress_text", {nodeId: `${node.id}:${node.subgraph.nodes[0].id}`, text});
  return node.widgets.find(widget => widget.type === "progressText").value;
}"""
TRIMMED = """() => app.graph.nodes.filter(node => node.type === 'StylusLoadAudioMel').map(
  node => node.widgets.filter(w => ['start', 'duration'].includes(w.name)).map(w => w.value))"""
DIALS = ("content", "style", "audio", "alpha", "gamma", "grain", "detail", "partials", "steps")
LOADER = "() => app.graph.nodes.find(node => node.type === 'StylusLoadAudioMel')"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_template_opens_whole_and_nothing_lies_on_top_of_anything(canvas: Canvas, path: Path) -> None:
    canvas.open(template(path.stem))
    canvas.shot(path.stem)
    unknown = "() => app.graph.nodes.map(n => n.type).filter(type => !LiteGraph.registered_node_types[type])"
    assert set(canvas.page.evaluate(unknown)) <= {"MarkdownNote"}
    assert canvas.errors == []
    if canvas.renderer == "nodes2":
        canvas.skip_where_missing("room in Nodes 2.0 for the heights that nodes were saved with")
    assert canvas.overlaps() == []


def test_the_blueprint_is_found_first_placed_and_opened(canvas: Canvas) -> None:
    canvas.open(EMPTY)
    assert canvas.search("stylus")[0][:2] == ["Stylus", "Blueprint"]
    canvas.page.keyboard.press("Enter")
    canvas.page.wait_for_timeout(500)
    canvas.page.mouse.click(900, 300)
    canvas.page.wait_for_function("() => app.graph.nodes.length === 1")
    canvas.page.evaluate("() => app.canvas.openSubgraph(app.graph.nodes[0].subgraph, app.graph.nodes[0])")
    canvas.page.wait_for_timeout(1000)
    canvas.page.keyboard.press(".")  # fits what is shown into the window
    canvas.page.wait_for_timeout(1500)
    canvas.shot("blueprint_inside")
    assert canvas.overlaps() == []
    assert canvas.errors == []


def test_the_quick_start_is_an_app_too(canvas: Canvas, comfy: ComfyServer) -> None:
    graph = template(
        "1 Quick start", StylusSaveAudio=f"app/{canvas.renderer}"
    )  # or nothing new would be saved for the second
    graph["extra"]["linearMode"] = True
    canvas.open(graph)
    if (tour := canvas.page.get_by_text("Skip", exact=True)).is_visible():  # ComfyUI's own, the first time
        tour.click()
        canvas.page.wait_for_timeout(1000)
    canvas.shot("quick_start_app")
    shown = canvas.page.locator("body").inner_text().splitlines()
    assert [word for word in shown if word in DIALS] == ["content", "style", "alpha", "grain", "detail", "partials"]
    canvas.skip_where_missing("button of the app that a test could name")
    saved = canvas.run(comfy.output / "app", canvas.renderer)
    canvas.page.locator("[data-testid=linear-center-panel] img[src*=stylus_compare]").first.wait_for()
    assert canvas.page.locator("[data-testid=linear-history-item]").count() == 4  # the figure and three recordings
    assert canvas.page.locator(".stylus-compare .track:visible").all_inner_texts() == ["content", "style", "result"]
    canvas.shot("quick_start_app_done")
    assert soundfile.info(saved).frames == soundfile.info(RECORDINGS / "melody.flac").frames
    assert canvas.errors == []


def test_the_trim_handles_write_start_and_duration(canvas: Canvas) -> None:
    seconds = soundfile.info(RECORDINGS / "melody.flac").duration
    canvas.open(template("2 Step by step"))
    canvas.page.wait_for_function("() => document.querySelector('.stylus-trim').getBoundingClientRect().width > 50")
    box = canvas.page.locator(".stylus-trim").first.bounding_box()

    def at(share: float) -> tuple[float, float]:
        return box["x"] + box["width"] * share, box["y"] + box["height"] / 2

    def drag(begin: float, end: float) -> list[float]:
        """From one share of the width to another; returns the start and duration that this wrote, in either loader."""
        canvas.page.mouse.move(*at(begin))
        canvas.page.mouse.down()
        canvas.page.mouse.move(*at(end), steps=5)
        canvas.page.mouse.up()
        return max(canvas.page.evaluate(TRIMMED))

    assert drag(0.01, 0.4) == [pytest.approx(0.4 * seconds, abs=0.1), 0]
    start, duration = drag(0.99, 0.7)
    assert duration == pytest.approx(0.3 * seconds, abs=0.1)
    moved = drag(0.5, 0.7)  # the part between the handles
    assert moved == [pytest.approx(start + 0.2 * seconds, abs=0.1), pytest.approx(duration, abs=0.02)]
    canvas.page.mouse.dblclick(*at(0.7))
    assert canvas.page.evaluate(TRIMMED) == [[0, 0], [0, 0]]


def test_a_second_loader_starts_on_a_style(canvas: Canvas) -> None:
    canvas.open(EMPTY)
    for _ in range(2):
        canvas.page.evaluate("() => void app.graph.add(LiteGraph.createNode('StylusLoadAudioMel'))")
    values = "() => app.graph.nodes.map(node => ['audio', 'short_clip'].map(name => node.widgets.find(w => w.name === name).value))"
    (_, first), second = canvas.page.evaluate(values)
    assert [first, second] == ["pad", ["stylus/style_a.flac", "loop"]]


def test_an_uploaded_recording_is_chosen(canvas: Canvas, comfy: ComfyServer) -> None:
    canvas.open(template("2 Step by step"))
    if canvas.renderer == "classic":
        with canvas.page.expect_file_chooser() as chooser:
            canvas.page.evaluate(f"() => ({LOADER})().widgets.find(w => w.name === 'upload').callback()")
        chooser.value.set_files(RECORDINGS / "style_b.flac")
    else:
        number = canvas.page.evaluate(f"() => ({LOADER})().id")
        canvas.page.locator(f'[data-node-id="{number}"] input[type=file]').set_input_files(RECORDINGS / "style_b.flac")
    canvas.page.wait_for_function(f"() => ({LOADER})().widgets.find(w => w.name === 'audio').value === 'style_b.flac'")
    canvas.wait_for((comfy.input / "style_b.flac").is_file)  # the classic renderer chooses it before it is there


def test_every_nodes_help_opens_by_its_button_with_a_picture(canvas: Canvas) -> None:
    canvas.open(EMPTY)
    nodes = canvas.page.evaluate(
        "() => Object.keys(LiteGraph.registered_node_types).filter(n => n.startsWith('Stylus'))"
    )
    assert len(nodes) > 10
    help = canvas.page.locator(".node-help-content")
    for node in nodes:
        canvas.page.evaluate(ALONE, node)
        canvas.page.get_by_role("button", name="Node Info").click()
        help.locator(f"img[src*='pictures/{node}.webp']").wait_for()
        title = (PACK / "web" / "docs" / f"{node}.md").read_text(encoding="utf-8").splitlines()[0]
        assert help.locator("h1").inner_text() == title.removeprefix("# ")
        if node == "StylusInjectSampler":
            canvas.shot("help")
        canvas.page.get_by_role("button", name="Toggle properties panel").click()  # it would stay for the tests to come
    assert canvas.errors == []  # such as a page that was asked for under a name that isn't there


@pytest.mark.parametrize(
    ("words", "node"),
    [("timbre", "Inject Attention Sampler"), ("unsample", "DDIM Invert"), ("drums", "Mask from Sound")],
)
def test_a_search_finds_the_node_that_is_meant(canvas: Canvas, words: str, node: str) -> None:
    canvas.skip_where_missing("list of what a search finds that a test could read")
    canvas.open(EMPTY)
    assert next(name for name, source, *_ in canvas.search(words) if source == "stylus") == node
    canvas.page.keyboard.press("Escape")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_shows_its_words(canvas: Canvas, language: str) -> None:
    words, own, english = (
        json.loads((PACK / "locales" / name).read_text(encoding="utf-8"))
        for name in (f"{language}/nodeDefs.json", f"{language}/main.json", "en/main.json")
    )
    canvas.set("Comfy.Locale", language)
    try:
        canvas.page.reload()
        canvas.ready()
        shown = canvas.page.evaluate(TITLES)
        canvas.open(template("1 Quick start"))
        names = own["stylusNames"]
        assert canvas.page.evaluate(SLOTS)[:4] == [
            names[slot] for slot in ("content", "style", "model", "conditioning")
        ]
        assert canvas.page.locator(".stylus-compare .hint").first.inner_text() == own["stylus"]["run"]
        assert canvas.page.locator(".stylus-trim").first.get_attribute("title") == own["stylus"]["trim"]
        values = {"seconds": "0.3", "shortest": "2", "count": "4", "done": "3", "steps": "8", "left": "2 s"}
        warning, *status = ("short_style", "analysing", "step")
        said = [
            f"\N{WARNING SIGN} {english['stylusMessages'][warning]}",
            *(english["stylusMessages"][key] for key in status),
        ]
        told = [own["stylusMessages"][key].format(**values) for key in (warning, *status)]
        text = "\n".join(fill(line.format(**values), 34) for line in said)
        assert canvas.page.evaluate(TOLD, text).split() == f"\N{WARNING SIGN} {' '.join(told)}".split()
        canvas.shot(f"quick_start-{language}")
        assert shown == {name: node["display_name"] for name, node in words.items()}
    finally:
        canvas.set("Comfy.Locale", "en")
        canvas.page.reload()  # or ComfyUI would open the graph once more, in English, while the next test is at work
        canvas.ready()
