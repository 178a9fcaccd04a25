"""Draw the pictures beside the templates in workflows/: content, style and results, transferred anew by the template's dials.

python -m scripts.thumbnails                           # in the repository's root; some minutes
python -m scripts.thumbnails compare                   # that one alone
python -m scripts.thumbnails whole_song --song FILE    # a stereo song in place of the bundled melody

Templates whose model has to be downloaded are drawn without a result.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from stylus_ops.audio.figure import draw, recording_panel
from stylus_ops.audio.files import read_audio
from stylus_ops.audio.geometry import PRESETS
from stylus_ops.audio.mask import sound_mask
from stylus_ops.audio.windows import audio_to_windows
from stylus_ops.dials import SoundMask
from stylus_ops.engine.engine import Engine
from stylus_ops.pipeline.settings import Settings
from stylus_ops.pipeline.transfer import transfer_files
from stylus_ops.tiny import RECORDINGS

WORKFLOWS = Path(__file__).parents[1] / "workflows"
SIZE, EDGE, HEADING = (640, 400), 20, 92
NIGHT, WHITE, GREY = (15, 13, 28), (246, 248, 252), (170, 174, 190)


class Template(NamedTuple):
    title: str
    shows: str
    styles: tuple[str, ...] = ("style_a",)
    results: Mapping[str, Settings] = {"result": Settings()}
    """By what is written below them."""
    masked: bool = False


TEMPLATES = {
    "quick_start_tiny": Template("Quick start", "nothing to download", results={"result": Settings(tone=1)}),
    "quick_start_sd15": Template("Quick start, SD 1.5", "the paper's setting; 2 GB to download", results={}),
    "blend_styles": Template("Blend styles", "any number, with weights", ("style_a", "style_b")),
    "whole_song": Template("A whole stereo song", "any length, little memory"),
    "style_mask": Template("Style by a mask", "where it is white", masked=True),
    "tone_first": Template("Tone first", "an equaliser, then the model", ("style_b",), {"result": Settings(tone=1)}),
    "stock_sampler_lora": Template("Stock sampler, LoRA", "the style as a patch; 2 GB to download", results={}),
    "compare": Template(
        "Compare", "by eye and by ear", results={f"alpha {alpha}": Settings(alpha=alpha) for alpha in (0.5, 0.9, 1.2)}
    ),
}


def thumbnail(title: str, shows: str, recordings: Mapping[str, tuple[Tensor, int]]) -> Image.Image:
    """The title above the recordings' mel spectrograms, from left to right."""
    image = Image.new("RGB", SIZE, NIGHT)
    pen = ImageDraw.Draw(image)
    pen.text((EDGE, 44), title, WHITE, ImageFont.load_default(36), anchor="ls")
    pen.text((EDGE, 74), shows, GREY, ImageFont.load_default(20), anchor="ls")
    width = (SIZE[0] - EDGE * (len(recordings) + 1)) // len(recordings)
    for number, (name, (waveform, rate)) in enumerate(recordings.items()):
        figure = draw([recording_panel(name, waveform[0], rate)])
        left = EDGE + number * (width + EDGE)
        plot = figure.image.crop(figure.plots[0]).resize((width, SIZE[1] - HEADING - 48), Image.Resampling.LANCZOS)
        image.paste(plot, (left, HEADING))
        pen.text((left, SIZE[1] - 18), name, WHITE, ImageFont.load_default(20), anchor="ls")
    return image


def recordings(engine: Engine, template: Template, content: Path, folder: Path) -> dict[str, tuple[Tensor, int]]:
    """Content, styles and what the transfers give, by the words below them; files of the results are left in `folder`."""
    styles = [RECORDINGS / f"{style}.flac" for style in template.styles]
    names = ("style",) if len(styles) == 1 else ("style A", "style B")
    shown = {"content": read_audio(content)}
    shown |= {name: read_audio(style) for name, style in zip(names, styles, strict=True)}
    mask = harmonic(content, folder / "mask.png") if template.masked else None
    for name, settings in template.results.items():
        result = folder / f"{name}.flac"
        transfer_files(engine, content, styles, [1.0] * len(styles), result, settings, mask=mask)
        shown[name] = read_audio(result)
    return shown


def harmonic(content: Path, image: Path) -> Path:
    """The template's mask of a recording of one window, as an image file."""
    _, spectrogram = audio_to_windows(*read_audio(content), PRESETS["tiny-256"])
    mask = sound_mask(spectrogram, SoundMask("harmonic", high_hz=4000.0))[0]
    Image.fromarray((mask * 255).byte().numpy()).save(image)
    return image


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.thumbnails", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("templates", nargs="*", default=TEMPLATES, help="to be drawn; without one, all")
    parser.add_argument("--song", type=Path, default=RECORDINGS / "melody.flac", help="content of whole_song")
    arguments = parser.parse_args()
    engine = Engine.load("tiny", "cpu", "float32")
    for name in arguments.templates:
        template = TEMPLATES[name]
        content = arguments.song if name == "whole_song" else RECORDINGS / "melody.flac"
        with tempfile.TemporaryDirectory() as folder:
            shown = recordings(engine, template, content, Path(folder))
        thumbnail(template.title, template.shows, shown).save(WORKFLOWS / f"{name}.jpg", quality=88)


if __name__ == "__main__":
    main()
