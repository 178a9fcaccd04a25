"""The block-wise transforms against torch's transforms of the whole clip."""

import pytest
import torch

from stylus_ops.audio.geometry import PRESETS
from stylus_ops.audio.stft import FRAMES_PER_BLOCK, between_blocks, filter_stft, hann_window
from tests.unit.signals import melody, snr

PARAMS = PRESETS["tiny-256"]


def test_filtering_is_torch_istft_of_the_changed_spectrum():
    clip = melody(4.0, 44100)[0]  # more frames than a block holds
    assert PARAMS.count_frames(clip.shape[-1]) > FRAMES_PER_BLOCK // 2
    curve = torch.linspace(0, 2, PARAMS.band_bins)
    got = filter_stft(clip, lambda spectrum, frames: spectrum * curve, PARAMS)
    arguments = (PARAMS.n_fft, PARAMS.hop_length, PARAMS.win_length, hann_window(PARAMS.win_length, clip.device))
    spectrum = torch.stft(clip, *arguments, pad_mode="constant", return_complex=True)
    spectrum[:, : PARAMS.band_bins] *= curve[:, None]
    spectrum[:, PARAMS.band_bins :] = 0
    assert snr(torch.istft(spectrum, *arguments, length=clip.shape[-1]), got) > 100


def test_a_check_between_blocks_can_stop_the_work():
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), between_blocks(interrupt):
        filter_stft(torch.zeros(2, 44100), lambda spectrum, frames: spectrum, PARAMS)
    filter_stft(torch.zeros(2, 44100), lambda spectrum, frames: spectrum, PARAMS)
