"""Highs: above the images a transfer has its own upper octave, at the style's levels."""

import numpy as np
import pytest
import torch

from stylus_ops.audio.decode import Sources, decode
from stylus_ops.audio.geometry import PRESETS
from stylus_ops.audio.highs import HERTZ, MOST, levels_above, with_highs
from stylus_ops.audio.lazy import Filtered
from stylus_ops.audio.tone import Reference, linear_phase
from stylus_ops.audio.windows import audio_to_windows
from stylus_ops.dials import Decoding
from tests.unit.signals import melody, noise

FLAT, MIDDLES = np.zeros(len(HERTZ)), np.r_[30:70, 130:170]  # a level is averaged over a kilohertz and more


def shaped(sound, rate, above):
    return Filtered(sound, linear_phase([9900, 10100], [0, above], rate))[:, :]


def level(sound, rate, low, high):
    power = torch.fft.rfft(sound).abs().square().mean(0)
    first, last = (round(hertz * sound.shape[-1] / rate) for hertz in (low, high))
    return float(10 * power[first:last].mean().log10())


@pytest.mark.parametrize(("rate", "above"), [(44100, -30.0), (44100, 6.0), (48000, -6.0), (96000, -30.0)])
def test_what_changed_gets_the_styles_levels_above_the_images(rate, above):
    content, other = noise(4.0, rate)[0].split(2 * rate, 1)
    gains = levels_above([Reference(shaped(content, rate, above), rate)])
    np.testing.assert_allclose(gains[MIDDLES], above, atol=1)
    result = with_highs(shaped(other, rate, -60), content, rate, gains)
    assert level(result[:, :], rate, 11500, 18500) - level(other, rate, 5000, 10000) == pytest.approx(above, abs=2.5)
    assert level(result[:, :], rate, 100, 9800) == pytest.approx(level(other, rate, 100, 9800), abs=0.1)
    torch.testing.assert_close(result[:, 70001:70011], result[:, :][:, 70001:70011], rtol=0, atol=1e-6)


def test_highs_sound_when_their_octave_does_and_are_the_contents_where_nothing_changed():
    content, other = noise(2.0, 44100)[0].split(44100, 1)
    for kept in (content, 0.7 * content):
        assert torch.equal(with_highs(kept, content, 44100, FLAT)[:, :], kept)
    assert with_highs(content, other, 32000, FLAT) is content
    result = with_highs(other * (torch.arange(44100) >= 22050), content, 44100, FLAT)[:, :]
    assert level(result[:, :20000], 44100, 10200, 20000) < level(result[:, -20000:], 44100, 10200, 20000) - 60


def test_levels_are_a_mean_by_weight_and_stay_where_a_style_ends():
    sound = noise(2.0, 44100)[0]
    styles = [Reference(shaped(sound, 44100, -40), 44100, 3.0), Reference(sound, 44100, 1.0)]
    np.testing.assert_allclose(levels_above(styles)[MIDDLES], -30, atol=1)
    np.testing.assert_allclose(levels_above([Reference(sound, 22050)])[50:], 0, atol=2)
    assert levels_above([Reference(shaped(sound, 44100, 60), 44100)]).max() == MOST
    assert not levels_above([Reference(0 * sound, 44100)]).any()


def test_a_dull_content_gets_the_brilliance_of_its_style():
    content, style = melody(2.0, 44100), 3 * noise(2.0, 44100)
    (_, spectrogram), (images, _) = (audio_to_windows(sound, 44100, PRESETS["tiny-256"]) for sound in (content, style))
    for dials, bright in ((Decoding(), True), (Decoding(grain=0.0, partials=0.0), False)):
        sources = Sources.of([Reference(style[0], 44100)], [Reference(content[0], 44100)], PRESETS["tiny-256"], dials)
        result = decode(images, spectrogram, dials, sources=sources)[0]
        assert (level(result, 44100, 6000, 9900) - level(result, 44100, 10200, 19000) < 6) == bright
