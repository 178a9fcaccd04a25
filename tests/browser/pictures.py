"""Photograph the nodes for their help pages, into web/docs/pictures: as a template has them, after a run where one shows something.

python -m tests.browser.pictures http://127.0.0.1:8188                   # a ComfyUI with this pack runs there; needs a Chromium
python -m tests.browser.pictures http://127.0.0.1:8188 StylusCompare     # that one alone
"""

from __future__ import annotations

import argparse
import io

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.browser.conftest import EMPTY, Canvas, chromium, template
from tests.integration.comfy_server import PACK

PICTURES = PACK / "web" / "docs" / "pictures"
LARGEST, WIDTH = (1200, 800), 800  # on the screen, and in the file
CORNER, MARGIN = (90, 100), 24
SHOWN: dict[str, dict[str, list[str]]] = {
    "2 Step by step": {
        "StylusLoadTiny": ["StylusLoadTiny", "StylusSchedule"],
        "StylusAudioToMel": ["StylusMatchTone", "StylusAudioToMel", "VAEEncode"],
        "StylusDDIMInvert": ["StylusAudioToMel", "StylusDDIMInvert"],
        "StylusCaptureStyle": ["StylusCaptureStyle"],
        "StylusInjectSampler": ["StylusInjectSampler"],
        "StylusPhaseDecode": ["VAEDecode", "StylusPhaseDecode"],
        "StylusSaveAudio": ["StylusSaveAudio"],
    },
    "3 Blend styles": {"StylusBlendStyles": ["StylusCaptureStyle", "StylusBlendStyles", "StylusInjectSampler"]},
    "4 Whole song": {"StylusLoadAudioMel": ["StylusLoadAudioMel", "VAEEncode"]},
    "5 Style mask": {"StylusMaskFromSound": ["StylusMaskFromSound", "MaskPreview", "PreviewImage"]},
    "6 Tone first": {"StylusMatchTone": ["StylusMatchTone", "PreviewImage"]},
    "7 Compare dials": {"StylusCompare": ["StylusCompare"]},
    "9 Stock sampler and LoRA": {"StylusApplyStyle": ["StylusApplyStyle", "KSamplerSelect", "SamplerCustom"]},
    "": {
        "StylusSchedule": ["StylusSchedule", "StylusCaptureStyle"],
        "StylusSaveStyle": ["StylusCaptureStyle", "StylusSaveStyle"],
        "StylusLoadStyle": ["StylusLoadStyle", "StylusInjectSampler"],
        "StylusLoadAudioFolder": ["StylusLoadAudioFolder", "StylusAudioToMel"],
    },
}
"""By template, or none: the page, and the nodes that its picture frames."""
RUN = {"2 Step by step", "5 Style mask", "6 Tone first", "7 Compare dials"}
WIRED = """kinds => {
  const nodes = kinds.map((kind, place) => Object.assign(LiteGraph.createNode(kind), {pos: [320 * place, 0]}));
  nodes.forEach(node => app.graph.add(node));
  nodes.slice(1).forEach((node, place) => nodes[place].connectByType(0, node, nodes[place].outputs[0].type));
}"""
FIT = """([kinds, largest, corner, margin]) => {
  const nodes = kinds.map(kind => app.graph.nodes.find(node => node.type === kind));
  const edge = (axis, choose, size) => choose(...nodes.map(({pos, size: [width, height]}) => pos[axis] + size * [width, height][axis]));
  const [left, top] = [edge(0, Math.min, 0) - margin, edge(1, Math.min, 0) - 30 - margin];
  const [width, height] = [edge(0, Math.max, 1) + margin - left, edge(1, Math.max, 1) + margin - top];
  const scale = Math.min(1, largest[0] / width, largest[1] / height);
  app.canvas.ds.scale = scale;
  app.canvas.ds.offset = [corner[0] / scale - left, corner[1] / scale - top];
  app.canvas.setDirty(true, true);
  return [width * scale, height * scale];
}"""


def photograph(canvas: Canvas, name: str, page: str, kinds: list[str]) -> None:
    if not name:
        canvas.open(EMPTY)
        canvas.page.evaluate(WIRED, kinds)
    width, height = canvas.page.evaluate(FIT, [kinds, LARGEST, CORNER, MARGIN])
    canvas.page.wait_for_timeout(2000)
    clip = {"x": CORNER[0], "y": CORNER[1], "width": width, "height": height}
    with Image.open(io.BytesIO(canvas.page.screenshot(clip=clip))) as image:
        image.thumbnail((WIDTH, WIDTH), Image.Resampling.LANCZOS)
        image.convert("RGB").save(PICTURES / f"{page}.webp", quality=80, method=6)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.browser.pictures", description=__doc__)
    parser.add_argument("address", help="of a running ComfyUI, such as http://127.0.0.1:8188")
    parser.add_argument("pages", nargs="*", help="whose pictures are taken, such as StylusCompare; without one, all")
    arguments = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--mute-audio"])
        canvas = Canvas(browser, arguments.address, "nodes2")
        canvas.set("Comfy.Minimap.Visible", False)
        for name, frames in SHOWN.items():
            wanted = {page: kinds for page, kinds in frames.items() if page in (arguments.pages or frames)}
            if wanted and name:
                canvas.open(template(name))
            if wanted and name in RUN:
                canvas.page.get_by_test_id("queue-button").click()
                canvas.page.get_by_text("Job completed").wait_for(timeout=600_000)
                canvas.page.wait_for_timeout(8000)  # until that notice has gone
            for page, kinds in wanted.items():
                photograph(canvas, name, page, kinds)
        browser.close()


if __name__ == "__main__":
    main()
