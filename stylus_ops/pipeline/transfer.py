"""The stages of a transfer on the diffusers host: read, invert, restyle, decode."""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil
import torch
from torch import Tensor
from tqdm import tqdm

from ..audio.decode import decode
from ..audio.figure import Panel
from ..audio.files import spool_audio
from ..audio.geometry import PRESETS
from ..audio.lazy import Waveform, blocks, sounds
from ..audio.sections import LongRecording, is_long
from ..audio.spool import Spool
from ..audio.tone import Reference, match_tone
from ..audio.windows import Spectrogram, audio_to_windows, windows_to_mel
from ..audio.worth import warn_if_short, warn_of_silence
from ..diffusion.features import Inversion, Style, choose_policy
from ..diffusion.on_disk import OnDisk
from ..diffusion.recorder import Recorder, record
from ..diffusion.sampling import sample
from ..diffusion.schedule import ddim_sigmas
from ..diffusion.sites import feature_bytes, resolve_sites
from ..diffusion.stylizer import Stylizer
from ..engine.memory import peak_memory
from ..shares import normalised
from .settings import Settings

if TYPE_CHECKING:
    from ..engine.engine import Engine


class Clip(NamedTuple):
    """A recording as the model sees it: its windows [W, n_mels, width, 3] in 0..1, and what they do not hold."""

    name: str
    images: Tensor
    spectrogram: Spectrogram

    def first(self, count: int) -> Clip:
        """The clip cut to its first `count` windows."""
        return Clip(self.name, self.images[:count], self.spectrogram.first(count))

    def panel(self, images: Tensor | None = None, title: str = "") -> Panel:
        """Its spectrogram to be drawn, or that of other images cut like its own."""
        mel = windows_to_mel(self.images if images is None else images, self.spectrogram)
        return Panel(title or self.name, mel[0], self.spectrogram.params)


class Transfer:
    """The stages of a transfer, each timed, with a progress bar on standard error.

    Args:
        quiet: no progress bars.

    Raises:
        ValueError: `settings.sites` names a decoder block without self-attention in this model, or the preset is another
            model's.
    """

    def __init__(self, engine: Engine, settings: Settings, quiet: bool = False):
        self.engine, self.settings, self.quiet = engine, settings, quiet
        preset = settings.preset_for(engine.model.preset)
        self.params = PRESETS[preset]
        self.sites = resolve_sites(settings.sites, engine.decoder)
        self.seconds: dict[str, float] = {}
        """Wall time of each stage so far."""
        self.chosen: dict[str, Any] = {"preset": preset, "sites": sorted({block for block, _ in self.sites})}
        """What the settings that say "auto" came to."""
        self._evaluated_before = engine.evaluations

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[tqdm]:
        """Time what is done within, under a name; yields its progress bar of `total` steps."""
        began = time.perf_counter()
        with tqdm(total=total, desc=name, file=sys.stderr, disable=self.quiet) as bar:
            yield bar
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

    def read(self, content: Path, styles: Sequence[Path], weights: Sequence[float] = ()) -> list[Clip]:
        """The content, in the styles' tone as far as that is asked for, and the styles, in this order.

        A style shorter than a window is looped, a content padded.

        Args:
            weights: of the styles' tones, one each; equal ones where none are given.

        Raises:
            ValueError, OSError: a recording can't be read, or a weight is none.
        """
        folder = Path(tempfile.gettempdir())
        clips, references = self.read_styles(styles, folder, weights)
        waveform, rate = self.read_content(content, references, folder)
        return [self.clip(content, waveform[:, :], rate, "pad"), *clips]

    def read_styles(
        self, styles: Sequence[Path], folder: Path, weights: Sequence[float] = ()
    ) -> tuple[list[Clip], list[Reference]]:
        """The styles' first windows, and what `read_content` needs of them; a style shorter than a window is looped.

        A style that is silent or very short is logged as a warning of "stylus".

        Args:
            folder: where there is room for their samples.
        """
        settings = self.settings
        clips: list[Clip] = []
        references: list[Reference] = []
        shares = normalised(weights, len(styles)) if styles else []
        with self.stage("read", len(styles)) as bar:
            for path, share in zip(styles, shares, strict=True):
                spool = spool_audio(path, folder, settings.style_start, settings.style_duration)
                clips.append(self._beginning(path, spool))
                references.append(Reference(spool, spool.sample_rate, share))
                bar.update()
        for path, reference in zip(styles, references, strict=True):
            if sounds(reference.waveform):
                warn_if_short(f"style {path.name}", reference.waveform.shape[-1] / reference.sample_rate)
            else:
                warn_of_silence(f"style {path.name}")
        return clips, references

    def read_content(self, path: Path, references: Sequence[Reference], folder: Path) -> tuple[Waveform, int]:
        """The content `[C, T]`, in the tone of the references as far as that is asked for, and its sample rate.

        Silence is logged as a warning of "stylus".

        Args:
            folder: where there is room for its samples.
        """
        settings = self.settings
        with self.stage("read", 1) as bar:
            spool = spool_audio(path, folder, settings.content_start, settings.content_duration)
            rate = spool.sample_rate
            silent = not sounds(spool)
            if settings.tone > 0 and references and not silent:
                tone = match_tone(spool, rate, references, settings.tone, settings.tone_resolution, settings.tone_db)
                spool = Spool(folder, spool.channels, rate).extend(blocks(tone.waveform))
            bar.update()
        if silent:
            warn_of_silence(f"content {path.name}")
        return spool, rate

    def clip(self, path: Path, waveform: Tensor, sample_rate: int, short: str) -> Clip:
        """A recording `[C, T]` in memory as the model sees it.

        Args:
            short: "pad" or "loop", what completes a clip shorter than a window.

        Raises:
            ValueError: it can't be cut into windows; the message names the file.
        """
        try:
            cut = audio_to_windows(waveform[None], sample_rate, self.params, self.settings.overlap, short)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        return Clip(path.name, *cut)

    def _beginning(self, path: Path, style: Spool) -> Clip:
        """The `style_windows` first windows of a style, whose level is that of all of it."""
        settings, rate = self.settings, style.sample_rate
        if not is_long(style, rate, self.params, settings.overlap):
            return self.clip(path, style[:, :], rate, "loop").first(settings.style_windows)
        recording = LongRecording(style, rate, self.params, settings.overlap)
        return Clip(
            path.name,
            recording.images(slice(settings.style_windows)),
            recording.cutting.first(settings.style_windows),
        )

    def invert(self, clips: Sequence[Clip], largest_bank: float = math.inf) -> list[Inversion]:
        """All clips up the noise levels as one batch, with their features.

        Args:
            largest_bank: bytes of features that are kept where that is not asked for.
        """
        counts = [len(clip.images) for clip in clips]
        together = self.invert_latents(self._encode(clips), largest_bank)
        width = together.noise.shape[-1]
        ends = torch.tensor(counts).cumsum(0).tolist()
        return [
            _rows(together, slice(end - count, end), clip.spectrogram.valid_columns(width))
            for clip, count, end in zip(clips, counts, ends, strict=True)
        ]

    def invert_latents(
        self, latents: Tensor, largest_bank: float = math.inf, trajectory: OnDisk | None = None
    ) -> Inversion:
        """Latents [B, 4, h, w] up the noise levels, as one clip without padding.

        Args:
            largest_bank: as for `invert`.
            trajectory: where that is kept; in memory if None.
        """
        sigmas = ddim_sigmas(self.engine.model.sigmas, self.settings.steps)
        recorder = Recorder(sigmas, self.sites, self._feature_policy(latents, largest_bank))
        per_pass = self._windows_per_pass(latents)
        with self.stage("inversion", len(sigmas)) as bar:
            return record(
                recorder,
                lambda x, sigma: recorder(self.engine.evaluate, x, sigma, per_pass),
                latents,
                self.settings.inversion,
                self.settings.corrections,
                on_step=lambda i, x, denoised: _stepped(bar, trajectory),
                evaluated=None if trajectory is None else trajectory.tensor,
            )

    def restyle(
        self, content: Inversion, style: Style, mask: Tensor | None = None, trajectory: OnDisk | None = None
    ) -> Tensor:
        """Latents of the content in the style's timbre.

        Args:
            mask: `[1 or windows, H, W]` in 0..1, where the style is applied; None for everywhere.
            trajectory: where the content's is kept, if not in memory.
        """
        settings = self.settings
        steering = settings.steering._replace(mask=mask)
        stylizer = Stylizer(content, style, steering, settings.start_percent, settings.end_percent)
        noise = stylizer.start_latents(self.settings.adain_mode, self.settings.adain).to(self.engine.device)
        per_pass = self._windows_per_pass(noise)
        with self.stage("sampling", self.settings.steps) as bar:
            return sample(
                lambda x, sigma: stylizer(self.engine.evaluate, x, sigma, per_pass),
                noise,
                content.sigmas.to(self.engine.device),
                on_step=lambda i, x, denoised: _stepped(bar, trajectory),
            )

    def decode(self, latents: Tensor, content: Clip) -> tuple[Tensor, Tensor]:
        """Latents [B, 4, h, w] to a waveform [C, T] at the content's rate, and the images [B, n_mels, width, 3] in between."""
        with self.stage("decode", 1) as bar:
            images = self.engine.decode(latents)
            reference = None
            if self.settings.decode == "gain":
                reference = self.engine.decode(self.engine.encode(content.images))
            waveform = decode(
                images,
                content.spectrogram,
                self.settings.decode,
                reference,
                self.settings.phase_iters,
                self.settings.gain_db,
                self.settings.above_band_db,
                self.settings.loudness,
                self.settings.dynamics,
                self.settings.noise,
                self.settings.mix,
            )
            bar.update()
        return waveform[0], images

    def report(self) -> dict[str, Any]:
        """All settings, seconds of each stage, evaluations (of one window by the U-Net) and peak memory in bytes."""
        return {
            "model": self.engine.describe(),
            "settings": asdict(self.settings),
            "chosen": self.chosen,
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "evaluations": self.engine.evaluations - self._evaluated_before,
            "peak_memory_bytes": peak_memory(),
            "peak_device_memory_bytes": self.engine.peak_device_memory(),
        }

    def _encode(self, clips: Sequence[Clip]) -> Tensor:
        with self.stage("encode", len(clips)) as bar:
            latents = []
            for clip in clips:
                latents.append(self.engine.encode(clip.images))
                bar.update()
        return torch.cat(latents)

    def _feature_policy(self, latents: Tensor, largest_bank: float) -> str:
        per_window = feature_bytes(self.engine.decoder, self.sites, self.engine.dtype, *latents.shape[-2:])
        needed = self.settings.steps * len(latents) * per_window
        policy = choose_policy(self.settings.features, needed, psutil.virtual_memory().available, largest_bank)
        self.chosen["features"] = policy
        return policy

    def _windows_per_pass(self, latents: Tensor) -> int:
        per_pass = self.settings.windows_per_pass or self.engine.windows_that_fit(*latents.shape[-2:])
        largest = max(self.chosen.get("windows_per_pass", 0), min(per_pass, len(latents)))
        self.chosen["windows_per_pass"] = largest
        return per_pass


def _stepped(bar: tqdm, trajectory: OnDisk | None) -> None:
    bar.update()
    if trajectory is not None:
        trajectory.give_back()


def _rows(inversion: Inversion, rows: slice, valid_width: int) -> Inversion:
    """The windows of one clip out of a batch of several."""
    bank = inversion.bank and tuple(tuple(features[rows] for features in step) for step in inversion.bank)
    return inversion._replace(
        trajectory=inversion.trajectory[:, rows], noise=inversion.noise[rows], bank=bank, valid_width=valid_width
    )
