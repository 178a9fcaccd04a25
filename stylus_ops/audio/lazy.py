"""Waveforms that are computed where they are read, so that an hour of sound is never held at once.

A tensor, a `Spool` and all that is derived here are read alike: `waveform[:, first:last]` is a tensor `[C, n]`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from .backend import resample

SAMPLES_PER_BLOCK = 1 << 20
FILTERED_AT_ONCE = 100_000  # with what a filter's response adds, a transform that fits into the processor's cache


class Waveform(Protocol):
    """What is read like a tensor `[C, T]`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """`(C, T)`"""

    def __getitem__(self, index: tuple[slice, slice], /) -> Tensor:
        """All channels of some samples, cut at the ends as slices are."""


def blocks(waveform: Waveform, size: int = SAMPLES_PER_BLOCK) -> Iterator[Tensor]:
    """All samples in order, `[C, size]` each, the last one shorter."""
    for first in range(0, waveform.shape[-1], size):
        yield waveform[:, first : first + size]


def bounds(part: slice, samples: int) -> tuple[int, int]:
    """The first sample of a part and the one after its last, as slices count them."""
    first, last, _ = part.indices(samples)
    return first, max(first, last)


def sounds(waveform: Waveform) -> bool:
    """Whether any sample is not zero."""
    return any(bool(piece.any()) for piece in blocks(waveform))


class Scaled:
    """A waveform times a factor.

    Args:
        gain: factors `[ceil(T / block)]` for the middles of blocks of `block` samples, interpolated in between; one for all
            samples where it is a number, or has one value a channel, `[C, 1]`, with a `block` of 0.
    """

    def __init__(self, waveform: Waveform, gain: Tensor | float, block: int = 0):
        self.waveform, self.gain, self.block = waveform, gain, block
        self.shape = waveform.shape

    def __getitem__(self, index: tuple[slice, slice]) -> Tensor:
        first, last = bounds(index[1], self.shape[-1])
        samples = self.waveform[:, first:last]
        if not self.block:
            return samples * self.gain
        assert isinstance(self.gain, Tensor)
        # From the middle of a block to that of the next, over and over: a sample's gain is the same in every piece it is read in.
        first, last = (sample - self.block // 2 for sample in (first, last))
        before = torch.arange(first // self.block, -(-last // self.block))
        left, right = (self.gain[index.clamp(0, len(self.gain) - 1), None] for index in (before, before + 1))
        share = (torch.arange(self.block) + (1 - self.block % 2) / 2).to(self.gain.dtype) / self.block
        curve = torch.lerp(left, right, share).flatten()
        return samples * curve[first % self.block :][: samples.shape[-1]].to(samples.dtype)


class Mixed:
    """Two waveforms of one shape mixed: `share`, 0 to 1, of the second, the rest of the first."""

    def __init__(self, first: Waveform, second: Waveform, share: float):
        self.first, self.second, self.share = first, second, share
        self.shape = first.shape

    def __getitem__(self, index: tuple[slice, slice]) -> Tensor:
        return torch.lerp(self.first[index], self.second[index], self.share)


class Sum:
    """Waveforms of one shape, added."""

    def __init__(self, *waveforms: Waveform):
        self.waveforms, self.shape = waveforms, waveforms[0].shape

    def __getitem__(self, index: tuple[slice, slice]) -> Tensor:
        return torch.stack([waveform[index] for waveform in self.waveforms]).sum(0)


class WithEnds:
    """A waveform with other samples at its beginning and end: `head` and `tail`, `[C, n]` each, at most half of it."""

    def __init__(self, waveform: Waveform, head: Tensor, tail: Tensor):
        self.waveform, self.head, self.tail = waveform, head, tail
        self.shape = waveform.shape

    def __getitem__(self, index: tuple[slice, slice]) -> Tensor:
        first, last = bounds(index[1], self.shape[-1])
        begin, end = self.head.shape[-1], self.shape[-1] - self.tail.shape[-1]
        middle = self.waveform[:, max(first, begin) : max(min(last, end), begin)]
        return torch.cat([self.head[:, first:last], middle, self.tail[:, max(first - end, 0) : max(last - end, 0)]], 1)


class Resampled:
    """A waveform at another rate, `ceil(T * rate / own_rate)` samples; rates in Hz.

    Computed between whole seconds, which are whole samples at any rate, with a second on both sides for the resampler.
    """

    def __init__(self, waveform: Waveform, own_rate: int, rate: int):
        self.waveform, self.own_rate, self.rate = waveform, own_rate, rate
        self.shape = (waveform.shape[0], -(-waveform.shape[-1] * rate // own_rate))

    def __getitem__(self, index: tuple[slice, slice]) -> Tensor:
        first, last = bounds(index[1], self.shape[-1])
        start, end = max(first // self.rate - 1, 0), last // self.rate + 2
        around = resample(self.waveform[:, start * self.own_rate : end * self.own_rate], self.own_rate, self.rate)
        return around[:, first - start * self.rate : last - start * self.rate]


class Filtered:
    """A waveform through an FIR filter, of which the middle tap is at no delay, or that of number `now`."""

    def __init__(self, waveform: Waveform, taps: np.ndarray, now: int | None = None):
        self.waveform, self.taps = waveform, torch.from_numpy(taps.astype(np.float32))
        self.now, self.shape = len(taps) // 2 if now is None else now, waveform.shape
        self.responses: dict[int, Tensor] = {}  # by size of the transform

    def __getitem__(self, index: tuple[slice, slice]) -> Tensor:
        first, last = bounds(index[1], self.shape[-1])
        filtered, longest = torch.empty(self.shape[0], last - first), len(self.taps) - 1
        for start in range(first, last, FILTERED_AT_ONCE):
            end = min(start + FILTERED_AT_ONCE, last)
            begin, stop = start + self.now - longest, end + self.now
            piece = pad(self.waveform[:, max(begin, 0) : stop], (max(-begin, 0), max(stop - self.shape[-1], 0)))
            size = 1 << (piece.shape[1] - 1).bit_length()
            if size not in self.responses:
                self.responses[size] = torch.fft.rfft(self.taps, size)
            convolved = torch.fft.irfft(torch.fft.rfft(piece, size) * self.responses[size], size)
            filtered[:, start - first : end - first] = convolved[:, longest : piece.shape[1]]
        return filtered
