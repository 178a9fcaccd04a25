"""Photograph the nodes for their help pages, into web/docs/pictures: as they stand in a template, after a run where one shows something.

python -m scripts.help_pictures http://127.0.0.1:8188                   # in the repository's root; needs a Chromium
python -m scripts.help_pictures http://127.0.0.1:8188 StylusCompare     # that one alone
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from scripts.templates import ROOT, TEMPLATES, Template, ask, bundled, capture, encode, recording
from tests.browser.conftest import Canvas, chromium

PICTURES = ROOT / "web" / "docs" / "pictures"
LARGEST, WIDTH = (1200, 800), 800  # on the screen, and in the file
CORNER, MARGIN = (90, 100), 24
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


def save_style(board: Template) -> None:
    board.column("Style", 270)
    model = bundled(board)
    style = recording(board, "style", "Style: timbre", "style_a", model=model.model)
    board.column("Inversion", 250)
    captured = capture(board, model, board.add("StylusSchedule"), style, encode(board, "style", model, style))
    board.column("Keep", 270)
    board.add("StylusSaveStyle", None, "style", style=captured["style"], name="strings/cello")


def load_style(board: Template) -> None:
    board.column("Style", 270)
    model = bundled(board)
    kept = board.add("StylusLoadStyle", None, "style")
    board.column("Transfer", 250)
    board.add("StylusInjectSampler", model=model.model, conditioning=model.conditioning, style=kept["style"])


def folder(board: Template) -> None:
    board.column("Content", 270)
    model = bundled(board)
    album = board.add("StylusLoadAudioFolder", None, "content")
    board.column("Images", 250)
    clip = board.add("StylusAudioToMel", None, "content", audio=album["audio"], model=model.model)
    encode(board, "content", model, clip)


DRAWN: dict[str, Callable[[Template], None]] = {
    draw.__name__: draw for draw in (*TEMPLATES, save_style, load_style, folder)
}
SHOWN: dict[str, dict[str, list[str]]] = {
    "quick_start_tiny": {
        "StylusLoadTiny": ["StylusLoadTiny", "StylusSchedule"],
        "StylusAudioToMel": ["StylusMatchTone", "StylusAudioToMel", "VAEEncode"],
        "StylusDDIMInvert": ["StylusAudioToMel", "StylusDDIMInvert"],
        "StylusCaptureStyle": ["StylusCaptureStyle"],
        "StylusInjectSampler": ["StylusInjectSampler"],
        "StylusPhaseDecode": ["VAEDecode", "StylusPhaseDecode"],
        "StylusSaveAudio": ["StylusSaveAudio"],
    },
    "blend_styles": {"StylusBlendStyles": ["StylusCaptureStyle", "StylusBlendStyles", "StylusInjectSampler"]},
    "compare": {"StylusCompare": ["StylusCompare"]},
    "whole_song": {"StylusLoadAudioMel": ["StylusLoadAudioMel", "VAEEncode"]},
    "style_mask": {"StylusMaskFromSound": ["StylusMaskFromSound", "MaskPreview", "PreviewImage"]},
    "tone_first": {"StylusMatchTone": ["StylusMatchTone", "PreviewImage"]},
    "stock_sampler_lora": {"StylusApplyStyle": ["StylusApplyStyle", "KSamplerSelect", "SamplerCustom"]},
    "save_style": {
        "StylusSaveStyle": ["StylusCaptureStyle", "StylusSaveStyle"],
        "StylusSchedule": ["StylusSchedule", "StylusCaptureStyle"],
    },
    "load_style": {"StylusLoadStyle": ["StylusLoadStyle", "StylusInjectSampler"]},
    "folder": {"StylusLoadAudioFolder": ["StylusLoadAudioFolder", "StylusAudioToMel"]},
}
"""By graph: the page, and the nodes that its picture frames."""
RUN = {"quick_start_tiny", "compare", "style_mask", "tone_first"}


def photograph(canvas: Canvas, name: str, frames: Mapping[str, list[str]], schemas: Mapping[str, Any]) -> None:
    board = Template(name, schemas)
    DRAWN[name](board)
    for node in board.nodes:
        if node.kind == "StylusSchedule":
            node.inputs["steps"] = 10
    canvas.open(board.workflow())
    if name in RUN:
        canvas.page.get_by_test_id("queue-button").click()
        canvas.page.get_by_text("Job completed").wait_for(timeout=600_000)
        canvas.page.wait_for_timeout(8000)  # until that notice has gone
    for page, kinds in frames.items():
        width, height = canvas.page.evaluate(FIT, [kinds, LARGEST, CORNER, MARGIN])
        canvas.page.wait_for_timeout(2000)
        clip = {"x": CORNER[0], "y": CORNER[1], "width": width, "height": height}
        with Image.open(io.BytesIO(canvas.page.screenshot(clip=clip))) as image:
            image.thumbnail((WIDTH, WIDTH), Image.Resampling.LANCZOS)
            image.convert("RGB").save(PICTURES / f"{page}.webp", quality=80, method=6)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.help_pictures", description=__doc__)
    parser.add_argument("address", help="of a running ComfyUI, such as http://127.0.0.1:8188")
    parser.add_argument("pages", nargs="*", help="whose pictures are taken, such as StylusCompare; without one, all")
    arguments = parser.parse_args()
    address, pages = arguments.address, arguments.pages
    PICTURES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--mute-audio"])
        canvas = Canvas(browser, address, "nodes2")
        canvas.set("Comfy.Minimap.Visible", False)
        for name, frames in SHOWN.items():
            if wanted := {page: kinds for page, kinds in frames.items() if not pages or page in pages}:
                photograph(canvas, name, wanted, ask(address))
        browser.close()


if __name__ == "__main__":
    main()
