"""A recording cut into mel-spectrogram images, and images joined to one mel spectrogram again.

Every transform here is local. A frame knows the samples under its window, an image its frames and the one number that all
images share, the clip's peak; so a section that is worked on with a window more on either side, and a second of sound
around those, is the same inside as the whole recording would be. `Recording` works a section at a time, in bounded memory;
`audio_to_windows` takes a whole batch of clips, as a graph hands it on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d, pad

from ..copies import to_device, to_host
from ..dials import Images
from .backend import resample
from .geometry import SpectrogramParams, check_overlap
from .lazy import Waveform
from .loudness import check_level
from .mel import CPU, image_to_mel, mel_amplitudes, mel_to_image

SAMPLE_RATES = (4000, 384000)
WINDOWS = 24
"""Windows of one section."""
MARGIN = 1  # seconds of sound around the windows of a section: a frame's window and the resampler's kernel are shorter


class Spectrogram(NamedTuple):
    """What the images of a clip do not hold: its waveform, and how it was cut."""

    waveform: Tensor  # [B, C, T] float32 on the CPU, at its own sample rate
    sample_rate: int  # Hz
    params: SpectrogramParams
    frames: int  # mel frames of the clip
    starts: tuple[int, ...]  # first frame of each window
    overlap: int  # frames over which neighbouring windows cross-fade
    peak: Tensor  # [B] largest mel amplitude of each clip
    first_frame: int = 0  # of the clip in the recording that it is a section of

    @property
    def windows(self) -> int:
        """Images of the whole batch: as many for each clip."""
        return len(self.waveform) * len(self.starts)

    def valid_columns(self, width: int) -> int:
        """Columns, of a latent of `width` columns a window, that hold sound, at least one; the rest pads a short clip."""
        return max(1, round(width * min(self.frames, self.params.width) / self.params.width))

    def cut(self, whole: Tensor, padding: float) -> Tensor:
        """Windows of something that has a column a frame: `[B, n_mels, frames]` -> `[B * windows, n_mels, width]`, clip by clip.

        What is shorter than a window is completed with `padding`.
        """
        width = self.params.width
        whole = pad(whole, (0, max(0, width - whole.shape[-1])), value=padding)
        return torch.stack([whole[..., start : start + width] for start in self.starts], 1).flatten(0, 1)


def check_waveform(waveform: Tensor, sample_rate: int) -> Tensor:
    """The waveform `[B, C, T]` as float32 on the CPU.

    Raises ValueError if it has another shape or no samples, is not finite, too loud to be audio, or not at 4000 to 384000 Hz.
    """
    if waveform.ndim != 3 or 0 in waveform.shape:
        raise ValueError(
            f"audio has the shape {list(waveform.shape)}: give [batch, channels, samples], at least one of each, from a file "
            "that is not empty"
        )
    check_rate(sample_rate)
    waveform = waveform.detach().to("cpu", torch.float32)
    check_level(waveform, "audio")
    return waveform


def check_rate(sample_rate: int) -> None:
    """Raises ValueError unless a rate in Hz is one that is worked with."""
    low, high = SAMPLE_RATES
    if not low <= sample_rate <= high:
        raise ValueError(f"audio has a sample rate of {sample_rate} Hz: resample it to between {low} and {high} Hz")


def audio_to_windows(
    waveform: Tensor,
    sample_rate: int,
    params: SpectrogramParams,
    overlap: int = Images.overlap,
    short_clip: str = Images.short_clip,
) -> tuple[Tensor, Spectrogram]:
    """Cut clips `[B, C, T]` into overlapping windows; the last one ends where the clip ends.

    Args:
        overlap: frames that neighbouring windows share, 0 to half a window.
        short_clip: a clip shorter than a window is completed with silence ("pad") or with itself ("loop").

    Returns:
        Images `[B * windows, n_mels, width, 3]` float32 in 0..1, clip by clip, and the Spectrogram that
        `windows_to_mel` and `decode` need.

    Raises ValueError: as `check_waveform`, or the overlap is out of range.
    """
    waveform = check_waveform(waveform, sample_rate)
    check_overlap(overlap, params)
    mel = mel_amplitudes(resample(waveform, sample_rate, params.sample_rate), params)
    peak, starts = mel.amax((1, 2)), window_starts(mel.shape[-1], params.width, overlap)
    spectrogram = Spectrogram(waveform, sample_rate, params, mel.shape[-1], starts, overlap, peak)
    return _images(mel, spectrogram, short_clip), spectrogram


def _images(mel: Tensor, spectrogram: Spectrogram, short_clip: str) -> Tensor:
    """Mel amplitudes `[B, n_mels, frames]` as images `[B * windows, n_mels, width, 3]`, clip by clip."""
    image = mel_to_image(mel, spectrogram.peak.to(mel.device), spectrogram.params)
    if short_clip == "loop" and image.shape[-1] < spectrogram.params.width:
        image = image[..., torch.arange(spectrogram.params.width, device=image.device) % image.shape[-1]]
    # Contiguous, because convolutions of strided input take other algorithms: latents would differ by 2e-3.
    return spectrogram.cut(image, 1.0).unsqueeze(-1).repeat(1, 1, 1, 3)


def device_of_sound(device: torch.device) -> torch.device:
    """Where spectra are worked on beside a model on this device: there if it is CUDA's, since others lack some transforms."""
    return device if device.type == "cuda" else CPU


def window_starts(frames: int, width: int, overlap: int) -> tuple[int, ...]:
    """First frames of the windows that cover a clip, the last one aligned with the clip's end."""
    if frames <= width:
        return (0,)
    return (*range(0, frames - width, width - overlap), frames - width)


def windows_to_mel(images: Tensor, spectrogram: Spectrogram) -> Tensor:
    """Join the windows of every clip with raised-cosine cross-fades of mel amplitudes.

    Shape: images `[B * windows, n_mels, width, 3]` in 0..1 -> `[B, n_mels, frames]`, on the `device_of_sound` for the images'

    Raises ValueError: the images are not as many and as large as this spectrogram's, or hold NaN or infinity.
    """
    params, starts, batch = spectrogram.params, spectrogram.starts, len(spectrogram.waveform)
    expected = (batch * len(starts), params.n_mels, params.width)
    if images.ndim != 4 or tuple(images.shape[:3]) != expected:
        raise ValueError(
            f"images of the shape {list(images.shape)} do not belong to this spectrogram, which has {expected[0]} "
            f"images of {params.width} x {params.n_mels}: connect both to the same recording"
        )
    device = device_of_sound(images.device)
    grey = images.detach().to(device, torch.float32).mean(-1).unflatten(0, (batch, len(starts)))
    if not grey.isfinite().all():
        raise ValueError("images contain NaN or infinite values: run the VAE in float32 (--fp32-vae in ComfyUI)")
    peak, mel = spectrogram.peak.to(device), torch.zeros(batch, params.n_mels, spectrogram.frames, device=device)
    end = 0
    for index, start in enumerate(starts):
        window = image_to_mel(grey[:, index], peak, params)[..., : spectrogram.frames]
        shared = end - start
        if shared > 0:
            fade = _fade_in(shared, spectrogram.overlap, device)
            window[..., :shared] = torch.lerp(mel[..., start:end], window[..., :shared], fade)
        end = start + window.shape[-1]
        mel[..., start:end] = window
    return mel


def _fade_in(shared: int, length: int, device: torch.device) -> Tensor:
    """Weights of the later window over `shared` frames: a raised cosine of `length` frames in the middle."""
    length = max(1, min(shared, length))
    position = (torch.arange(shared, device=device) - (shared - length) / 2 + 0.5) / length
    return 0.5 - 0.5 * torch.cos(torch.pi * position.clamp(0, 1))


class Section(NamedTuple):
    """Windows that are worked on at once."""

    own: slice
    """The windows whose sound it gives."""
    seen: slice
    """These and their neighbours on either side, into which theirs fade."""
    kept: slice
    """The samples of the seen windows' sound that are the section's: those of all sections are as many as the recording's."""


@dataclass(frozen=True)
class Recording:
    """A recording of any length and how it is cut into windows; `cut` makes one."""

    waveform: Waveform
    """`[C, T]`, on disk or computed where it is read."""
    sample_rate: int
    params: SpectrogramParams
    overlap: int
    short_clip: str
    frames: int
    starts: tuple[int, ...]
    peak: Tensor
    """`[1]`, the largest mel amplitude of the whole recording."""
    device: torch.device = CPU
    """Where images are made."""

    @classmethod
    def cut(
        cls,
        waveform: Waveform,
        sample_rate: int,
        params: SpectrogramParams,
        overlap: int,
        short_clip: str,
        device: torch.device = CPU,
    ) -> Recording:
        """Read all of a recording `[C, T]` once, for its peak; the rest is as for `audio_to_windows`."""
        check_rate(sample_rate)
        check_overlap(overlap, params)
        frames = _count_frames(waveform, sample_rate, params)
        starts = window_starts(frames, params.width, overlap)
        cut = cls(waveform, sample_rate, params, overlap, short_clip, frames, starts, torch.zeros(1), device)
        peaks = [cut._mel(cut.part(section.own)).amax() for section in cut.sections()]
        return replace(cut, peak=to_host(torch.stack(peaks).amax()[None]))

    def first(self, count: int) -> Recording:
        """The recording cut to its first `count` windows; waveform and peak stay those of the whole."""
        starts = self.starts[:count]
        return replace(self, starts=starts, frames=min(self.frames, starts[-1] + self.params.width))

    @property
    def cutting(self) -> Spectrogram:
        """How the recording is cut, without its samples."""
        nothing = torch.empty(1, self.waveform.shape[0], 0)
        return Spectrogram(nothing, self.sample_rate, self.params, self.frames, self.starts, self.overlap, self.peak)

    def sections(self) -> Iterator[Section]:
        count = len(self.starts)
        for first in range(0, count, WINDOWS):
            last = min(first + WINDOWS, count)
            before, after = 1 + (first == count - 1), 1 + (last == count - 2)  # the last window may lie over two others
            seen = slice(max(first - before, 0), min(last + after, count))
            begin = self._first_second(seen) * self.sample_rate
            end = self._sample(self.starts[last]) if last < count else self.waveform.shape[-1]
            yield Section(slice(first, last), seen, slice(self._sample(self.starts[first]) - begin, end - begin))

    def images(self, windows: slice) -> Tensor:
        """The images of some windows, `[n, n_mels, width, 3]` in 0..1, normalised as all are."""
        part = self.part(windows)
        return _images(self._mel(part)[None], part, self.short_clip)

    def part(self, windows: slice) -> Spectrogram:
        """Some windows as a clip of their own, with the sound around them; its first window may start late."""
        per_second = self.params.sample_rate // self.params.hop_length
        starts = self.starts[windows]
        first = self._first_second(windows)
        last = -(-(starts[-1] + self.params.width) // per_second) + MARGIN
        sound = self.waveform[:, first * self.sample_rate : last * self.sample_rate]
        frames = _count_frames(sound, self.sample_rate, self.params)
        starts = tuple(start - first * per_second for start in starts)
        return self.cutting._replace(waveform=sound[None], frames=frames, starts=starts, first_frame=first * per_second)

    def mel(self, columns: int) -> tuple[Tensor, SpectrogramParams]:
        """A mel spectrogram to be drawn, `[n_mels, about columns]`, and its geometry; of more frames it is averaged over time."""
        together = max(1, self.frames // columns)
        means = []
        for section in self.sections():
            part = self.part(section.seen)
            mel = windows_to_mel(self.images(section.seen), part)[0]
            end = self.frames if section.own.stop == len(self.starts) else self.starts[section.own.stop]
            own = mel[:, self.starts[section.own][0] - part.first_frame : end - part.first_frame]
            means.append(avg_pool1d(own[None], together, ceil_mode=True)[0])
        return to_host(torch.cat(means, 1)), replace(self.params, hop_ms=self.params.hop_ms * together)

    def _first_second(self, windows: slice) -> int:
        """The second of the recording at which the `part` of some windows begins."""
        per_second = self.params.sample_rate // self.params.hop_length
        return max(self.starts[windows][0] // per_second - MARGIN, 0)

    def _sample(self, frame: int) -> int:
        """The sample of the recording at the middle of a frame."""
        return frame * self.params.hop_length * self.sample_rate // self.params.sample_rate

    def _mel(self, part: Spectrogram) -> Tensor:
        """Mel amplitudes under the windows of a part, and zeros around them: `[n_mels, frames]`."""
        waveform = to_device(resample(part.waveform, part.sample_rate, self.params.sample_rate), self.device)
        mel = mel_amplitudes(waveform, self.params)[0]
        mel[:, : part.starts[0]] = 0
        mel[:, part.starts[-1] + self.params.width :] = 0
        return mel


def _count_frames(waveform: Waveform, sample_rate: int, params: SpectrogramParams) -> int:
    """Mel frames of a waveform at its own rate."""
    return params.count_frames(-(-waveform.shape[-1] * params.sample_rate // sample_rate))
