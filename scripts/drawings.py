"""Draw docs/icon.png and docs/banner.png: a stylus on a spectrogram, behind it the melody, before it the restyled one.

python -m scripts.drawings       # in the repository's root; half a minute

The pictures are the bundled melody and its transfer to a bundled style, as the pack computes them.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from stylus_ops.audio.files import read_audio
from stylus_ops.audio.geometry import PRESETS
from stylus_ops.audio.windows import audio_to_windows, windows_to_mel
from stylus_ops.engine.engine import Engine
from stylus_ops.pipeline.settings import Settings
from stylus_ops.pipeline.transfer import transfer_files
from stylus_ops.tiny import RECORDINGS

DOCS = Path(__file__).parents[1] / "docs"
OVERSAMPLED = 4
NIGHT = (15, 13, 28)
BEFORE = ((15, 13, 28), (45, 38, 110), (58, 120, 200), (150, 232, 240))
AFTER = ((15, 13, 28), (96, 24, 90), (232, 84, 60), (255, 226, 130))
"""Colours from silence to full level."""
STEEL, LIGHT, SHADE = (206, 212, 226), (246, 248, 252), (108, 114, 138)

Point = tuple[float, float]


def cells(path: Path, columns: int, rows: int) -> np.ndarray:
    """The loudness of a recording as a grid of [rows, columns] in 0..1, low frequencies at the bottom."""
    waveform, rate = read_audio(path)
    images, spectrogram = audio_to_windows(waveform, rate, PRESETS["tiny-256"])
    mel = windows_to_mel(images, spectrogram)[0].numpy()
    decibels = 20 * np.log10(np.maximum(mel, 1e-5 * mel.max()) / mel.max())
    heard = decibels[: int(0.8 * len(decibels)), : int(0.97 * decibels.shape[1])]
    bands = [band.max(0) for band in np.array_split(heard, rows)]
    grid = np.stack([[column.max() for column in np.array_split(band, columns)] for band in bands])[::-1]
    return np.clip(1 + grid / 55, 0, 1)


def coloured(level: float, palette: tuple[tuple[int, int, int], ...]) -> tuple[int, int, int]:
    stops = np.linspace(0, 1, len(palette))
    red, green, blue = (round(float(np.interp(level, stops, channel))) for channel in zip(*palette, strict=True))
    return red, green, blue


def spectrogram(size: tuple[int, int], before: np.ndarray, after: np.ndarray, tip: float, margin: float) -> Image.Image:
    """Cells of the melody up to `tip` (a share of the width), of the restyled melody from there on."""
    width, height = size
    picture = Image.new("RGB", size, NIGHT)
    pen = ImageDraw.Draw(picture)
    rows, columns = before.shape
    pitch_x, pitch_y = (width - 2 * margin) / columns, (height - 2 * margin) / rows
    for row in range(rows):
        for column in range(columns):
            left, top = margin + column * pitch_x, margin + row * pitch_y
            behind = left + pitch_x / 2 < tip * width
            level = float((before if behind else after)[row, column])
            box = (left + 0.08 * pitch_x, top + 0.08 * pitch_y, left + 0.92 * pitch_x, top + 0.92 * pitch_y)
            pen.rounded_rectangle(box, 0.25 * min(pitch_x, pitch_y), coloured(level, BEFORE if behind else AFTER))
    return picture


def stylus(picture: Image.Image, tip: Point, length: float) -> Image.Image:
    """A pointed pen that comes down from the upper right and ends in `tip`, with a glow where it touches."""
    along = np.array([0.62, -0.785])
    across = np.array([-along[1], along[0]])

    def point(distance: float, aside: float) -> Point:
        x, y = np.array(tip) + length * (distance * along + aside * across)
        return float(x), float(y)

    def outline(pen: ImageDraw.ImageDraw, parts: list[Point], fill: tuple[int, int, int]) -> None:
        pen.polygon([point(*part) for part in parts], fill)

    glow = Image.new("RGB", picture.size)
    radius = 0.16 * length
    ImageDraw.Draw(glow).ellipse((tip[0] - radius, tip[1] - radius, tip[0] + radius, tip[1] + radius), (255, 214, 150))
    glow = glow.filter(ImageFilter.GaussianBlur(0.09 * length))
    lit = Image.fromarray(255 - ((255 - np.asarray(picture, np.uint16)) * (255 - np.asarray(glow)) // 255).astype("u1"))

    shadow = Image.new("L", picture.size)
    ImageDraw.Draw(shadow).polygon(
        [point(*p) for p in [(0, 0), (0.2, 0.09), (1.2, 0.16), (1.2, -0.06), (0.2, -0.02)]], 170
    )
    lit.paste(NIGHT, mask=shadow.filter(ImageFilter.GaussianBlur(0.035 * length)))

    pen = ImageDraw.Draw(lit)
    outline(pen, [(0, 0), (0.20, 0.045), (0.20, -0.045)], LIGHT)
    outline(pen, [(0, 0), (0.20, 0.045), (0.20, 0.012)], SHADE)
    outline(pen, [(0.20, 0.045), (0.30, 0.085), (0.30, -0.085), (0.20, -0.045)], STEEL)
    outline(pen, [(0.20, 0.045), (0.30, 0.085), (0.30, 0.03), (0.20, 0.014)], SHADE)
    outline(pen, [(0.30, 0.085), (0.36, 0.085), (0.36, -0.085), (0.30, -0.085)], (232, 84, 60))
    outline(pen, [(0.36, 0.085), (1.60, 0.085), (1.60, -0.085), (0.36, -0.085)], (64, 60, 92))
    outline(pen, [(0.36, 0.085), (1.60, 0.085), (1.60, 0.03), (0.36, 0.03)], (40, 36, 64))
    outline(pen, [(0.36, -0.045), (1.60, -0.045), (1.60, -0.065), (0.36, -0.065)], (120, 116, 156))
    return lit


def rounded(picture: Image.Image, radius: float) -> Image.Image:
    mask = Image.new("L", picture.size)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, *picture.size), radius, 255)
    picture.putalpha(mask)
    return picture


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        restyled = Path(folder, "restyled.flac")
        content, style = RECORDINGS / "melody.flac", RECORDINGS / "style_b.flac"
        transfer_files(Engine.load("tiny"), content, [style], [], restyled, Settings(steps=25), quiet=True)

        side = 400 * OVERSAMPLED
        tip = 0.44
        grids = cells(content, 20, 20), cells(restyled, 20, 20)
        icon = spectrogram((side, side), *grids, tip, 0.05 * side)
        icon = rounded(stylus(icon, (tip * side, 0.66 * side), 0.62 * side), 0.16 * side)
        icon.resize((400, 400), Image.Resampling.LANCZOS).save(DOCS / "icon.png", optimize=True)

        width, height = 1260 * OVERSAMPLED, 540 * OVERSAMPLED
        grids = cells(content, 63, 27), cells(restyled, 63, 27)
        banner = spectrogram((width, height), *grids, tip, 0)
    banner = stylus(banner, (tip * width, 0.7 * height), 0.62 * height)
    font = ImageFont.load_default(0.2 * height)
    pen = ImageDraw.Draw(banner)
    pen.text((0.04 * width, 0.08 * height), "Stylus", LIGHT, font, stroke_width=OVERSAMPLED * 3, stroke_fill=NIGHT)
    banner.resize((1260, 540), Image.Resampling.LANCZOS).save(DOCS / "banner.png", optimize=True)


if __name__ == "__main__":
    main()
