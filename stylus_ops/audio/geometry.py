"""The geometry of a mel-spectrogram image: Riffusion's (github.com/riffusion/riffusion-hobby), and a smaller one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SpectrogramParams:
    """From sound to image. One image is `n_mels` rows high and `width` frames wide."""

    sample_rate: int = 44100  # Hz
    n_fft: int = 17640  # samples, 400 ms: bins 2.5 Hz apart
    win_length: int = 4410  # samples, 100 ms
    hop_length: int = 441  # samples from frame to frame, 10 ms
    n_mels: int = 512
    f_min: float = 0.0  # Hz
    f_max: float = 10000.0  # Hz
    power: float = 0.25  # of an amplitude, which makes its brightness
    width: int = 512  # frames

    @property
    def band_bins(self) -> int:
        """STFT bins from 0 Hz to `f_max`, both included."""
        return int(self.f_max * self.n_fft / self.sample_rate) + 1

    def count_frames(self, samples: int) -> int:
        """Frames of a waveform of `samples` at `sample_rate`: one is centred on every `hop_length`-th sample."""
        return 1 + samples // self.hop_length


# The names are stored in people's workflows: add, never rename.
PRESETS = {
    "sd-512": SpectrogramParams(),
    "tiny-256": SpectrogramParams(hop_length=882, n_mels=256, width=256),
}
