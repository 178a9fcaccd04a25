"""The geometry of a mel-spectrogram image: Riffusion's (github.com/riffusion/riffusion-hobby), and a smaller one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SpectrogramParams:
    """From sound to image. One image is `n_mels` rows high and `width` frames wide."""

    sample_rate: int = 44100
    n_fft: int = 17640
    win_length: int = 4410
    hop_length: int = 441
    n_mels: int = 512
    f_min: float = 0.0
    f_max: float = 10000.0
    power: float = 0.25
    width: int = 512

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
