"""Draw the pictures beside the templates in workflows/: content, style and result, as the template's own run saved it.

python -m scripts.thumbnails COMFYUI/output               # in the repository's root, after a run of each template
python -m scripts.thumbnails COMFYUI/output compare       # that one alone

A template whose model has to be downloaded is drawn without a result where none is there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from stylus_ops.audio.figure import draw, recording_panel
from stylus_ops.audio.files import read_audio
from stylus_ops.tiny import RECORDINGS

WORKFLOWS = Path(__file__).parents[1] / "workflows"
TEMPLATES = {
    "quick_start_tiny": ("Quick start", "nothing to download", ("style_a",), "stylus"),
    "quick_start_sd15": ("Quick start, SD 1.5", "the paper's setting; 2 GB to download", ("style_a",), "stylus_sd15"),
    "blend_styles": ("Blend styles", "any number, with weights", ("style_a", "style_b"), "stylus_blend"),
    "whole_song": ("A whole stereo song", "any length, recompute", ("style_a",), "stylus_song"),
    "style_mask": ("Style by a mask", "where it is white", ("style_a",), "stylus_mask"),
    "tone_first": ("Tone first", "an equaliser, then the model", ("style_b",), "stylus_tone"),
    "stock_sampler_lora": (
        "Stock sampler, LoRA",
        "the style as a patch; 2 GB to download",
        ("style_a",),
        "stylus_patch",
    ),
    "compare": ("Compare", "by eye and by ear", ("style_a",), "stylus_compare"),
}
"""By template: title, what it shows, the bundled styles and the prefix of what it saves."""
SIZE, EDGE, HEADING = (640, 400), 20, 92
NIGHT, WHITE, GREY = (15, 13, 28), (246, 248, 252), (170, 174, 190)


def thumbnail(title: str, shows: str, recordings: list[tuple[str, Path]]) -> Image.Image:
    """The title above the recordings' mel spectrograms, from left to right."""
    image = Image.new("RGB", SIZE, NIGHT)
    pen = ImageDraw.Draw(image)
    pen.text((EDGE, 44), title, WHITE, ImageFont.load_default(36), anchor="ls")
    pen.text((EDGE, 74), shows, GREY, ImageFont.load_default(20), anchor="ls")
    width = (SIZE[0] - EDGE * (len(recordings) + 1)) // len(recordings)
    for number, (name, path) in enumerate(recordings):
        waveform, rate = read_audio(path)
        figure = draw([recording_panel(name, waveform[0], rate)])
        left = EDGE + number * (width + EDGE)
        plot = figure.image.crop(figure.plots[0]).resize((width, SIZE[1] - HEADING - 48), Image.Resampling.LANCZOS)
        image.paste(plot, (left, HEADING))
        pen.text((left, SIZE[1] - 18), name, WHITE, ImageFont.load_default(20), anchor="ls")
    return image


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.thumbnails", description=__doc__)
    parser.add_argument("output", type=Path, help="folder in which ComfyUI saved what the templates made")
    parser.add_argument("templates", nargs="*", default=TEMPLATES, help="to be drawn; without one, all")
    arguments = parser.parse_args()
    output = arguments.output
    for name in arguments.templates:
        title, shows, styles, prefix = TEMPLATES[name]
        recordings = [("content", RECORDINGS / "melody.flac")]
        names = ("style",) if len(styles) == 1 else ("style A", "style B")
        recordings += [(shown, RECORDINGS / f"{style}.flac") for shown, style in zip(names, styles, strict=True)]
        if saved := sorted((output / "audio").glob(f"{prefix}_[0-9]*.flac")):
            recordings.append(("result", saved[-1]))
        thumbnail(title, shows, recordings).save(WORKFLOWS / f"{name}.jpg", quality=88)


if __name__ == "__main__":
    main()
