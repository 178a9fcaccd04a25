"""The block-wise transforms against torch's transforms of the whole clip."""

import pytest
import torch

from stylus_ops.audio.geometry import PRESETS
from stylus_ops.audio.stft import FRAMES_PER_BLOCK, between_blocks, filter_stft, frame_blocks, hann_window, stft
from tests.unit.signals import melody, snr

PARAMS = PRESETS["tiny-256"]
WINDOW = hann_window(PARAMS.win_length)


def whole(waveform):
    return torch.stft(
        waveform, PARAMS.n_fft, PARAMS.hop_length, PARAMS.win_length, WINDOW, pad_mode="constant", return_complex=True
    )


@pytest.mark.parametrize(("frames", "channels"), [(1, 1), (1000, 2), (FRAMES_PER_BLOCK, 1), (50, 64)])
def test_blocks_cover_every_frame_once(frames, channels):
    covered = [index for block in frame_blocks(frames, channels) for index in range(frames)[block]]
    assert covered == list(range(frames))


def test_magnitudes_are_those_of_torch_stft():
    clip = melody(1.0, 44100)[0]
    frames = PARAMS.count_frames(clip.shape[-1])
    got = torch.cat([stft(clip, slice(first, first + 7), PARAMS) for first in range(0, frames - 6, 7)], 1)
    expected = whole(clip)[:, : PARAMS.band_bins].transpose(1, 2)[:, : got.shape[1]]
    torch.testing.assert_close(got.abs(), expected.abs(), atol=1e-4, rtol=1e-4)


def test_filtering_is_torch_istft_of_the_changed_spectrum():
    clip = melody(4.0, 44100)[0]  # more frames than a block holds
    assert PARAMS.count_frames(clip.shape[-1]) > FRAMES_PER_BLOCK // 2
    curve = torch.linspace(0, 2, PARAMS.band_bins)
    got = filter_stft(clip, lambda spectrum, frames: spectrum * curve, PARAMS)
    spectrum = whole(clip)
    spectrum[:, : PARAMS.band_bins] *= curve[:, None]
    spectrum[:, PARAMS.band_bins :] = 0
    arguments = (PARAMS.n_fft, PARAMS.hop_length, PARAMS.win_length, WINDOW)
    assert snr(torch.istft(spectrum, *arguments, length=clip.shape[-1]), got) > 100


@pytest.mark.parametrize("samples", [1, 2, 881, 882, 4410, 4411])
def test_clips_shorter_than_a_window_keep_their_length(samples):
    clip = torch.ones(1, samples)
    assert filter_stft(clip, lambda spectrum, frames: spectrum, PARAMS).shape == (1, samples)


def test_every_block_is_announced():
    calls = []
    clip = torch.zeros(2, 44100 * 4)
    with between_blocks(lambda: calls.append(1)):
        filter_stft(clip, lambda spectrum, frames: spectrum, PARAMS)
    assert len(calls) == len(list(frame_blocks(PARAMS.count_frames(clip.shape[-1]), 2))) == 2
    filter_stft(clip, lambda spectrum, frames: spectrum, PARAMS)
    assert len(calls) == 2
