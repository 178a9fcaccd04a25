"""Match Tone: the spectrum that it reaches, and what it leaves."""

import math

import numpy as np
import pytest
import torch
from scipy.signal import firwin2, lfilter

from stylus_ops.audio.loudness import integrated_loudness
from stylus_ops.audio.tone import Reference, level_curve
from stylus_ops.audio.tone import match_tone as match
from stylus_ops.dials import Tone
from tests.unit.signals import melody, mix, noise, snr

RATE = 44100


def match_tone(content, rate, references, tone=1.0, **more):
    return match(content, rate, references, Tone(tone=tone, **more))


def coloured(clip, decibels, rate=RATE):
    """The clip through a filter of these gains at 0, 200, 1000, 4000, 12000 Hz and Nyquist."""
    gains = 10 ** (np.array(decibels) / 20)
    taps = firwin2(2047, [0, 200, 1000, 4000, 12000, rate / 2], gains, fs=rate)
    return torch.from_numpy(lfilter(taps, 1, clip.numpy(), axis=-1).astype(np.float32))


def distance(a, b, rate=RATE):
    """Decibels (root mean square over the bands) between two long-term spectra, each relative to its mean."""
    first, second = (level_curve(clip, rate, 0.25) for clip in (a, b))
    return float(np.std(first - second))


@pytest.mark.parametrize("channels", [1, 2])
def test_the_style_s_spectrum_is_reached(channels):
    content = noise(3.0, RATE, channels)[0]
    style = coloured(noise(3.0, RATE, channels)[0].flip(-1), [6, 0, -8, 4, -6, -6])
    matched = match_tone(content, RATE, [Reference(style, RATE)])
    assert distance(content, style) > 3.5
    assert distance(matched.waveform[:, :], style) < 0.5
    at = np.interp([1000, 4000], matched.frequencies, matched.decibels)
    assert at[1] - at[0] == pytest.approx(12, abs=1.5)


def test_at_amount_0_and_in_its_own_tone_the_content_comes_back():
    content = mix(1.0, RATE)[0]
    matched = match_tone(content, RATE, [Reference(noise(1.0, RATE)[0], RATE)], tone=0.0)
    assert torch.equal(matched.waveform[:, :], content)
    assert not matched.decibels.any()
    assert snr(content, match_tone(content, RATE, [Reference(content, RATE)]).waveform[:, :]) > 100


@pytest.mark.parametrize(("rate", "style_rate"), [(8000, 44100), (44100, 16000), (96000, 44100)])
def test_length_loudness_and_peak_are_kept_at_any_rate(rate, style_rate):
    content, style = 0.3 * melody(1.5, rate)[0], noise(1.0, style_rate)[0]
    matched = match_tone(content, rate, [Reference(style, style_rate)]).waveform[:, :]
    assert matched.shape == content.shape
    assert matched.dtype == torch.float32
    assert integrated_loudness(matched, rate) == pytest.approx(integrated_loudness(content, rate), abs=0.5)
    assert matched.abs().max() <= 0.9
    for samples in (1, 100, 5000):
        short = match_tone(content[:, :samples], rate, [Reference(style[:, :400], style_rate)]).waveform[:, :]
        assert short.shape == (2, samples)
        assert short.isfinite().all()


@pytest.mark.parametrize("most_db", [0.0, 3.0])
def test_the_curve_is_bounded(most_db):
    content, style = noise(1.0, RATE, 1)[0], coloured(noise(1.0, RATE, 1)[0], [0, 0, -40, 0, -50, -50])
    curve = match_tone(content, RATE, [Reference(style, RATE)], tone_db=most_db).decibels
    assert curve.abs().max() == pytest.approx(most_db, abs=0.01)


def test_amount_and_resolution_shape_the_curve():
    content, style = noise(2.0, RATE, 1)[0], melody(2.0, RATE)[0]

    def curve(**dials):
        return match_tone(content, RATE, [Reference(style, RATE)], tone_db=60.0, **dials).decibels.diff()

    torch.testing.assert_close(curve(tone=0.5), curve() / 2)
    assert curve(tone_resolution=0.1).abs().mean() > 2 * curve(tone_resolution=1.0).abs().mean()


def test_several_references_count_by_their_weights():
    content = noise(2.0, RATE, 1)[0]
    dark, bright = (coloured(content.flip(-1), [a, a, 0, -a, -a, -a]) for a in (8, -8))

    def curve(*weights):
        references = [Reference(s, RATE, w) for s, w in zip((dark, bright), weights, strict=True)]
        return match_tone(content, RATE, references).decibels

    one, other = curve(1, 0), curve(0, 1)
    both, doubled = curve(1, 1), curve(2, 2)
    torch.testing.assert_close(both, doubled)
    assert both.abs().max() < 0.3 * min(one.abs().max(), other.abs().max())


def test_nothing_is_heard_ahead_of_a_click():
    """Backward masking hides what comes less than 10 ms ahead; further ahead there is nothing to hide."""
    content = torch.zeros(1, RATE)
    content[0, RATE // 2] = 0.5
    matched = match_tone(content, RATE, [Reference(coloured(noise(2.0, RATE, 1)[0], [20, 10, -15, 5, -20, -20]), RATE)])
    energy = matched.waveform[:, :][0].square()
    ahead = energy[: RATE // 2 - RATE // 100].sum() / energy.sum()
    assert 10 * math.log10(float(ahead) + 1e-30) < -40


def test_silence_is_left_alone_and_told_of(caplog):
    sound, silence = noise(1.0, RATE)[0], torch.zeros(1, RATE)
    assert match_tone(silence, RATE, [Reference(sound, RATE)]).waveform is silence
    assert match_tone(sound, RATE, [Reference(silence, RATE)]).waveform is sound
    assert [record.getMessage().split(" is silent")[0] for record in caplog.records] == ["the content", "a style"]
