"""A transfer of a recording of any length: samples on disk, images a section at a time.

What grows with its length in memory are latents and levels alone: the trajectory of the latents is on disk, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from ..audio.decode import decode_band
from ..audio.figure import Panel
from ..audio.finish import finish
from ..audio.lazy import Waveform
from ..audio.sections import LongRecording
from ..audio.spool import Spool
from ..audio.windows import Spectrogram
from ..diffusion.features import Style
from ..diffusion.on_disk import OnDisk
from .transfer import Transfer

COLUMNS = 2000
"""Columns of a spectrogram in the figure."""


class LongTransfer:
    """The stages of `Transfer` for a recording that is not held in memory.

    Its features are evaluated again when they are needed, unless "cache" is asked for: a bank would grow with its length.

    Args:
        folder: where there is room for the samples of the result, and for latents at every step.
    """

    def __init__(self, run: Transfer, content: LongRecording, folder: Path):
        self.run, self.content, self.folder = run, content, folder

    def restyle(self, style: Style, mask: Tensor | None = None) -> Tensor:
        """Latents `[windows, 4, h, w]` of the content in the style's timbre."""
        latents = self._encode()
        trajectory = OnDisk(self.folder, (self.run.settings.steps, *latents.shape))
        inversion = self.run.invert_latents(latents, largest_bank=0, trajectory=trajectory)
        return self.run.restyle(inversion, style, mask, trajectory)

    def decode(self, latents: Tensor) -> Waveform:
        """The result `[C, T]` at the content's rate, computed where it is read from the decoded samples on disk."""
        settings, content = self.run.settings, self.content
        decoded = Spool(self.folder, content.waveform.shape[0], content.sample_rate)
        with self.run.stage("decode", len(list(content.sections()))) as bar:

            def heard(windows: slice, part: Spectrogram) -> Tensor:
                reference = self._round_trip(windows) if settings.decode == "gain" else None
                bar.update()
                return decode_band(
                    self.run.engine.decode(latents[windows]),
                    part,
                    settings.decode,
                    reference,
                    settings.phase_iters,
                    settings.gain_db,
                    settings.above_band_db,
                    settings.noise,
                )

            decoded.extend(content.decoded(heard))
        return finish(
            decoded, content.waveform, content.sample_rate, settings.loudness, settings.dynamics, settings.mix
        )

    def panels(self, names: tuple[str, str], latents: Tensor) -> Iterator[Panel]:
        """The content and the result, drawn small."""
        yield Panel(names[0], *self.content.mel(self.content.images, COLUMNS))
        yield Panel(names[1], *self.content.mel(lambda windows: self.run.engine.decode(latents[windows]), COLUMNS))

    def _encode(self) -> Tensor:
        sections = list(self.content.sections())
        with self.run.stage("encode", len(sections)) as bar:
            latents = []
            for section in sections:
                latents.append(self.run.engine.encode(self.content.images(section.own)))
                bar.update()
        return torch.cat(latents)

    def _round_trip(self, windows: slice) -> Tensor:
        return self.run.engine.decode(self.run.engine.encode(self.content.images(windows)))
