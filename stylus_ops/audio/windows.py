"""Cutting a clip into a batch of mel-spectrogram images, and joining images to one mel spectrogram again.

One normalisation (the clip's peak) serves all windows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from ..dials import OVERLAP, SHORT_CLIP
from .backend import resample
from .geometry import SpectrogramParams
from .loudness import check_level
from .mel import image_to_mel, mel_amplitudes, mel_to_image

SAMPLE_RATES = (4000, 384000)


class Spectrogram(NamedTuple):
    """What the images of a clip do not hold: its waveform, and how it was cut."""

    waveform: Tensor  # [B, C, T] float32 on the CPU, at its own sample rate
    sample_rate: int  # Hz
    params: SpectrogramParams
    frames: int  # mel frames of the clip
    starts: tuple[int, ...]  # first frame of each window
    overlap: int  # frames over which neighbouring windows cross-fade
    peak: Tensor  # [B] largest mel amplitude of each clip

    @property
    def valid_frames(self) -> int:
        """Frames of each window that hold sound; the rest is the padding of a clip shorter than a window."""
        return min(self.frames, self.params.width)

    @property
    def windows(self) -> int:
        """Images of the whole batch: as many for each clip."""
        return len(self.waveform) * len(self.starts)

    def valid_columns(self, width: int) -> int:
        """The `valid_frames` in columns of a latent of `width` columns a window, at least one."""
        return max(1, round(width * self.valid_frames / self.params.width))

    def first(self, count: int) -> Spectrogram:
        """Every clip cut to its first `count` windows; the waveform stays whole."""
        starts = self.starts[:count]
        return self._replace(starts=starts, frames=min(self.frames, starts[-1] + self.params.width))


def check_waveform(waveform: Tensor, sample_rate: int) -> Tensor:
    """The waveform `[B, C, T]` as float32 on the CPU.

    Args:
        sample_rate: Hz.

    Raises:
        ValueError: it has another shape or no samples, is not finite, too loud to be audio, or not at 4000 to 384000 Hz.
    """
    if waveform.ndim != 3 or 0 in waveform.shape:
        raise ValueError(
            f"audio has the shape {list(waveform.shape)}: give [batch, channels, samples], at least one of each, from a file "
            "that is not empty"
        )
    low, high = SAMPLE_RATES
    if not low <= sample_rate <= high:
        raise ValueError(f"audio has a sample rate of {sample_rate} Hz: resample it to between {low} and {high} Hz")
    waveform = waveform.detach().to("cpu", torch.float32)
    check_level(waveform, "audio")
    return waveform


def audio_to_windows(
    waveform: Tensor,
    sample_rate: int,
    params: SpectrogramParams,
    overlap: int = OVERLAP.default,
    short_clip: str = SHORT_CLIP.default,
) -> tuple[Tensor, Spectrogram]:
    """Cut clips into overlapping windows; the last one ends where the clip ends.

    Args:
        waveform: `[B, C, T]`.
        sample_rate: 4000 to 384000 Hz.
        overlap: frames that neighbouring windows share, 0 to half a window.
        short_clip: a clip shorter than a window is completed with silence ("pad") or with itself ("loop").

    Returns:
        Images `[B * windows, n_mels, width, 3]` float32 in 0..1, clip by clip, and the Spectrogram that
        `windows_to_mel` and `decode` need.

    Raises:
        ValueError: the waveform is empty, not finite or too loud to be audio; the rate, overlap or short_clip is out of range.
    """
    waveform = check_waveform(waveform, sample_rate)
    check_overlap(overlap, params)
    SHORT_CLIP.check(short_clip)
    mel = mel_amplitudes(resample(waveform, sample_rate, params.sample_rate), params)
    frames = mel.shape[-1]
    peak = mel.amax((1, 2))
    image = mel_to_image(mel, peak, params)
    if frames < params.width:
        image = _complete(image, params.width, short_clip)
    starts = window_starts(frames, params.width, overlap)
    windows = torch.stack([image[..., start : start + params.width] for start in starts], 1)
    images = windows.flatten(0, 1).unsqueeze(-1).repeat(1, 1, 1, 3)
    return images, Spectrogram(waveform, sample_rate, params, frames, starts, overlap, peak)


def check_overlap(overlap: int, params: SpectrogramParams) -> None:
    """Raises ValueError unless windows can overlap by so many frames: by half a window at most."""
    replace(OVERLAP, high=params.width // 2).check(overlap)


def window_starts(frames: int, width: int, overlap: int) -> tuple[int, ...]:
    """First frames of the windows that cover a clip, the last one aligned with the clip's end."""
    if frames <= width:
        return (0,)
    return (*range(0, frames - width, width - overlap), frames - width)


def _complete(image: Tensor, width: int, short: str) -> Tensor:
    if short == "loop":
        return image[..., torch.arange(width) % image.shape[-1]]
    return torch.nn.functional.pad(image, (0, width - image.shape[-1]), value=1.0)


def windows_to_mel(images: Tensor, spectrogram: Spectrogram) -> Tensor:
    """Join the windows of every clip with raised-cosine cross-fades of mel amplitudes.

    Shape: images `[B * windows, n_mels, width, 3]` in 0..1 -> `[B, n_mels, frames]`

    Raises:
        ValueError: the images are not as many and as large as this spectrogram's, or hold NaN or infinity.
    """
    params, starts = spectrogram.params, spectrogram.starts
    batch = spectrogram.waveform.shape[0]
    expected = (batch * len(starts), params.n_mels, params.width)
    if images.ndim != 4 or tuple(images.shape[:3]) != expected:
        raise ValueError(
            f"images of the shape {list(images.shape)} do not belong to this spectrogram, which has {expected[0]} "
            f"images of {params.width} x {params.n_mels}: connect both to the same recording"
        )
    grey = images.detach().to("cpu", torch.float32).mean(-1).unflatten(0, (batch, len(starts)))
    if not grey.isfinite().all():
        raise ValueError("images contain NaN or infinite values: run the VAE in float32 (--fp32-vae in ComfyUI)")
    mel = torch.zeros(batch, params.n_mels, spectrogram.frames)
    end = 0
    for index, start in enumerate(starts):
        window = image_to_mel(grey[:, index], spectrogram.peak, params)[..., : spectrogram.frames]
        shared = end - start
        if shared > 0:
            fade = _fade_in(shared, spectrogram.overlap)
            window[..., :shared] = torch.lerp(mel[..., start:end], window[..., :shared], fade)
        end = start + window.shape[-1]
        mel[..., start:end] = window
    return mel


def _fade_in(shared: int, length: int) -> Tensor:
    """Weights of the later window over `shared` frames: a raised cosine of `length` frames in the middle."""
    length = max(1, min(shared, length))
    position = (torch.arange(shared) - (shared - length) / 2 + 0.5) / length
    return 0.5 - 0.5 * torch.cos(torch.pi * position.clamp(0, 1))
