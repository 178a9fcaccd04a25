"""Mel spectrograms against librosa, and windows that lose nothing."""

import math
from itertools import pairwise

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stylus_ops.audio.geometry import PRESETS
from stylus_ops.audio.mel import mel_amplitudes
from stylus_ops.audio.windows import Spectrogram, audio_to_windows, window_starts, windows_to_mel
from tests.unit.signals import melody, noise

TINY = PRESETS["tiny-256"]


@pytest.mark.parametrize("params", PRESETS.values(), ids=PRESETS)
def test_mel_amplitudes_are_librosas(params):
    clip = melody(1.0, 44100)[0, :1]
    sizes = {"n_fft": params.n_fft, "hop_length": params.hop_length, "win_length": params.win_length}
    transform = librosa.stft(clip[0].numpy(), **sizes, pad_mode="constant")
    filters = librosa.filters.mel(
        sr=44100, n_fft=params.n_fft, n_mels=params.n_mels, fmax=params.f_max, htk=True, norm=None
    )
    expected = filters @ np.abs(transform)
    np.testing.assert_allclose(mel_amplitudes(clip[None], params)[0], expected, atol=2e-4 * expected.max())


def test_channels_out_of_phase_are_seen():
    left = melody(0.5, 44100)[:, :1]
    both = mel_amplitudes(torch.cat([left, -left], 1), TINY)
    torch.testing.assert_close(both, mel_amplitudes(left, TINY))
    one_side = mel_amplitudes(torch.cat([left, 0 * left], 1), TINY)
    torch.testing.assert_close(one_side, both / math.sqrt(2))


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.integers(1, 1200), st.integers(0, TINY.width // 2))
def test_windows_cover_the_clip_and_their_cross_fades_add_up_to_one(frames, overlap):
    starts = window_starts(frames, TINY.width, overlap)
    assert (starts[0], starts[-1]) == (0, max(0, frames - TINY.width))
    assert all(0 < later - earlier <= TINY.width - overlap for earlier, later in pairwise(starts))
    spectrogram = Spectrogram(torch.zeros(1, 1, 0), 44100, TINY, frames, starts, overlap, torch.ones(1))
    images = torch.full((len(spectrogram.starts), TINY.n_mels, TINY.width, 3), 0.25)
    torch.testing.assert_close(windows_to_mel(images, spectrogram), torch.full((1, TINY.n_mels, frames), 0.75**4))


@pytest.mark.parametrize(("seconds", "overlap"), [(0.4, 64), (5.2, 0), (5.5, 128)])
def test_windows_join_to_the_mel_they_were_cut_from(seconds, overlap):
    clip = torch.cat([noise(seconds, 44100), 2 * melody(seconds, 44100)])
    images, spectrogram = audio_to_windows(clip, 44100, TINY, overlap)
    expected = mel_amplitudes(clip, TINY)
    assert (images.unflatten(0, (2, -1)).flatten(1).amin(1) == 0).all()  # each clip by its own peak
    assert images.shape == (2 * len(spectrogram.starts), TINY.n_mels, TINY.width, 3)
    torch.testing.assert_close(
        windows_to_mel(images, spectrogram), expected, atol=1e-5 * float(expected.max()), rtol=1e-3
    )


def test_short_clips_are_padded_or_looped():
    clip = noise(1.0, 44100)
    padded, spectrogram = audio_to_windows(clip, 44100, TINY, short_clip="pad")
    looped, _ = audio_to_windows(clip, 44100, TINY, short_clip="loop")
    frames = spectrogram.frames
    assert frames == 51
    assert spectrogram.valid_columns(32) == 6
    assert (padded[:, :, frames:] == 1).all()
    torch.testing.assert_close(looped[:, :, frames : 2 * frames], looped[:, :, :frames])
    torch.testing.assert_close(looped[:, :, :frames], padded[:, :, :frames])


def test_unusable_audio_is_refused():
    short = torch.zeros(1, 1, 100)
    for waveform, rate in ((short[..., :0], 44100), (short[0], 44100), (short * math.nan, 44100), (short, 100)):
        with pytest.raises(ValueError, match="audio"):
            audio_to_windows(waveform, rate, TINY)


def test_images_of_another_recording_are_refused():
    images, spectrogram = audio_to_windows(noise(1.0, 44100), 44100, TINY)
    with pytest.raises(ValueError, match="do not belong to this spectrogram"):
        windows_to_mel(images.repeat(2, 1, 1, 1), spectrogram)
    with pytest.raises(ValueError, match="NaN"):
        windows_to_mel(images * math.nan, spectrogram)
