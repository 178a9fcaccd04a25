"""Masks that say where a sound does something."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from stylus_ops.audio.geometry import PRESETS
from stylus_ops.audio.mask import band, image_mask, read_image
from stylus_ops.audio.mask import sound_mask as mask_of
from stylus_ops.audio.mel import hz_to_mel
from stylus_ops.audio.windows import Spectrogram, audio_to_windows
from stylus_ops.dials import DIALS, SoundMask
from tests.unit.signals import clicks, noise, seconds, tones

RATE = 44100
PARAMS = PRESETS["tiny-256"]


def spectrogram(waveform: Tensor, rate: int = RATE, overlap: int = 32) -> Spectrogram:
    return audio_to_windows(waveform, rate, PARAMS, overlap)[1]


def sound_mask(cut: Spectrogram, what: str, sound: tuple[Tensor, int] | None = None, **more: float) -> Tensor:
    return mask_of(cut, SoundMask(what=what, **more), sound)


def row(hertz: float) -> int:
    """The image's row of a frequency, counted from the top."""
    return PARAMS.n_mels - 1 - round(hz_to_mel(hertz) / hz_to_mel(PARAMS.f_max) * PARAMS.n_mels)


def test_percussive_and_harmonic_share_out_every_place():
    clip = tones(5.2, RATE, channels=1) + clicks(5.2, RATE)
    percussive, harmonic = (sound_mask(spectrogram(clip), kind, smooth=0) for kind in ("percussive", "harmonic"))
    torch.testing.assert_close(percussive + harmonic, torch.ones_like(percussive), rtol=0, atol=1e-5)
    click = round((1 / 3 + 0.5) * PARAMS.sample_rate / PARAMS.hop_length)
    assert float(percussive[0, row(5000), click]) > 0.9
    assert float(harmonic[0, row(441), click + 12]) > 0.9


def test_onsets_are_white_at_attacks_and_black_between_them():
    mask = sound_mask(spectrogram(clicks(5.2, RATE)), "onsets", smooth=0.02)[0]
    assert torch.equal(mask, mask[:1].expand_as(mask))
    times = np.flatnonzero(mask[0].numpy() > 0.5) * PARAMS.hop_length / PARAMS.sample_rate
    attacks = 1 / 3 + 0.5 * np.arange(10)
    assert all(np.abs(attacks - time).min() < 0.08 for time in times)
    assert all(np.abs(times - attack).min() < 0.08 for attack in attacks[:-1])


def test_loud_follows_the_level():
    wave = noise(5, RATE, 1) * torch.where(seconds(5, RATE) < 2.5, 1.0, 0.01).float()
    mask = sound_mask(spectrogram(wave), "loud")[0]
    assert float(mask[:, 20:110].min()) > 0.85
    assert float(mask[:, 140:240].max()) < 0.15


def test_a_band_has_soft_edges_where_they_were_asked_for():
    weights = band(PARAMS, 1000, 4000)
    mask = sound_mask(spectrogram(noise(5.2, RATE)), "band", low_hz=1000, high_hz=4000)[0]
    torch.testing.assert_close(mask, weights.flip(0)[:, None].expand_as(mask))
    assert mask[row(2000)].min() == 1
    assert mask[row(500)].max() == mask[row(8000)].max() == 0
    for edge in (1000, 4000):
        assert float(mask[row(edge), 0]) == pytest.approx(0.5, abs=0.2)
    assert band(PARAMS, 0, 20000).min() == 1


@pytest.mark.parametrize(("duration", "clips"), [(12.3, 2), (1.0, 1)])
def test_one_mask_an_image_in_their_order(duration, clips):
    images, cut = audio_to_windows(clicks(duration, RATE).expand(clips, -1, -1), RATE, PARAMS, 32)
    mask = sound_mask(cut, "onsets")
    assert mask.shape == images.shape[:3]
    assert 0 <= mask.min() <= mask.max() <= 1
    assert mask[..., cut.frames :].sum() == 0
    for index, start in enumerate(cut.starts[:-1]):
        step = cut.starts[index + 1] - start
        torch.testing.assert_close(mask[index, :, step:], mask[index + 1, :, : PARAMS.width - step])


@pytest.mark.parametrize("kind", [kind for kind in DIALS["what"].choices if kind != "band"])
def test_silence_and_what_lies_below_the_band_are_black(kind):
    assert sound_mask(spectrogram(torch.zeros(1, 2, RATE)), kind).max() == 0
    mask = sound_mask(spectrogram(noise(1, RATE)), kind, low_hz=2000)
    assert mask[:, row(1000) :].max() == 0
    assert mask.max() > 0.2


def test_a_stem_of_any_rate_and_length_can_be_looked_at():
    cut = spectrogram(noise(6, RATE))
    early, _ = (sound_mask(cut, "loud", smooth=0, sound=(tones(length, 48000), 48000)) for length in (2, 9))
    assert early[0, 0, 50] > 0.8
    assert early[0, 0, 120] == 0
    with pytest.raises(ValueError, match="3 clips"):
        sound_mask(cut, "loud", sound=(noise(1, RATE).repeat(3, 1, 1), RATE))


@pytest.mark.parametrize("white", [np.uint8(255), np.uint16(65535)])
def test_an_image_lies_over_the_whole_clip(tmp_path, white):
    clip = spectrogram(torch.zeros(1, 1, 12 * RATE))
    pixels = np.zeros((40, 60), white.dtype)
    pixels[20:, :30] = white // 2
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    mask = image_mask(read_image(tmp_path / "mask.png"), clip)
    assert mask.shape == (len(clip.starts), PARAMS.n_mels, PARAMS.width)
    for window, start in zip(mask, clip.starts, strict=True):
        frames = torch.arange(start, start + PARAMS.width)
        for height, low in ((PARAMS.n_mels // 4, False), (3 * PARAMS.n_mels // 4, True)):
            left, right = frames < clip.frames // 2 - 20, frames > clip.frames // 2 + 20
            assert ((window[height][left] - low / 2).abs() < 0.01).all()
            assert (window[height][right] == 0).all()


def test_what_is_no_image_or_of_pixels_beyond_reason_is_refused_by_name(tmp_path):
    (tmp_path / "bomb.png").write_bytes(b"P5 100000 100000 255\n" + bytes(100))  # an image by its first bytes
    (tmp_path / "words.png").write_text("no image")
    for name in ("bomb.png", "words.png", "gone.png"):
        with pytest.raises(ValueError, match=rf"mask .*{name}"):
            read_image(tmp_path / name)
