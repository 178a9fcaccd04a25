"""Ways to restyle a recording without a diffusion model, for comparison.

All take and return waveforms [C, T] at one `sample_rate` in Hz, keep the content's length and match its loudness.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from ..audio.backend import resample
from ..audio.decode import decode
from ..audio.geometry import PRESETS
from ..audio.loudness import allowed_peak, limit_true_peak, loudness_gain
from ..audio.mel import mel_to_image
from ..audio.tone import Reference, match_tone
from ..audio.windows import Spectrogram, audio_to_windows, windows_to_mel
from ..dials import Decoding, Tone

PRESET = PRESETS["tiny-256"]


class Restyled(NamedTuple):
    waveform: Tensor
    """[C, T]"""
    requested: Tensor | None = None
    """The mel amplitudes [n_mels, frames] that the waveform should have; None if none were asked for."""
    spectrogram: Spectrogram | None = None
    """Of the content, in the geometry of `requested`."""


def style_itself(content: Tensor, style: Tensor, sample_rate: int) -> Restyled:
    """The style's own recording, looped or cut to the content's length and at its loudness. Waveforms `[C, T]` at `sample_rate` Hz."""
    samples = content.shape[-1]
    repeated = style[:, torch.arange(samples) % style.shape[-1]]
    repeated = repeated * loudness_gain(repeated, content, sample_rate)
    return Restyled(limit_true_peak(repeated, sample_rate, allowed_peak(content, sample_rate))[:, :])


def eq_match(content: Tensor, style: Tensor, sample_rate: int, amount: float = 1.0) -> Restyled:
    """The content through the equaliser of `match_tone`, bounded at 24 dB.

    Args:
        content, style: waveforms `[C, T]` at `sample_rate` Hz.
        amount: share of the curve in dB, 0 (content) to 1.
    """
    return Restyled(
        match_tone(content, sample_rate, [Reference(style, sample_rate)], Tone(amount, tone_db=24.0)).waveform[:, :]
    )


def cross_synthesis(content: Tensor, style: Tensor, sample_rate: int, amount: float = 1.0) -> Restyled:
    """The content's phase and pattern with the style's mean and deviation of every mel band.

    Statistics are those of (mel amplitude / peak) ** 0.25, the values of the images that a transfer works on.

    Args:
        content, style: waveforms `[C, T]` at `sample_rate` Hz.
        amount: share of the change, 0 (content) to 1.
    """
    (mel, spectrogram), (style_mel, _) = _mel(content, sample_rate), _mel(style, sample_rate)
    peak = mel.amax().clamp(min=torch.finfo(mel.dtype).tiny)
    values = (mel / peak) ** PRESET.power
    wanted = (style_mel / style_mel.amax().clamp(min=torch.finfo(mel.dtype).tiny)) ** PRESET.power
    std, mean = torch.std_mean(values, dim=1, keepdim=True)
    style_std, style_mean = torch.std_mean(wanted, dim=1, keepdim=True)
    matched = (values - mean) / std.clamp(min=1e-6) * style_std + style_mean
    restyled = torch.lerp(values, matched, amount).clamp(0, 1)
    return _decode(peak * restyled ** (1 / PRESET.power), spectrogram)


def truths_mel(content: Tensor, truth: Tensor, sample_rate: int) -> Restyled:
    """The truth's own mel with the content's phase. Waveforms `[C, T]` of one length at `sample_rate` Hz."""
    (mel, _), (_, spectrogram) = _mel(truth, sample_rate), _mel(content, sample_rate)
    return _decode(mel, spectrogram)


def _mel(waveform: Tensor, sample_rate: int) -> tuple[Tensor, Spectrogram]:
    """Mel amplitudes [n_mels, frames] of a clip in one window, however long it is."""
    samples = resample(waveform, sample_rate, PRESET.sample_rate).shape[-1]
    params = replace(PRESET, width=PRESET.count_frames(samples))
    images, spectrogram = audio_to_windows(waveform[None], sample_rate, params, overlap=0)
    return windows_to_mel(images, spectrogram)[0], spectrogram


def _decode(mel: Tensor, spectrogram: Spectrogram) -> Restyled:
    spectrogram = spectrogram._replace(peak=mel.amax()[None])
    images = mel_to_image(mel[None], spectrogram.peak, spectrogram.params)[..., None].expand(-1, -1, -1, 3)
    return Restyled(decode(images, spectrogram, Decoding())[0], mel, spectrogram)
