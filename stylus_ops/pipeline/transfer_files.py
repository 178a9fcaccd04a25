"""One transfer from files to a file: as a whole, or a section at a time where the content is long."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor

from ..audio.figure import FIGURE_SUFFIXES, Panel, write_figure
from ..audio.files import FORMATS, check_format, write_audio
from ..audio.lazy import Waveform
from ..audio.mask import image_mask, read_image
from ..audio.sections import LongRecording, is_long
from ..diffusion.features import Style
from ..disk import check_writable
from ..shares import normalised
from .long import LongTransfer
from .settings import Settings
from .transfer import Clip, Transfer

if TYPE_CHECKING:
    from ..engine.engine import Engine

AUDIO_SUFFIXES = tuple(f".{name}" for name in FORMATS)
LARGEST_BANK = 1 << 30
"""Bytes of the styles' features that a long transfer keeps unasked; more are evaluated again, section by section."""


def transfer_files(
    engine: Engine,
    content: Path,
    styles: Sequence[Path],
    weights: Sequence[float],
    output: Path,
    settings: Settings,
    figure: Path | None = None,
    quiet: bool = False,
    mask: Path | None = None,
    overwrite: bool = True,
) -> dict[str, Any]:
    """Write the content in the timbre of the styles to `output`; returns the report.

    Args:
        weights: of the styles, one each, not all zero; only their proportions matter.
        mask: an image that lies over the whole content; white takes the style, black keeps the content.
        overwrite: results may take the place of files that somebody makes meanwhile.

    Raises:
        ValueError, OSError: a recording can't be read or the model can't take it, or the output can't be written; nothing is
            written then.
    """
    run = Transfer(engine, settings, quiet)
    shares = normalised(weights, len(styles))
    weighted = [(style, share) for style, share in zip(styles, shares, strict=True) if share > 0]
    clips, references = run.read_styles(
        [style for style, _ in weighted], output.parent, [share for _, share in weighted]
    )
    waveform, rate = run.read_content(content, references, output.parent)
    check_format(output, waveform.shape[0])
    image = read_image(mask) if mask else None
    work = _Work(run, content.name, output, clips, tuple(share for _, share in weighted), image)
    long = is_long(waveform, rate, run.params, settings.overlap)
    result = (_restyle_long if long else _restyle_whole)(work, waveform, rate)
    with run.stage("write", 1) as bar:
        write_audio(output, result.waveform, rate, overwrite=overwrite)
        if figure is not None:
            write_figure(figure, [*result.panels()], overwrite=overwrite)
        bar.update()
    return {
        "content": str(content),
        "styles": [{"path": str(style), "weight": share} for style, share in weighted],
        "output": str(output),
        "figure": str(figure) if figure else None,
        "mask": str(mask) if mask else None,
        "sample_rate": rate,
        "channels": waveform.shape[0],
        "samples": waveform.shape[1],
        "windows": result.windows,
        **run.report(),
    }


class _Work(NamedTuple):
    run: Transfer
    content: str
    output: Path
    styles: list[Clip]
    shares: tuple[float, ...]
    image: Tensor | None


class _Result(NamedTuple):
    waveform: Waveform
    windows: int
    panels: Callable[[], list[Panel]]


def _restyle_whole(work: _Work, waveform: Waveform, rate: int) -> _Result:
    """In memory, content and styles inverted as one batch."""
    run = work.run
    content = run.clip(Path(work.content), waveform[:, :], rate, "pad")
    mask = None if work.image is None else image_mask(work.image, content.spectrogram)
    inversion, *captures = run.invert([content, *work.styles])
    latents = run.restyle(inversion, Style(tuple(captures), work.shares), mask)
    output, images = run.decode(latents, content)

    def panels() -> list[Panel]:
        return [content.panel(), *(style.panel() for style in work.styles), content.panel(images, work.output.name)]

    return _Result(output, len(content.images), panels)


def _restyle_long(work: _Work, waveform: Waveform, rate: int) -> _Result:
    """A section at a time, the result on disk beside the output."""
    run = work.run
    with run.stage("read", 1) as bar:
        content = LongRecording(waveform, rate, run.params, run.settings.overlap)
        bar.update()
    mask = None if work.image is None else image_mask(work.image, content.cutting)
    transfer = LongTransfer(run, content, work.output.parent)
    captures = run.invert(work.styles, LARGEST_BANK)
    latents = transfer.restyle(Style(tuple(captures), work.shares), mask)
    output = transfer.decode(latents)

    def panels() -> list[Panel]:
        before, after = transfer.panels((work.content, work.output.name), latents)
        return [before, *(style.panel() for style in work.styles), after]

    return _Result(output, len(content.starts), panels)


def check_paths(
    content: Path,
    styles: Sequence[Path],
    output: Path,
    figure: Path | None = None,
    overwrite: bool = True,
    mask: Path | None = None,
) -> None:
    """Raises ValueError or OSError unless the inputs exist, the mask can be read, and the results can be written.

    Args:
        overwrite: results may take the place of earlier ones; never that of the recordings.
    """
    for recording in (content, *styles):
        if not recording.is_file():
            raise FileNotFoundError(f"recording {recording} does not exist: check its name and folder")
    if mask:
        read_image(mask)
    for name, result, suffixes in (("output", output, AUDIO_SUFFIXES), ("figure", figure, FIGURE_SUFFIXES)):
        if result is None:
            continue
        check_writable(name, result, suffixes)
        if result.exists() and any(result.samefile(recording) for recording in (content, *styles)):
            raise ValueError(f"{name} {result} is one of the recordings: choose another name")
        if mask and result.exists() and result.samefile(mask):
            raise ValueError(f"{name} {result} is the mask: choose another name")
        if os.path.lexists(result) and not overwrite:
            raise ValueError(f"{name} {result} exists already: choose another name, or add --overwrite")
