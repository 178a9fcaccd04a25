"""A mask painted in ComfyUI's mask editor, on the picture of the content."""

import re

import numpy as np
import soundfile
from PIL import Image

from stylus_ops.tiny import RECORDINGS
from tests.integration.comfy_server import ComfyServer

from .conftest import Canvas, template

PREVIEW = "() => app.graph.nodes.find(node => node.type === 'PreviewImage')"
WHERE = f"""() => {{
  const {{pos, size}} = ({PREVIEW})();
  const {{scale, offset}} = app.canvas.ds;
  return [0, 1].map(axis => (pos[axis] + size[axis] / 2 + offset[axis]) * scale);
}}"""
COPIED = "async () => (await navigator.clipboard.read()).some(item => item.types.includes('image/png'))"
WIRE_THE_PAINTED = """() => {
  const painted = app.graph.nodes.find(node => node.type === "LoadImage");
  const sampler = app.graph.nodes.find(node => node.type === "StylusInjectSampler");
  painted.connect(1, sampler, sampler.inputs.findIndex(input => input.name === "mask"));
}"""


def test_only_what_is_painted_takes_the_style(canvas: Canvas, comfy: ComfyServer) -> None:
    canvas.open(template("5 Style mask", StylusSchedule=4, StylusSaveAudio=f"mask/{canvas.renderer}"))
    canvas.run(comfy.output / "mask", canvas.renderer)

    page = canvas.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.mouse.click(*page.evaluate(WHERE), button="right")
    page.get_by_text("Copy Image", exact=True).last.click()  # the template's note has these words too
    page.wait_for_function(COPIED)
    page.mouse.click(120, 600)  # left of the graph
    page.wait_for_timeout(500)  # the menu closes with the click, and the canvas hears the keys a little later
    page.keyboard.press("Control+v")
    page.wait_for_function("() => app.graph.nodes.find(node => node.type === 'LoadImage')?.widgets[0].value")
    page.wait_for_timeout(1000)
    canvas.skip_where_missing("mask editor that a test could paint in")
    page.evaluate("() => app.canvas.selectNode(app.graph.nodes.find(node => node.type === 'LoadImage'))")
    page.get_by_role("button", name="Open Mask Editor for Selected Node").click()
    save = page.locator("button:visible", has_text=re.compile(r"^\s*Save\s*$"))
    save.wait_for()
    page.wait_for_timeout(2000)
    box = page.locator("canvas.z-30").bounding_box()
    for row in np.linspace(0.02, 0.98, 40):
        y = box["y"] + row * box["height"]
        page.mouse.move(box["x"] + 0.6 * box["width"], y)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.99 * box["width"], y, steps=3)
        page.mouse.up()
    canvas.shot("mask_editor")
    save.click()
    page.wait_for_function(
        "() => app.graph.nodes.find(node => node.type === 'LoadImage').widgets[0].value.includes('clipspace')"
    )
    page.wait_for_timeout(1000)
    (painted,) = sorted(comfy.input.glob("clipspace-painted-masked-*.png"))[-1:]
    with Image.open(painted) as image:
        white = 1 - np.asarray(image.getchannel("A"), float) / 255
    assert white[:, : int(0.5 * image.width)].max() == 0
    assert white[:, int(0.65 * image.width) : int(0.95 * image.width)].mean() > 0.9

    page.evaluate(WIRE_THE_PAINTED)
    saved = canvas.run(comfy.output / "mask", canvas.renderer)
    canvas.shot("mask_painted")
    content, result = (soundfile.read(path)[0] for path in (RECORDINGS / "melody.flac", saved))
    change = np.abs(result - content)
    left, right = (part.mean() for part in (change[: int(0.5 * len(change))], change[int(0.65 * len(change)) :]))
    assert right > 1.5 * left
