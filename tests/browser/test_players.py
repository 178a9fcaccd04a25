"""A transfer after its run: what can be heard of it, and how."""

from typing import Any

import pytest
import soundfile

from stylus_ops.tiny import RECORDINGS
from tests.integration.comfy_server import ComfyServer

from .conftest import FOUND, Canvas, template

SECONDS = soundfile.info(RECORDINGS / "melody.flac").duration
STYLE_SECONDS = {"classic": 1.9, "nodes2": 1.8}  # or the second would come from ComfyUI's cache, without its warning
PLAYER = """async () => {
  const node = app.graph.nodes.find(node => node.type === "StylusSaveAudio");
  const player = document.querySelector(`[data-node-id="${node.id}"] audio`) ?? node.widgets.find(w => w.name === "audioUI").element;
  player.muted = true;
  await player.play();
  for (let waited = 0; player.currentTime < 0.2 && waited < 5000; waited += 50) await new Promise(done => setTimeout(done, 50));
  player.pause();
  return {file: new URL(player.src).searchParams.get("filename"), seconds: player.duration, at: player.currentTime,
          seen: player.parentElement.checkVisibility() && player.parentElement.offsetWidth > 100}; // Nodes 2.0 has its own buttons there
}"""
SWITCH = """async order => {
  const ears = [];
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (target, ...others) {
    if (target instanceof AudioDestinationNode) {
      const ear = new AnalyserNode(this.context);
      connect.call(this, ear);
      ears.push({ear, volume: this});
    }
    return connect.call(this, target, ...others);
  };
  const wait = milliseconds => new Promise(done => setTimeout(done, milliseconds));
  const find = name => document.querySelector(`.stylus-compare ${name}`);
  const tracks = [...document.querySelectorAll(".stylus-compare .track")];
  const peak = ear => {
    const samples = new Float32Array(ear.fftSize);
    ear.getFloatTimeDomainData(samples);
    return Math.max(...samples.map(Math.abs));
  };
  find(".play").click();
  while (find(".play").ariaLabel !== "Pause") await wait(20);
  const heard = [];
  for (const index of order) {
    tracks[index].click();
    await wait(300);
    heard.push({
      at: parseFloat(find(".clock").textContent),
      pressed: tracks.map(track => track.ariaPressed === "true"),
      volumes: ears.map(({volume}) => volume.gain.value),
      sound: ears.map(({ear}) => peak(ear) > 1e-3),
    });
  }
  find(".play").click();
  return heard;
}"""
STATE = """() => {
  const find = name => document.querySelector(`.stylus-compare ${name}`);
  return {at: parseFloat(find(".clock").textContent), plays: find(".play").ariaLabel === "Pause",
          heard: [...document.querySelectorAll(".stylus-compare .track")].findIndex(track => track.ariaPressed === "true")};
}"""


@pytest.fixture(scope="module", autouse=True)
def saved(canvas: Canvas, comfy: ComfyServer) -> str:
    """The transfer step by step with a short style, run; the name of the file that it saved."""
    prefix = f"players/{canvas.renderer}"  # or nothing new would be saved for the second
    graph = template("2 Step by step", StylusSchedule=4, StylusSaveAudio=prefix)
    (style,) = (node for node in graph["nodes"] if node.get("title") == "Style: timbre")
    style["widgets_values"][2] = style["widgets_values_named"]["duration"] = STYLE_SECONDS[canvas.renderer]
    canvas.open(graph)
    path = canvas.run(comfy.output / "players", canvas.renderer)
    canvas.page.wait_for_selector(".stylus-compare .track")
    canvas.page.wait_for_timeout(2000)
    assert soundfile.info(path).duration == pytest.approx(SECONDS, abs=1e-3)
    return path.name


def test_it_stands_whole_after_its_run(canvas: Canvas) -> None:
    canvas.shot("quick_start_done")
    assert canvas.page.locator(".stylus-compare .track").all_inner_texts() == ["content", "style", "result"]
    assert canvas.page.evaluate(STATE)["heard"] == 2
    assert canvas.page.get_by_text(f"the style lasts {STYLE_SECONDS[canvas.renderer]} s").count() == 1
    assert canvas.overlaps() == []
    assert canvas.errors == []


def test_the_results_own_player_plays_it(canvas: Canvas, saved: str) -> None:
    player = canvas.page.evaluate(PLAYER)
    assert player["file"] == saved
    assert player["seen"]
    assert player["seconds"] == pytest.approx(SECONDS, abs=0.05)
    assert player["at"] >= 0.2


def test_what_is_heard_is_saved_from_compare(canvas: Canvas) -> None:
    with canvas.page.expect_download() as download:
        canvas.page.evaluate("() => document.querySelector('.stylus-compare .save').click()")
    assert download.value.suggested_filename.endswith("_result.flac")  # ComfyUI names it, with its own prefix
    assert soundfile.info(download.value.path()).duration == pytest.approx(SECONDS, abs=1e-3)


def test_compare_switches_while_it_plays_and_the_playhead_goes_on(canvas: Canvas) -> None:
    gains = [track["gain"] for track in canvas.page.evaluate(FOUND)["audio"]]
    order = [0, 2, 1, 0]
    heard = canvas.page.evaluate(SWITCH, order)
    for index, moment in zip(order, heard, strict=True):
        chosen = [number == index for number in range(3)]
        assert moment["pressed"] == moment["sound"] == chosen
        assert moment["volumes"] == pytest.approx([gain * on for gain, on in zip(gains, chosen, strict=True)], abs=0.01)
    times = [moment["at"] for moment in heard]
    assert times == sorted(times)
    assert 0.8 < times[-1] - times[0] < SECONDS


def test_compare_obeys_the_keyboard_and_begins_again_where_it_is_asked_to(canvas: Canvas) -> None:
    def press(*keys: str) -> dict[str, Any]:
        canvas.page.evaluate("() => document.querySelector('.stylus-compare').focus({preventScroll: true})")
        for key in keys:
            canvas.page.keyboard.press(key)
            canvas.page.wait_for_timeout(200)
        return canvas.page.evaluate(STATE)

    assert [press(key)["heard"] for key in "231"] == [1, 2, 0]
    assert press(*["ArrowLeft"] * 8) == {"at": 0, "plays": False, "heard": 0}
    assert [press(key)["at"] for key in ("ArrowRight", "ArrowRight", "ArrowLeft")] == [1, 2, 1]
    assert [press("Space")["plays"] for _ in range(2)] == [True, False]
    canvas.page.evaluate("() => document.querySelector('.stylus-compare .loop').click()")
    press(*["ArrowRight"] * 8, "ArrowLeft", "Space")
    canvas.page.wait_for_timeout(1800)
    state = canvas.page.evaluate(STATE)
    assert state["plays"]
    assert 0 < state["at"] < SECONDS - 1
    press("Space")
    nodes = canvas.page.evaluate("() => app.graph.nodes.length")
    assert nodes == len(template("2 Step by step")["nodes"])  # no key reached the graph


def test_a_press_on_a_panel_of_compare_plays_that_clip_from_there(canvas: Canvas) -> None:
    plots = [track["plot"] for track in canvas.page.evaluate(FOUND)["audio"]]
    width, height = canvas.page.evaluate(FOUND)["stylus_compare"][0]["size"]
    box = canvas.page.locator(".stylus-compare .figure").bounding_box()
    for index, (left, top, right, bottom) in enumerate(plots):
        x, y = (left + 0.4 * (right - left)) / width, (top + bottom) / 2 / height
        canvas.page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
        state = canvas.page.evaluate(STATE)
        assert state["heard"] == index
        assert state["at"] == pytest.approx(0.4 * SECONDS, abs=0.06)
