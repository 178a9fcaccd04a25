"""The geometry of a mel-spectrogram image: Riffusion's (github.com/riffusion/riffusion-hobby), and a smaller one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..dials import DIALS


@dataclass(frozen=True)
class SpectrogramParams:
    """From sound to image. One image is `n_mels` rows high and `width` frames wide."""

    sample_rate: int = 44100  # Hz
    window_ms: float = 100.0  # of sound in a frame: partials 20 Hz apart are told apart
    hop_ms: float = 10.0  # from frame to frame
    padding: int = 4  # n_fft over win_length; 4 puts a bin every 2.5 Hz, so that no mel band is without one
    n_mels: int = 512
    f_max: float = 10000.0  # Hz
    power: float = 0.25  # of an amplitude, which makes its brightness
    width: int = 512  # frames

    @property
    def win_length(self) -> int:
        """Samples in a frame."""
        return round(self.window_ms * self.sample_rate / 1000)

    @property
    def hop_length(self) -> int:
        """Samples from frame to frame."""
        return round(self.hop_ms * self.sample_rate / 1000)

    @property
    def n_fft(self) -> int:
        """Samples of a frame with the zeros around it."""
        return self.padding * self.win_length

    @property
    def band_bins(self) -> int:
        """STFT bins from 0 Hz to `f_max`, both included."""
        return int(self.f_max * self.n_fft / self.sample_rate) + 1

    def count_frames(self, samples: int) -> int:
        """Frames of a waveform of `samples` at `sample_rate`: one is centred on every `hop_length`-th sample."""
        return 1 + samples // self.hop_length


# The names are stored in people's workflows: add, never rename.
PRESETS = {"sd-512": SpectrogramParams(), "tiny-256": SpectrogramParams(hop_ms=20.0, n_mels=256, width=256)}


def check_overlap(overlap: int, params: SpectrogramParams) -> None:
    """Raises ValueError unless windows can overlap by so many frames: by half a window at most."""
    replace(DIALS["overlap"], high=params.width // 2).check(overlap)
