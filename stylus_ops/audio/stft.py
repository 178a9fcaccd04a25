"""Short-time Fourier transforms, a block of frames at a time: memory grows with a block, never with the clip.

The Hann window of `win_length` samples is centred on the frame and zero-padded to `n_fft`. The clip is surrounded by
silence, so that its first and last frame are centred on real samples. The work is done where the waveform lies, on a CPU or
a GPU; between two blocks it can be stopped (`between_blocks`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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
def hann_window(win_length: int, device: torch.device) -> Tensor:
    """The periodic Hann window `[win_length]`, made once for each length and device."""
    return torch.hann_window(win_length, device=device)


def stft(waveform: Tensor, frames: slice, params: SpectrogramParams) -> Tensor:
    """The spectrum of some frames, up to `f_max`.

    Shape: waveform `[C, T]` -> complex `[C, frames, band_bins]`. The phase refers to the window's first sample.
    """
    first = frames.start * params.hop_length - params.win_length // 2
    last = first + (frames.stop - 1 - frames.start) * params.hop_length + params.win_length
    piece = waveform[:, max(first, 0) : last]
    piece = F.pad(piece, (max(-first, 0), last - max(first, 0) - piece.shape[-1]))
    windowed = piece.unfold(-1, params.win_length, params.hop_length) * hann_window(params.win_length, piece.device)
    return torch.fft.rfft(windowed, n=params.n_fft)[..., : params.band_bins]


def changed_spectra(
    waveform: Tensor, change: Callable[[Tensor, slice], Tensor], params: SpectrogramParams, ahead: int = 0
) -> Iterator[tuple[slice, Tensor]]:
    """The blocks of frames of a waveform `[C, T]`, each with its spectrum after `change`, which takes one `[C, frames, band_bins]` and its
    frames, `ahead` more than are kept, and returns one of that shape."""
    frames = params.count_frames(waveform.shape[-1])
    for block in frame_blocks(frames, waveform.shape[0]):
        seen = slice(block.start, min(block.stop + ahead, frames))
        yield block, change(stft(waveform, seen, params), seen)[:, : block.stop - block.start]


def inverse_stft(spectra: Iterable[tuple[slice, Tensor]], like: Tensor, params: SpectrogramParams) -> Tensor:
    """The waveform, `[C, T]` as `like` is, of the spectra of all its blocks of frames, `[C, frames, band_bins]` each.

    Overlap-add weighted by the window, the least-squares inverse of Griffin & Lim 1984, eq. 6.
    """
    channels, samples = like.shape
    frames, hop = params.count_frames(samples), params.hop_length
    # The window in parts of a hop. The part p of the frame f is added to the hop f + p.
    window = F.pad(hann_window(params.win_length, like.device), (0, -params.win_length % hop)).split(hop)
    total, weight = like.new_zeros(channels, frames + len(window), hop), like.new_zeros(frames + len(window), hop)
    for block, spectrum in spectra:
        pieces = torch.fft.irfft(spectrum, n=params.n_fft)
        for hops, part in enumerate(window):
            own = slice(block.start + hops, block.stop + hops)
            total[:, own].addcmul_(pieces[..., hops * hop : (hops + 1) * hop], part)
            weight[own] += part.square()
    whole = slice(params.win_length // 2, params.win_length // 2 + samples)
    return total.flatten(1)[:, whole] / weight.flatten()[whole]
