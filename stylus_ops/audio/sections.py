"""A long recording seen and heard a section at a time: its images, and images back to sound, in bounded memory.

Every transform here is local. A frame knows the samples under its window, an image its frames and the one number that all
images share, the clip's peak; so a section that is worked on with a window more on either side, and a second of sound
around those, is the same inside as the whole recording would be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d

from .backend import resample
from .geometry import SpectrogramParams
from .lazy import Waveform
from .mel import mel_amplitudes, mel_to_image
from .windows import Spectrogram, check_overlap, window_starts, windows_to_mel

WINDOWS = 24
"""Windows of one section. A recording of no more is worked on as a whole."""
MARGIN = 1  # seconds of sound around the windows of a section: a frame's window and the resampler's kernel are shorter


class Section(NamedTuple):
    """Windows that are worked on at once."""

    own: slice
    """The windows whose sound it gives."""
    seen: slice
    """These and a neighbour on either side, into which theirs fade."""


def count_frames(waveform: Waveform, sample_rate: int, params: SpectrogramParams) -> int:
    """Mel frames of a waveform at its own rate."""
    return params.count_frames(-(-waveform.shape[-1] * params.sample_rate // sample_rate))


def is_long(waveform: Waveform, sample_rate: int, params: SpectrogramParams, overlap: int) -> bool:
    """Whether a recording has more windows than are worked on as a whole."""
    return len(window_starts(count_frames(waveform, sample_rate, params), params.width, overlap)) > WINDOWS


class LongRecording:
    """A recording that is not held in memory, and how it is cut into windows. All of it is read once, for its peak.

    Args:
        waveform: `[C, T]`, on disk or computed where it is read.
        overlap: frames that neighbouring windows share, 0 to half a window.
    """

    def __init__(self, waveform: Waveform, sample_rate: int, params: SpectrogramParams, overlap: int):
        check_overlap(overlap, params)
        self.waveform, self.sample_rate, self.params, self.overlap = waveform, sample_rate, params, overlap
        self.frames = count_frames(waveform, sample_rate, params)
        self.starts = window_starts(self.frames, params.width, overlap)
        self.peak = torch.zeros(1)
        for section in self.sections():
            self.peak = self._mel(self.part(section.own)).amax()[None].maximum(self.peak)

    @property
    def cutting(self) -> Spectrogram:
        """How the recording is cut, without its samples."""
        nothing = torch.empty(1, self.waveform.shape[0], 0)
        return Spectrogram(nothing, self.sample_rate, self.params, self.frames, self.starts, self.overlap, self.peak)

    def sections(self) -> Iterator[Section]:
        count = len(self.starts)
        for first in range(0, count, WINDOWS):
            last = min(first + WINDOWS, count)
            yield Section(slice(first, last), slice(max(first - 1, 0), min(last + 1, count)))

    def images(self, windows: slice) -> Tensor:
        """The images of some windows, `[n, n_mels, width, 3]` in 0..1, normalised as all are."""
        part = self.part(windows)
        mel = self._mel(part)[None]
        image = mel_to_image(mel, self.peak, self.params)[0]
        cut = torch.stack([image[:, start : start + self.params.width] for start in part.starts])
        return cut.unsqueeze(-1).expand(-1, -1, -1, 3)

    def part(self, windows: slice) -> Spectrogram:
        """Some windows as a clip of their own, with the sound around them; its first window may start late."""
        per_second = self.params.sample_rate // self.params.hop_length
        starts = self.starts[windows]
        first = max(starts[0] // per_second - MARGIN, 0)
        last = -(-(starts[-1] + self.params.width) // per_second) + MARGIN
        waveform = self.waveform[:, first * self.sample_rate : last * self.sample_rate]
        return Spectrogram(
            waveform[None],
            self.sample_rate,
            self.params,
            count_frames(waveform, self.sample_rate, self.params),
            tuple(start - first * per_second for start in starts),
            self.overlap,
            self.peak,
        )

    def decoded(self, decode: Callable[[slice, Spectrogram], Tensor]) -> Iterator[Tensor]:
        """The sound of new images, section by section in order, `[C, n]` each: as long as the recording in all.

        Args:
            decode: some windows, and they as a clip of their own, to a waveform `[1, C, T]` of that clip's length; with
                nothing that depends on the rest of the recording, such as its loudness.
        """
        end = 0
        for section in self.sections():
            part = self.part(section.seen)
            waveform = decode(section.seen, part)[0]
            begin = self._sample(self.starts[section.seen][0]) - self._sample(part.starts[0])
            start, end = end, self._boundary(section.own.stop)
            yield waveform[:, start - begin : end - begin]

    def mel(self, images: Callable[[slice], Tensor], columns: int) -> tuple[Tensor, SpectrogramParams]:
        """A small mel spectrogram of the images of all windows, to be drawn: `[n_mels, about columns]` and its geometry.

        Args:
            images: gives the images of some windows, `[n, n_mels, width, 3]`.
        """
        together = max(1, self.frames // columns)
        means = []
        for section in self.sections():
            part = self.part(section.seen)
            mel = windows_to_mel(images(section.seen), part)[0]
            shift = part.starts[0] - self.starts[section.seen][0]
            end = self.frames if section.own.stop == len(self.starts) else self.starts[section.own.stop]
            own = mel[:, self.starts[section.own][0] + shift : end + shift]
            means.append(avg_pool1d(own[None], together, ceil_mode=True)[0])
        return torch.cat(means, 1), replace(self.params, hop_ms=self.params.hop_ms * together)

    def _boundary(self, window: int) -> int:
        """The sample at which the sound of a window begins to be its section's; the clip's end for the one after the last."""
        return self.waveform.shape[-1] if window == len(self.starts) else self._sample(self.starts[window])

    def _sample(self, frame: int) -> int:
        """The sample of the recording at the middle of a frame."""
        return frame * self.params.hop_length * self.sample_rate // self.params.sample_rate

    def _mel(self, part: Spectrogram) -> Tensor:
        """Mel amplitudes under the windows of a part, and zeros around them: `[n_mels, frames]`."""
        mel = mel_amplitudes(resample(part.waveform, part.sample_rate, self.params.sample_rate), self.params)[0]
        mel[:, : part.starts[0]] = 0
        mel[:, part.starts[-1] + self.params.width :] = 0
        return mel
