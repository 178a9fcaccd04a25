"""Masks of a spectrogram's size that say where in time and frequency a sound does something."""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..dials import SoundMask
from .backend import resample
from .geometry import SpectrogramParams
from .mel import hz_to_mel, mel_amplitudes, mel_scale
from .windows import Spectrogram

LOUD_RANGE_DB = 40.0  # below the loudest frame: from black to white
MEDIAN_SECONDS = 0.4  # over which a tone is steady, and longer than a window smears an attack
MEDIAN_MELS = 1 / 16  # of the mel axis, over which an attack is broad
EDGE_MELS = 1 / 64  # of the mel axis, over which a band's edge fades


def sound_mask(spectrogram: Spectrogram, shape: SoundMask, sound: tuple[Tensor, int] | None = None) -> Tensor:
    """A mask for every image of a spectrogram, white where the sound is of a kind.

    Args:
        shape: its `what` "onsets" marks attacks, "loud" how close a moment comes to the loudest one, over all frequencies;
            "percussive" and "harmonic" share out each place (Fitzgerald 2010, soft masks as in librosa); "band" is
            white everywhere between `low_hz` and `high_hz`. What is below or above them is black for each of these.
        sound: another waveform `[B, C, T]` and its rate in Hz to look at, such as a stem of the recording; it is cut or
            completed with silence to the recording's length.

    Returns:
        `[B * windows, n_mels, width]` in 0..1, low frequencies at the bottom; black where an image is padding.

    Raises ValueError: a sound of another number of clips.
    """
    params = spectrogram.params
    waveform, rate = sound or (spectrogram.waveform, spectrogram.sample_rate)
    if len(waveform) != (clips := len(spectrogram.waveform)):
        raise ValueError(f"audio has {len(waveform)} clips and the spectrogram {clips}: give as many of both")
    mel = mel_amplitudes(resample(waveform.float().cpu(), rate, params.sample_rate), params)[..., : spectrogram.frames]
    mel = torch.nn.functional.pad(mel, (0, spectrogram.frames - mel.shape[-1]))
    frames = shape.smooth * params.sample_rate / params.hop_length
    masks = [_smooth(_where(shape.what, clip.numpy(), params), frames) for clip in mel]
    mask = torch.from_numpy(np.stack(masks)).float() * band(params, shape.low_hz, shape.high_hz)[:, None]
    return spectrogram.cut(mask.clamp(0, 1).flip(-2), 0.0)


def read_image(path: Path) -> Tensor:
    """An image file as brightness `[H, W]` in 0 (black) to 1 (white). Raises ValueError if it is not there, or no image."""
    try:
        with Image.open(path) as image:
            if image.mode.startswith("I"):  # 16 bits, which Pillow would clip to 8
                return torch.from_numpy(np.asarray(image).astype(np.float32) / 65535)
            return torch.from_numpy(np.asarray(image.convert("L"), np.float32) / 255)
    except FileNotFoundError:
        raise ValueError(f"mask {path} does not exist: check its name and folder") from None
    except Exception as error:  # a decoder raises all kinds of errors over a damaged file
        raise ValueError(f"mask {path} can't be read as an image: choose a png, jpg or webp file") from error


def image_mask(image: Tensor, spectrogram: Spectrogram) -> Tensor:
    """An image laid over a whole clip, as a mask for each of its windows.

    Args:
        image: `[H, W]` in 0..1 of any size: time runs to the right from the clip's beginning to its end, low frequencies
            are at the bottom.

    Returns:
        `[windows, n_mels, width]` in 0..1; the padding of a clip shorter than a window is as its last frame.
    """
    size = (spectrogram.params.n_mels, spectrogram.frames)
    laid = torch.nn.functional.interpolate(image[None, None], size, mode="bilinear", antialias=True)[0]
    missing = max(0, spectrogram.params.width - spectrogram.frames)
    return spectrogram.cut(torch.nn.functional.pad(laid.clamp(0, 1), (0, missing), "replicate"), 0.0)


def band(params: SpectrogramParams, low: float, high: float) -> Tensor:
    """1 for mels between two frequencies in Hz, fading to 0 around the edges: `[n_mels]`, the lowest first.

    An edge at or beyond the end of the mel axis does not fade.
    """
    position = mel_scale(params).mels
    width = (position[-1] - position[0]) * EDGE_MELS
    rise, fall = (position - hz_to_mel(low)) / width + 0.5, (hz_to_mel(high) - position) / width + 0.5
    rise = rise if hz_to_mel(low) > position[0] else np.ones_like(position)
    fall = fall if hz_to_mel(high) < position[-1] else np.ones_like(position)
    return torch.from_numpy(np.clip(rise, 0, 1) * np.clip(fall, 0, 1)).float()


def _where(kind: str, mel: np.ndarray, params: SpectrogramParams) -> np.ndarray:
    """`[n_mels, frames]` in 0..1, or `[1, frames]` where frequency does not matter; black where there is no sound."""
    if kind == "band" or not mel.any():
        return np.full_like(mel, float(kind == "band"))
    if kind == "loud":
        level = librosa.power_to_db(np.square(mel).sum(0, keepdims=True), ref=np.max, top_db=LOUD_RANGE_DB)
        return 1 + level / LOUD_RANGE_DB
    if kind == "onsets":
        decibels = librosa.amplitude_to_db(mel, ref=np.max)
        strength = librosa.onset.onset_strength(
            S=decibels, sr=params.sample_rate, hop_length=params.hop_length, center=False
        )
        return (strength / max(strength.max(), 1e-9))[None]
    frames = max(3, round(MEDIAN_SECONDS * params.sample_rate / params.hop_length))
    kernel = (frames, max(3, round(MEDIAN_MELS * params.n_mels)))
    harmonic, percussive = librosa.decompose.hpss(mel, kernel_size=kernel, mask=True)
    return harmonic if kind == "harmonic" else percussive


def _smooth(mask: np.ndarray, frames: float) -> np.ndarray:
    """Averaged over a Hann window of that many frames."""
    if frames < 1:
        return mask
    from scipy.ndimage import convolve1d  # most transfers have no mask

    window = np.hanning(2 * round(frames) + 1)
    return convolve1d(mask, window / window.sum(), axis=1, mode="nearest")
