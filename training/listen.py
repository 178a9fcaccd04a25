"""Make docs/listen: three pairs of recordings, what an equaliser and Stylus make of them, and a page to hear them.

`python -m training.listen` renders contents and styles (CC0) and transfers with the bundled prior and default dials.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch

from stylus_ops.audio.read import read_audio
from stylus_ops.engine.engine import Engine
from stylus_ops.evaluation.baselines import eq_match
from stylus_ops.pipeline.settings import Settings
from stylus_ops.pipeline.transfer import Files, transfer_files

from .data import HELD_OUT
from .recordings import BEAT, LENGTHS, PITCHES, played, tune
from .scores import random_score
from .textures import RATE, crackle

FOLDER = Path(__file__).parents[1] / "docs" / "listen"
SECONDS = 8.0
PIANO, GUITAR, STRINGS, FLUTE, CLARINET = 0, 24, 48, 73, 71
PHRASE = (tune(PITCHES + PITCHES, LENGTHS + LENGTHS, BEAT),)


class Pair(NamedTuple):
    name: str
    title: str
    content: np.ndarray
    style: np.ndarray
    """Audio [channels, samples] at RATE."""


def pairs() -> list[Pair]:
    fire = crackle(np.random.default_rng(HELD_OUT["first_seed"]), int(SECONDS * RATE))
    another = random_score(HELD_OUT["first_seed"] + 21, SECONDS + 1)
    return [
        Pair("flute-fire", "A flute in a camp fire", played(PHRASE, FLUTE), fire[None]),
        Pair(
            "piano-strings", "A piano in the timbre of bowed strings", played(PHRASE, PIANO), played(another, STRINGS)
        ),
        Pair(
            "clarinet-guitar", "A clarinet in the timbre of a guitar", played(PHRASE, CLARINET), played(another, GUITAR)
        ),
    ]


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Listen to Stylus</title>
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff; }}
  button {{ font: inherit; padding: .3rem .9rem; margin: 0 .3rem .3rem 0; border: 1px solid #888; border-radius: .4rem; background: #f3f3f3; cursor: pointer; }}
  button[aria-pressed=true] {{ background: #2b5fb8; color: #fff; border-color: #2b5fb8; }}
  audio {{ width: 100%; }}
  @media (prefers-color-scheme: dark) {{ body {{ color: #ddd; background: #1b1b1b; }} button {{ background: #333; color: #ddd; }} }}
</style>
<h1>Listen to Stylus</h1>
<p>Each pair has a content, which keeps its melody and rhythm, and a style, which gives its timbre. Switch while it plays: all four share one playhead.
<b>Equaliser</b> is the content with the style's long-term spectrum and nothing else. <b>Stylus</b> is the transfer with the bundled model and default dials.</p>
{sections}
<p>Rendered with FluidSynth and synthesised textures; the recordings are CC0. <code>python -m training.listen</code> makes this page.</p>
<script>
  for (const section of document.querySelectorAll("section")) {{
    const audio = section.querySelector("audio");
    const buttons = section.querySelectorAll("button");
    for (const button of buttons)
      button.onclick = () => {{
        const at = audio.currentTime;
        for (const other of buttons) other.setAttribute("aria-pressed", other === button);
        audio.src = button.dataset.file;
        audio.currentTime = at;
        audio.play();
      }};
  }}
</script>
</html>
"""
SECTION = """<section>
<h2>{title}</h2>
<div>{buttons}</div>
<audio controls src="{name}-content.mp3"></audio>
</section>"""
KINDS = {"content": "Content", "style": "Style", "equaliser": "Equaliser", "stylus": "Stylus"}


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    engine = Engine.load("tiny")
    sections = []
    for pair in pairs():
        made = {}
        with tempfile.TemporaryDirectory() as folder:
            paths = {name: Path(folder, f"{name}.wav") for name in KINDS}
            for name, audio in (("content", pair.content), ("style", pair.style)):
                audio = audio[:, : int(SECONDS * RATE)] / np.abs(audio).max() * 10 ** (-6 / 20)
                audio[:, -RATE // 20 :] *= np.linspace(1, 0, RATE // 20)
                soundfile.write(paths[name], audio.T, RATE, subtype="FLOAT")
                made[name] = torch.from_numpy(audio).float()
            made["equaliser"] = eq_match(made["content"], made["style"], RATE).waveform
            transfer_files(engine, Files(paths["content"], [paths["style"]], paths["stylus"]), Settings())
            made["stylus"] = read_audio(paths["stylus"])[0][0]
        for name, waveform in made.items():
            samples = waveform.t().numpy()
            soundfile.write(
                FOLDER / f"{pair.name}-{name}.mp3", samples, RATE, bitrate_mode="VARIABLE", compression_level=0.4
            )
        buttons = "".join(
            f'<button data-file="{pair.name}-{name}.mp3" aria-pressed="{str(name == "content").lower()}">{shown}</button>'
            for name, shown in KINDS.items()
        )
        sections.append(SECTION.format(title=pair.title, name=pair.name, buttons=buttons))
    (FOLDER / "index.html").write_text(PAGE.format(sections="\n".join(sections)), encoding="utf-8")


if __name__ == "__main__":
    main()
