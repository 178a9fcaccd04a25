"""Short-time Fourier transforms, a block of frames at a time: memory grows with a block, never with the clip.

The Hann window of `win_length` samples is centred on the frame and zero-padded to `n_fft`. The clip is surrounded by
silence, so that its first and last frame are centred on real samples. Between two blocks the work can be stopped
(`between_blocks`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from .geometry import SpectrogramParams

FRAMES_PER_BLOCK = 256  # frames times channels: about 20 MB of waveform and 20 MB of spectrum

_check: ContextVar[Callable[[], None]] = ContextVar("check", default=lambda: None)


@contextmanager
def between_blocks(check: Callable[[], None]) -> Iterator[None]:
    """Call `check` after every block of frames within this context; what it raises, such as an interrupt, ends the work."""
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


def frame_blocks(frames: int, channels: int) -> Iterator[slice]:
    """Consecutive ranges of frames that together cover `range(frames)`."""
    size = max(16, FRAMES_PER_BLOCK // channels)
    for first in range(0, frames, size):
        yield slice(first, min(first + size, frames))
        _check.get()()


@lru_cache
def hann_window(win_length: int) -> Tensor:
    """The periodic Hann window `[win_length]`, made once for each length."""
    return torch.hann_window(win_length)


def stft(waveform: Tensor, frames: slice, params: SpectrogramParams) -> Tensor:
    """The spectrum of some frames, up to `f_max`.

    Shape: waveform `[C, T]` -> complex `[C, frames, band_bins]`. The phase refers to the window's first sample.
    """
    first, last = _samples_under(frames, params)
    piece = waveform[:, max(first, 0) : last]
    piece = F.pad(piece, (max(-first, 0), last - max(first, 0) - piece.shape[-1]))
    windowed = piece.unfold(-1, params.win_length, params.hop_length) * hann_window(params.win_length)
    return torch.fft.rfft(windowed, n=params.n_fft)[..., : params.band_bins]


def filter_stft(waveform: Tensor, change: Callable[[Tensor, slice], Tensor], params: SpectrogramParams) -> Tensor:
    """`istft(change(stft(waveform)))` over the bins up to `f_max`; those above count as zero.

    Overlap-add weighted by the window, the least-squares inverse of Griffin & Lim 1984, eq. 6.

    Args:
        waveform: `[C, T]` at `params.sample_rate`.
        change: takes a spectrum `[C, frames, band_bins]` and its frames, returns a spectrum of that shape.

    Returns:
        `[C, T]`
    """
    channels, samples = waveform.shape
    frames = params.count_frames(samples)
    window = hann_window(params.win_length)
    start, end = _samples_under(slice(0, frames), params)
    total = waveform.new_zeros(channels, end - start)
    weight = waveform.new_zeros(end - start)
    for block in frame_blocks(frames, channels):
        spectrum = change(stft(waveform, block, params), block)
        pieces = torch.fft.irfft(spectrum, n=params.n_fft)[..., : params.win_length] * window
        first, last = _samples_under(block, params)
        total[:, first - start : last - start] += _overlap_add(pieces, params)
        squares = (window**2).expand(1, block.stop - block.start, -1)
        weight[first - start : last - start] += _overlap_add(squares, params)[0]
    return total[:, -start : samples - start] / weight[-start : samples - start]


def _samples_under(frames: slice, params: SpectrogramParams) -> tuple[int, int]:
    """The first sample under the window of the first frame, and the one after the last."""
    half = params.win_length // 2
    return frames.start * params.hop_length - half, (frames.stop - 1) * params.hop_length + params.win_length - half


def _overlap_add(pieces: Tensor, params: SpectrogramParams) -> Tensor:
    """`[C, frames, win_length]` -> `[C, samples]`"""
    samples = (pieces.shape[1] - 1) * params.hop_length + params.win_length
    columns = pieces.transpose(1, 2)
    summed = F.fold(columns, (1, samples), (1, params.win_length), stride=(1, params.hop_length))
    return summed.reshape(pieces.shape[0], samples)
