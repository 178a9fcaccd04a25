"""A transfer on the diffusers host, from files to a file: read, invert, restyle, decode, write.

A recording of any length takes the same path. Its samples, the latents of every step and large banks of features are on disk,
its images in memory a section at a time; what grows with its length in memory are latents and levels alone.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil
import torch
from torch import Tensor
from tqdm import tqdm

from ..audio.decode import Sources, decode_band
from ..audio.figure import FIGURE_SUFFIXES, Panel, write_figure
from ..audio.finish import finish
from ..audio.geometry import PRESETS
from ..audio.input_warnings import SHORTEST_STYLE, warn_if_short, warn_of_silence
from ..audio.lazy import Waveform, blocks, sounds
from ..audio.loudness import MINUS_1_DBFS
from ..audio.mask import image_mask, read_image
from ..audio.read import spool_audio
from ..audio.spool import Spool
from ..audio.tone import Reference, match_tone
from ..audio.windows import Recording
from ..audio.write import FORMATS, check_format, write_audio
from ..diffusion.ddim import sample
from ..diffusion.features import Inversion, Style, choose_policy
from ..diffusion.host import Hook
from ..diffusion.on_disk import OnDisk
from ..diffusion.recorder import Recorder, record
from ..diffusion.schedule import ddim_sigmas
from ..diffusion.sites import feature_bytes, resolve_sites
from ..diffusion.stylizer import Stylizer
from ..disk import check_writable
from ..engine.memory import peak_memory
from ..style_weights import normalised
from .settings import Settings

if TYPE_CHECKING:
    from ..engine.engine import Engine

AUDIO_SUFFIXES = tuple(f".{name}" for name in FORMATS)
LARGEST_BANK = 1 << 28
"""Bytes of features that are kept in memory beside a model on the CPU unless that is asked for; more go to disk."""
MANY_WINDOWS = 8  # windows of all clips from which on a CPU may multiply in bfloat16; fewer gain little
COLUMNS = 2000  # columns of a spectrogram in the figure


class Files(NamedTuple):
    """What a transfer reads and writes."""

    content: Path
    styles: Sequence[Path]
    output: Path
    weights: Sequence[float] = ()
    """Of the styles, one each, not all zero; only their proportions matter. Equal ones where none are given."""
    figure: Path | None = None
    mask: Path | None = None
    """An image that lies over the whole content; white takes the style, black keeps the content."""

    def weighted(self) -> list[tuple[Path, float]]:
        """The styles that count, with weights that sum to 1. Raises ValueError as `normalised` does."""
        weights = normalised(self.weights, len(self.styles))
        return [(style, weight) for style, weight in zip(self.styles, weights, strict=True) if weight > 0]

    def check(self, overwrite: bool = True) -> None:
        """Raises ValueError or OSError unless the inputs exist, the mask can be read, and the results can be written.
        With `overwrite` results may take the place of earlier ones; never that of the recordings."""
        self.weighted()
        inputs = dict.fromkeys((self.content, *self.styles), "one of the recordings")
        for recording in inputs:
            if not recording.is_file():
                raise FileNotFoundError(f"recording {recording} does not exist: check its name and folder")
        if self.mask:
            read_image(self.mask)
            inputs[self.mask] = "the mask"
        for name, file, suffixes in (("output", self.output, AUDIO_SUFFIXES), ("figure", self.figure, FIGURE_SUFFIXES)):
            if file is None:
                continue
            check_writable(name, file, suffixes)
            for path, what in inputs.items():
                if file.exists() and file.samefile(path):
                    raise ValueError(f"{name} {file} is {what}: choose another name")
            if os.path.lexists(file) and not overwrite:
                raise ValueError(f"{name} {file} exists already: choose another name, or add --overwrite")

    def described(self, name: Callable[[Path], str] = str) -> dict[str, Any]:
        """For a report, each path as `name` writes it."""
        return {
            "content": name(self.content),
            "styles": [{"path": name(style), "weight": weight} for style, weight in self.weighted()],
            "output": name(self.output),
            "figure": self.figure and name(self.figure),
            "mask": self.mask and name(self.mask),
        }


class Clip(NamedTuple):
    """A recording, its name in figures and messages, and how much it counts among the styles."""

    name: str
    recording: Recording
    weight: float = 1.0

    @property
    def reference(self) -> Reference:
        return Reference(self.recording.waveform, self.recording.sample_rate, self.weight)


class Transfer:
    """The stages of a transfer, each timed, with a progress bar on standard error unless it is `quiet`.

    `folder` has room for samples, latents and features; None is the system's temporary folder.

    Raises ValueError if `settings.sites` names a decoder block without self-attention, or the preset is another model's.
    """

    def __init__(self, engine: Engine, settings: Settings, folder: Path | None = None, quiet: bool = False):
        self.engine, self.settings, self.quiet = engine, settings, quiet
        self.folder = folder or Path(tempfile.gettempdir())
        preset = settings.preset_for(engine.model.preset)
        self.params = PRESETS[preset]
        self.sites = resolve_sites(settings.sites, engine.decoder)
        self.seconds: dict[str, float] = {}  # wall time of each stage so far
        self.chosen: dict[str, Any] = {"preset": preset, "sites": sorted({block for block, _ in self.sites})}
        """What the settings that say "auto" came to."""
        self._evaluated_before = engine.evaluations
        self._on_disk: list[OnDisk] = []
        self._mixed = False

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[tqdm]:
        """Time what is done within, under a name; yields its progress bar of `total` steps."""
        began = time.perf_counter()
        with tqdm(total=total, desc=name, file=sys.stderr, disable=self.quiet) as bar:
            yield bar
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

    def read(self, content: Path, styles: Sequence[Path], weights: Sequence[float] = ()) -> list[Clip]:
        """The content, in the styles' tone as far as that is asked for, and the first windows of the styles, in this order.

        A style shorter than a window is looped, a content padded. One that is silent or very short is logged as a warning of "stylus".
        `weights` are of the styles, one each; equal ones where none are given.

        Raises ValueError or OSError if a recording can't be read or cut into windows.
        """
        settings = self.settings
        with self.stage("read", 1 + len(styles)) as bar:
            clips = []
            for path, weight in zip(styles, weights or [1.0] * len(styles), strict=True):
                spool = spool_audio(path, self.folder, settings.style_start, settings.style_duration)
                if sounds(spool):
                    warn_if_short(f"style {path.name}", spool.samples / spool.sample_rate, SHORTEST_STYLE)
                else:
                    warn_of_silence(f"style {path.name}")
                recording = self._cut(path, spool, spool.sample_rate, "loop")
                clips.append(Clip(path.name, recording.first(settings.style_windows), weight))
                bar.update()
            spool = spool_audio(content, self.folder, settings.content_start, settings.content_duration)
            warn_if_short(f"content {content.name}", spool.samples / spool.sample_rate)
            if not sounds(spool):
                warn_of_silence(f"content {content.name}")
            elif settings.tone > 0 and clips:
                toned = match_tone(spool, spool.sample_rate, [clip.reference for clip in clips], settings).waveform
                spool = Spool(self.folder, spool.channels, spool.sample_rate).extend(blocks(toned))
            clips.insert(0, Clip(content.name, self._cut(content, spool, spool.sample_rate, "pad")))
            bar.update()
        return clips

    def invert(self, clips: Sequence[Clip]) -> list[Inversion]:
        """All clips up the noise levels as one batch, with their features."""
        sections = [(clip.recording, section.own) for clip in clips for section in clip.recording.sections()]
        encoded = []
        with self.stage("encode", len(sections)) as bar:
            for recording, windows in sections:
                encoded.append(self.engine.encode(recording.images(windows)))
                bar.update()
        latents = torch.cat(encoded)
        self._mixed = self.engine.mixed and len(latents) >= MANY_WINDOWS
        self.chosen["dtype"] = "bfloat16" if self._mixed else self.engine.describe()["dtype"]
        sigmas = ddim_sigmas(self.engine.model.sigmas, self.settings.steps)
        recorder = Recorder(sigmas, self.sites, self._feature_policy(latents), self._room_on_disk)
        per_pass = self._windows_per_pass(latents)
        with self.stage("inversion", len(sigmas)) as bar:
            together = record(
                recorder,
                lambda x, sigma: recorder(self._evaluate, x, sigma, per_pass),
                latents,
                self.settings,
                on_step=lambda i, x, denoised: bar.update(),
                evaluated=None if latents.is_cuda else self._room_on_disk((len(sigmas), *latents.shape), torch.float32),
            )
        inversions, end = [], 0
        for _, recording, _ in clips:
            rows = slice(end, end := end + len(recording.starts))
            inversions.append(
                together._replace(
                    trajectory=together.trajectory[:, rows],
                    noise=together.noise[rows],
                    bank=together.bank and tuple(tuple(features[rows] for features in step) for step in together.bank),
                    valid_width=recording.cutting.valid_columns(latents.shape[-1]),
                )
            )
        return inversions

    def restyle(self, content: Inversion, style: Style, mask: Tensor | None = None) -> Tensor:
        """Latents `[windows, 4, h, w]` of the content in the style's timbre.
        The `mask`, `[1 or windows, H, W]` in 0..1, says where the style is applied; None for everywhere."""
        stylizer = Stylizer(content, style, self.settings, mask)
        noise = stylizer.start_latents().to(self.engine.device)
        per_pass = self._windows_per_pass(noise)
        with self.stage("sampling", self.settings.steps) as bar:
            return sample(
                lambda x, sigma: stylizer(self._evaluate, x, sigma, per_pass),
                noise,
                content.sigmas,
                on_step=lambda i, x, denoised: bar.update(),
            )

    def decode(self, latents: Tensor, content: Clip, styles: Sequence[Clip]) -> Waveform:
        """The result `[C, T]` at the content's rate, computed where it is read from the decoded samples on disk.
        The `styles` give to the sound what they can themselves: grain and partials."""
        recording, engine = content.recording, self.engine
        channels, sections = recording.waveform.shape[0], [*recording.sections()]
        decoded = Spool(self.folder, channels, recording.sample_rate)
        with self.stage("decode", len(sections)) as bar:
            sources = Sources.of([style.reference for style in styles], [content.reference], self.params, self.settings)
            for _, seen, kept in sections:
                reference = None
                if self.settings.decode == "gain":
                    reference = engine.decode(engine.encode(recording.images(seen)))
                images, part = engine.decode(latents[seen]), recording.part(seen)
                decoded.append(decode_band(images, part, self.settings, reference, sources)[0, :, kept])
                bar.update()
        rate = recording.sample_rate
        complete = sources.completed(decoded, recording.waveform, rate, self.settings)
        if complete is not decoded:
            decoded = Spool(self.folder, channels, rate).extend(blocks(complete))
        return finish(decoded, recording.waveform, rate, self.settings, MINUS_1_DBFS, sources.fall)

    def panel(self, clip: Clip, result: Waveform | None = None, title: str = "") -> Panel:
        """The spectrogram of a clip, or of a result `[C, T]` at its rate, to be drawn."""
        recording = clip.recording
        if result is not None:
            recording = self._cut(title, result, recording.sample_rate, "pad")
        return Panel(title or clip.name, *recording.mel(COLUMNS))

    def report(self) -> dict[str, Any]:
        """All settings, seconds of each stage, evaluations (of one window by the U-Net) and peak memory in bytes, on a device since
        loading began, None without CUDA."""
        on_cuda = self.engine.device.type == "cuda"
        return {
            "model": self.engine.describe(),
            "settings": asdict(self.settings),
            "chosen": self.chosen,
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "evaluations": self.engine.evaluations - self._evaluated_before,
            "peak_memory_bytes": peak_memory(),
            "peak_device_memory_bytes": torch.cuda.max_memory_allocated(self.engine.device) if on_cuda else None,
        }

    def _cut(self, name: object, waveform: Waveform, sample_rate: int, short_clip: str) -> Recording:
        """As `Recording.cut`, whose refusals get the name."""
        overlap, device = self.settings.overlap, self.engine.device_of_sound
        try:
            return Recording.cut(waveform, sample_rate, self.params, overlap, short_clip, device)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error

    def _evaluate(self, x: Tensor, sigma: Tensor, rows: slice | None, hook: Hook | None) -> Tensor:
        """The engine's evaluation, after which what was read from disk for it leaves the memory."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self._mixed):
            output = self.engine.evaluate(x, sigma, rows, hook)
        for tensor in self._on_disk:
            tensor.release()
        return output

    def _room_on_disk(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        self._on_disk.append(OnDisk(self.folder, shape, dtype))
        return self._on_disk[-1].tensor

    def _feature_policy(self, latents: Tensor) -> str:
        dtype = torch.bfloat16 if self._mixed else self.engine.dtype
        per_window = feature_bytes(self.engine.decoder, self.sites, dtype, *latents.shape[-2:])
        needed = self.settings.steps * len(latents) * per_window
        free = psutil.virtual_memory().available
        if not latents.is_cuda:  # copies between a GPU and a file would wait for one another
            free = min(free, 4 * LARGEST_BANK)
        policy = choose_policy(self.settings.features, needed, free, shutil.disk_usage(self.folder).free)
        self.chosen["features"] = policy
        return policy

    def _windows_per_pass(self, latents: Tensor) -> int:
        per_pass = self.settings.windows_per_pass or self.engine.windows_that_fit(*latents.shape[-2:])
        self.chosen["windows_per_pass"] = max(self.chosen.get("windows_per_pass", 0), min(per_pass, len(latents)))
        return per_pass


def transfer_files(
    engine: Engine, files: Files, settings: Settings, quiet: bool = False, overwrite: bool = True
) -> dict[str, Any]:
    """Write the content in the timbre of the styles to the output; returns the report.

    With `overwrite` results may take the place of files that somebody makes meanwhile.

    Raises ValueError or OSError if a recording can't be read, the model can't take it, or the output can't be written;
    nothing is written then.
    """
    run = Transfer(engine, settings, files.output.parent, quiet)
    weighted = files.weighted()
    clip, *styles = run.read(files.content, [style for style, _ in weighted], [weight for _, weight in weighted])
    recording = clip.recording
    channels, samples = recording.waveform.shape
    check_format(files.output, channels)
    mask = image_mask(read_image(files.mask), recording.cutting) if files.mask else None
    inversion, *captures = run.invert([clip, *styles])
    style = Style(tuple(captures), tuple(clip.weight for clip in styles))
    waveform = run.decode(run.restyle(inversion, style, mask), clip, styles)
    with run.stage("write", 1) as bar:
        write_audio(files.output, waveform, recording.sample_rate, overwrite=overwrite)
        if files.figure is not None:
            panels = [*map(run.panel, (clip, *styles)), run.panel(clip, waveform, files.output.name)]
            write_figure(files.figure, panels, overwrite=overwrite)
        bar.update()
    return {
        **files.described(),
        "sample_rate": recording.sample_rate,
        "channels": channels,
        "samples": samples,
        "windows": len(recording.starts),
        **run.report(),
    }
