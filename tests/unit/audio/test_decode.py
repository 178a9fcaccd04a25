"""Sound through images and back: what is kept, what changes, and the numbers that the decoder promises."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stylus_ops.audio.decode import decode
from stylus_ops.audio.geometry import PRESETS
from stylus_ops.audio.loudness import MINUS_1_DBFS, integrated_loudness, true_peak
from stylus_ops.audio.mel import image_to_mel, mel_amplitudes, mel_to_image
from stylus_ops.audio.stft import between_blocks
from stylus_ops.audio.windows import audio_to_windows
from stylus_ops.dials import DIALS, Decoding
from tests.unit.signals import below, melody, mix, noise, sine, snr, tones

SD = PRESETS["sd-512"]
TINY = PRESETS["tiny-256"]


def there_and_back(clip, rate, params=SD, **options):
    images, spectrogram = audio_to_windows(clip, rate, params)
    return decode(images, spectrogram, Decoding(**options))


def louder(clip, decibels):
    """Images of `decibels` more, everywhere or a column, and the spectrogram, whose peak has room for them."""
    images, spectrogram = audio_to_windows(clip, 44100, TINY)
    factor = 10 ** (torch.as_tensor(decibels) / 20)
    mel = factor * image_to_mel(images[..., 0], spectrogram.peak, TINY)
    peak = 2 * factor.max() * spectrogram.peak
    return mel_to_image(mel, peak, TINY)[..., None].repeat(1, 1, 1, 3), spectrogram._replace(peak=peak)


# Measured of the smallest magnitudes: 57 and 18 dB. Between 44099 and 44100 Hz the resampler is soxr.
@pytest.mark.parametrize(
    ("method", "signal", "rate", "decibels"),
    [
        ("phase_pinv", tones, 44100, 40),
        ("phase_pinv", noise, 44100, 15),
        ("phase", mix, 24000, 90),
        ("phase", melody, 44099, 20),
        ("gain", mix, 8000, 90),
        ("gain", mix, 192000, 90),
    ],
)
def test_unchanged_images_give_back_the_recording(method, signal, rate, decibels):
    clip = signal(1.0, rate)
    output = there_and_back(clip, rate, decode=method)
    if method == "phase_pinv":
        clip, output = (below(sound, rate, 10000) for sound in (clip, output))
    assert snr(clip, output) > decibels


def test_phase_and_iterations_bring_the_sound_closer_to_another_mel():
    images, spectrogram = audio_to_windows(melody(1.0, 44100), 44100, TINY)
    images = (images + audio_to_windows(mix(1.0, 44100).flip(-1), 44100, TINY)[0]) / 2
    target = image_to_mel(images[..., 0], spectrogram.peak, TINY)[..., 5 : spectrogram.frames - 5]

    def distance(method, iterations):
        dials = Decoding(decode=method, phase_iters=iterations, loudness="none", detail=1.0)
        mel = mel_amplitudes(decode(images, spectrogram, dials), TINY)[..., 5:-5]
        return 20 * math.log10(float((mel - target).norm() / target.norm()))

    for method in ("phase", "griffin_lim", "phase_pinv"):
        assert distance(method, 9) < distance(method, 1) - 1
    assert distance("phase", 0) < distance("phase_pinv", 0)


@settings(deadline=None, derandomize=True, max_examples=15)
@given(
    st.integers(1, 30000) | st.sampled_from([1, 2, 220, 221, 881, 882]),
    st.sampled_from([8000, 11025, 24000, 44100, 48000, 96000]),
    st.integers(1, 3),
    st.integers(1, 2),
    st.integers(0, 128),
    st.sampled_from(DIALS["decode"].choices),
    st.sampled_from([0.0, -30.0]),
)
def test_every_clip_comes_back_in_its_own_shape(samples, rate, channels, batch, overlap, method, above_band_db):
    clip = torch.randn(batch, channels, samples, generator=torch.Generator().manual_seed(samples))
    images, spectrogram = audio_to_windows(clip, rate, TINY, overlap)
    decoding = Decoding(decode=method, phase_iters=1, above_band_db=above_band_db)
    output = decode(images.flip(-2), spectrogram, decoding)
    assert output.shape == clip.shape
    assert output.dtype == torch.float32
    assert output.isfinite().all()
    assert not decode(images, spectrogram._replace(waveform=0 * clip), decoding).any()
    for before, after in zip(clip, output, strict=True):
        assert true_peak(after, rate) <= max(MINUS_1_DBFS, true_peak(before, rate)) * 1.0001


@pytest.mark.parametrize(
    ("method", "asked", "heard"), [("phase", -12, -12), ("phase", 6, 6), ("gain", 6, 6), ("gain", -40, -12)]
)
def test_louder_images_are_louder_sound_within_the_bounds_of_gain(method, asked, heard):
    clip = 0.25 * melody(1.0, 44100)
    images, spectrogram = louder(clip, asked)
    output = decode(images, spectrogram, Decoding(decode=method, gain_db=12, loudness="none"))
    assert snr(10 ** (heard / 20) * clip, output) > 30


def test_a_check_between_blocks_can_stop_the_work():
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), between_blocks(interrupt):
        there_and_back(melody(1.0, 44100), 44100)
    there_and_back(melody(1.0, 44100), 44100)


def test_what_the_reference_lost_cancels():
    clip = mix(1.0, 44100)
    images, spectrogram = audio_to_windows(clip, 44100, TINY)
    blurred = torch.nn.functional.avg_pool2d(images.movedim(-1, 1), 5, 1, 2, count_include_pad=False).movedim(1, -1)
    gain = Decoding(decode="gain")
    assert snr(clip, decode(blurred, spectrogram, gain, reference=blurred)) > 90
    assert snr(clip, decode(blurred, spectrogram, gain)) < 30


@pytest.mark.parametrize(("method", "rate"), [("phase", 44100), ("gain", 96000)])
def test_what_lies_above_the_band_is_kept_or_attenuated(method, rate):
    clip = melody(1.0, rate) + sine(15000, 1.0, rate, 0.1)

    def band(waveform):
        return waveform.double() - below(waveform, rate, 12000)

    kept = there_and_back(clip, rate, TINY, decode=method, loudness="none")
    quieter = there_and_back(clip, rate, TINY, decode=method, loudness="none", above_band_db=-20.0)
    assert snr(band(clip), band(kept)) > 60
    assert snr(0.1 * band(clip), band(quieter)) > 30


def test_levels_are_the_contents_or_the_images_and_the_mix_lies_between():
    clip = 0.2 * melody(1.0, 44100)
    images, spectrogram = louder(clip, -12)

    def decoded(loudness, share=1.0):
        return decode(images, spectrogram, Decoding(decode="gain", loudness=loudness, mix=share))

    wet = decoded("none")
    assert float((decoded("match_content").square().mean() / clip.square().mean()).sqrt()) == pytest.approx(1, abs=0.02)
    torch.testing.assert_close(decoded("none", 0.5), (wet + clip) / 2)
    assert torch.equal(decoded("match_content", 0.0), clip)


def test_dynamics_keep_a_burst_of_the_images_from_making_the_rest_quiet():
    clip = melody(2.0, 44100)
    burst = torch.zeros(TINY.width)
    burst[30:32] = 30  # dB
    images, spectrogram = louder(clip, burst)
    outputs = (clip, *(decode(images, spectrogram, Decoding(dynamics=closeness)) for closeness in (0.0, 0.5)))
    wanted, free, near = (integrated_loudness(output[0], 44100) for output in outputs)
    assert free < wanted - 1.5
    assert near == pytest.approx(wanted, abs=0.3)
