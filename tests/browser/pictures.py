"""Photograph the README's screen, the nodes for their help pages and the templates' thumbnails, as ComfyUI shows them after a run.

python -m tests.browser.pictures http://127.0.0.1:8188                   # a ComfyUI with this pack runs there; needs a Chromium
python -m tests.browser.pictures http://127.0.0.1:8188 "7 Compare dials"    # those of that template alone
"""

from __future__ import annotations

import argparse
import io
import re
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.browser.conftest import EMPTY, FOUND, Canvas, chromium, template
from tests.integration.comfy_server import PACK

HELP = PACK / "web" / "docs" / "pictures"
SCREEN = PACK / "docs" / "comfyui.webp"
SUBTITLES = dict(
    re.findall(r"^\| (\d .+?) \| (.+?) \|$", (PACK / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
)
"""By template, what README says of it."""
LARGEST, HELP_WIDTH = (1500, 800), 800  # on the screen, and in the file
CORNER, MARGIN, CARD_SIZE = (90, 100), 24, 512
SHOWN: dict[str, dict[str, list[str]]] = {
    "1 Quick start": {"comfyui": []},
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
"""By template, or none: the picture, and the nodes that it frames, without names all."""
DOWNLOADING = ("8 Stable Diffusion 1.5", "9 Stock sampler and LoRA")
"""They aren't run: their thumbnails show the first one's two recordings."""
WIRED = """kinds => {
  const nodes = kinds.map((kind, place) => Object.assign(LiteGraph.createNode(kind), {pos: [320 * place, 0]}));
  nodes.forEach(node => app.graph.add(node));
  nodes.slice(1).forEach((node, place) => nodes[place].connectByType(0, node, nodes[place].outputs[0].type));
}"""
FIT = """([kinds, largest, corner, margin]) => {
  const nodes = kinds.length ? kinds.map(kind => app.graph.nodes.find(node => node.type === kind)) : app.graph.nodes;
  const edge = (axis, choose, size) => choose(...nodes.map(({pos, size: [width, height]}) => pos[axis] + size * [width, height][axis]));
  const [left, top] = [edge(0, Math.min, 0) - margin, edge(1, Math.min, 0) - 30 - margin];
  const [width, height] = [edge(0, Math.max, 1) + margin - left, edge(1, Math.max, 1) + margin - top];
  const scale = Math.min(1, largest[0] / width, largest[1] / height);
  app.canvas.ds.scale = scale;
  app.canvas.ds.offset = [corner[0] / scale - left, corner[1] / scale - top];
  app.canvas.setDirty(true, true);
  return [width * scale, height * scale];
}"""
CARD = """([words, {stylus_compare: [{filename, size: [width, height]}], audio}, side]) => {
  const panel = ({title, seconds, plot: [left, top, end, bottom]}) => {
    const share = Math.min(1, seconds / audio[0].seconds), right = left + share * (end - left);
    return `${title}<div style="flex: 1; width: ${100 * share}%; margin: 2px 0 8px; border-radius: 4px; background:
      url(/view?type=temp&filename=${filename}) ${100 * left / (width - right + left)}% ${100 * top / (height - bottom + top)}%
      / ${100 * width / (right - left)}% ${100 * height / (bottom - top)}%"></div>`;
  };
  document.body.insertAdjacentHTML("beforeend", `<div id="card" style="position: fixed; inset: 0 auto auto 0; z-index: 99999;
    width: ${side}px; height: ${side}px; padding: 80px 20px 20px; display: flex; flex-direction: column; box-sizing: border-box;
    background: #16161a; color: #ccc; font: 22px/26px sans-serif">${audio.map(panel).join("")}
    <div style="font-size: 26px; line-height: 30px; color: #fff">${words}</div></div>`);  // ComfyUI lays a word over the top
}"""


def photograph(canvas: Canvas, left: float, top: float, width: float, height: float) -> Image.Image:
    canvas.page.wait_for_timeout(2000)
    shot = canvas.page.screenshot(clip={"x": left, "y": top, "width": width, "height": height})
    return Image.open(io.BytesIO(shot)).convert("RGB")


def frame(canvas: Canvas, page: str, kinds: list[str]) -> None:
    size = canvas.page.evaluate(FIT, [kinds, LARGEST, CORNER, MARGIN])
    image = photograph(canvas, *CORNER, *size)
    if page != SCREEN.stem:
        image.thumbnail((HELP_WIDTH, HELP_WIDTH), Image.Resampling.LANCZOS)
    image.save(SCREEN if page == SCREEN.stem else HELP / f"{page}.webp", quality=80, method=6)


def draw_card(canvas: Canvas, name: str, found: dict[str, Any]) -> None:
    """A template's thumbnail: the panels of Compare, and what README says of it."""
    canvas.page.evaluate(CARD, [SUBTITLES[name], found, CARD_SIZE])
    image = photograph(canvas, 0, 0, CARD_SIZE, CARD_SIZE)
    image.save(PACK / "workflows" / f"{name}.jpg", quality=85, optimize=True)
    canvas.page.evaluate("() => document.querySelector('#card').remove()")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.browser.pictures", description=__doc__)
    parser.add_argument("address", help="of a running ComfyUI, such as http://127.0.0.1:8188")
    parser.add_argument("templates", nargs="*", help="whose pictures are taken; without one, all")
    arguments = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--mute-audio"])
        canvas = Canvas(browser, arguments.address, "nodes2")
        canvas.set("Comfy.Minimap.Visible", False)
        for name in arguments.templates or SHOWN:
            if name:
                canvas.open(template(name))
            if name and name not in DOWNLOADING:
                canvas.page.get_by_test_id("queue-button").click()
                canvas.page.get_by_text("Job completed").wait_for(timeout=600_000)
                canvas.page.wait_for_timeout(8000)  # until that notice has gone
                found = canvas.page.evaluate(FOUND)
                draw_card(canvas, name, found)
                for other in DOWNLOADING if name.startswith("1") else ():
                    draw_card(canvas, other, {**found, "audio": found["audio"][:2]})
            for page, kinds in SHOWN[name].items():
                if not name:
                    canvas.open(EMPTY)
                    canvas.page.evaluate(WIRED, kinds)
                frame(canvas, page, kinds)
        browser.close()


if __name__ == "__main__":
    main()
