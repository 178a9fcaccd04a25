"""The style's residual: what is in it, how it is repeated, and where it is heard."""

import pytest
import torch
from torch import Tensor

from stylus_ops.audio.decode import Sources, decode
from stylus_ops.audio.geometry import PRESETS
from stylus_ops.audio.grain import Residual, panning, seamless, without_tones
from stylus_ops.audio.onsets import onsets
from stylus_ops.audio.tone import Reference
from stylus_ops.audio.windows import audio_to_windows
from stylus_ops.dials import Decoding
from tests.unit.signals import below, clicks, melody, noise, snr, tones

TINY, RATE = PRESETS["tiny-256"], 44100


def power(waveform: Tensor) -> float:
    return float(waveform.square().mean())


def residual(style, channels=1, ground=0.0):
    return Residual.of([Reference(style[0], RATE)], channels, TINY, ground)


def crest(waveform: Tensor) -> float:
    return float(waveform.abs().max() / waveform.square().mean().sqrt())


def test_tones_leave_and_bursts_stay() -> None:
    tone, burst = tones(3.0, RATE, 1)[0], clicks(3.0, RATE)[0, :1]
    left = without_tones(tone + burst)
    assert power(left) < 0.05 * power(tone) + 1.1 * power(burst)
    assert snr(burst, without_tones(burst)) > 15


def test_a_style_of_tones_leaves_more_to_the_content_than_one_of_noise() -> None:
    hiss, music = (residual(style, ground=1.0) for style in (noise(2.0, RATE), tones(2.0, RATE)))
    assert hiss.reach_db < 8 < 14 < music.reach_db
    assert (hiss.ground, music.ground) == (1, 0)  # though neither has notes


def test_a_loop_has_no_seam() -> None:
    steady = torch.sin(torch.arange(20000) * 0.02)[None]
    loop = seamless(steady, 2205)
    assert torch.cat([loop, loop], 1).diff().abs().max() < 1.5 * steady.diff().abs().max()
    assert seamless(steady[:, :1], 2205).shape == (1, 1)


def test_weights_share_the_power() -> None:
    styles = [Reference(0.01 * noise(1.0, RATE)[0], RATE, 3.0), Reference(clicks(1.0, RATE)[0], RATE, 1.0)]
    made = Residual.of(styles, 1, TINY)
    assert made is not None
    assert power(made.loops[0].sound) / power(made.loops[1].sound) == pytest.approx(3, rel=0.15)


def test_grain_plays_what_the_content_lacks_and_nothing_else() -> None:
    content, style = 0.05 * tones(2.0, RATE, 1), clicks(2.0, RATE)[:, :1]
    images, spectrogram = audio_to_windows(style, RATE, TINY)
    spectrogram = spectrogram._replace(waveform=content)
    made = residual(style)
    level = Decoding(loudness="none", dynamics=0.0)
    without, grained = (decode(images, spectrogram, level, sources=Sources(r)) for r in (None, made))
    assert crest(grained) > 1.5 * crest(without)
    own, spectrogram = audio_to_windows(melody(2.0, RATE), RATE, TINY)
    same = decode(own, spectrogram, Decoding(), sources=Sources(residual(style, 2, 1.0)))
    assert snr(spectrogram.waveform, same) > 50


def test_a_texture_sounds_under_a_content_that_lacks_nothing_and_is_never_loud() -> None:
    def decoded(style: Tensor) -> list[Tensor]:
        sources = [Sources(residual(style[:, :1], 1, ground)) for ground in (0.0, 1.0)]
        return [decode(images, spectrogram, Decoding(loudness="none", dynamics=0.0), sources=s) for s in sources]

    bright = noise(2.0, RATE)[:, :1]
    _, spectrogram = audio_to_windows(bright, RATE, TINY)
    images, _ = audio_to_windows(torch.nn.functional.avg_pool1d(bright, 31, 1, 15), RATE, TINY)
    over, under = decoded(clicks(2.0, RATE))
    assert crest(under) > 2 * crest(over)
    images, spectrogram = audio_to_windows(0.1 * melody(2.0, RATE)[:, :1], RATE, TINY)
    images[:, : TINY.n_mels // 2] = 0.6  # loud above 2 kHz, and the content's own below
    low = [below(waveform[0], RATE, 1200) for waveform in (spectrogram.waveform, decoded(clicks(2.0, RATE))[1])]
    assert snr(*low) > 30
    images[:, : TINY.n_mels // 2] = 0.2  # far louder
    loud, bounded = (power(sound - spectrogram.waveform) for sound in decoded(bright))
    assert bounded < 3 * power(spectrogram.waveform) < loud


def test_a_beat_is_played_where_the_contents_notes_begin() -> None:
    content = 0.1 * melody(4.0, RATE)[:, :1]
    drums, rain = (torch.zeros(1, 4 * RATE) for _ in range(2))
    drums[:, :: RATE // 4] = 1
    rain[:, torch.randint(4 * RATE, (16,), generator=torch.Generator().manual_seed(0))] = 1
    images, spectrogram = audio_to_windows(0.1 * noise(4.0, RATE)[:, :1], RATE, TINY)
    begins = onsets(content[0], RATE)

    def in_time(style: Tensor) -> float:
        made = Residual.of([Reference(style, RATE)], 1, TINY, 1.0)
        sound = decode(images, spectrogram._replace(waveform=content), Decoding(dynamics=0.0), sources=Sources(made))
        heard = onsets(sound[0] - content[0], RATE)
        return float(((heard[:, None] - begins).abs().amin(1) < 0.03 * RATE).float().mean())

    assert in_time(drums) > 0.8 > 0.6 > in_time(rain)


def test_grain_follows_the_contents_channels() -> None:
    sound = torch.cat([noise(2.0, RATE)[0, :1], 0.1 * noise(2.0, RATE)[0, :1]])
    factors = panning(sound, TINY)
    assert factors.shape == sound.shape
    torch.testing.assert_close(factors.square().mean(0), torch.ones(sound.shape[-1]), rtol=1e-3, atol=1e-3)
    assert float((factors[0] / factors[1]).mean()) == pytest.approx(10, rel=0.05)
    assert torch.equal(panning(torch.zeros(2, 5000), TINY), torch.ones(2, 5000))
