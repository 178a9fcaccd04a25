"""What the prior is trained on: the examples mean what they say."""

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from training.examples import KINDS, match_statistics, random_example
from training.textures import TEXTURES, texture
from training.windows import WIDTH, Recordings, mix, to_images


@pytest.fixture
def recordings(tmp_path: Path) -> Recordings:
    """Random smooth spectrograms: two pieces of three renderings, and a texture."""
    rng = np.random.default_rng(0)
    for name, renderings in (("music_00000", 3), ("music_00001", 3), ("texture_00000", 1)):
        values = gaussian_filter1d(rng.random((renderings, 256, 800)), 4, axis=1) + 0.1
        np.save(tmp_path / f"{name}.npy", values.astype(np.float16))
    return Recordings(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_examples_are_three_windows(recordings: Recordings, kind: str) -> None:
    example = random_example(recordings, np.random.default_rng(1), kind)
    for window in example:
        assert window.shape == (256, WIDTH)
        assert np.isfinite(window).all()
        assert (window >= 0).all()


def test_same_asks_for_what_enters(recordings: Recordings) -> None:
    example = random_example(recordings, np.random.default_rng(2), "same")
    assert np.array_equal(example.content, example.target)
    assert not np.array_equal(example.style, example.target)


def test_equalised_differs_from_its_target_by_a_curve_over_frequency(recordings: Recordings) -> None:
    example = random_example(recordings, np.random.default_rng(4), "equalised")
    curve = example.content / example.target
    assert np.allclose(curve, curve[:, :1], rtol=1e-2)
    assert not np.allclose(curve, 1, rtol=0.05)


def test_rolled_reads_its_target_at_another_place(recordings: Recordings) -> None:
    example = random_example(recordings, np.random.default_rng(3), "rolled")
    assert not np.allclose(example.content, example.target)
    offsets = [k for k in range(WIDTH) if np.allclose(np.roll(example.style, k, axis=1), example.target)]
    assert offsets


def test_matched_takes_the_style_s_envelope_and_keeps_the_notes() -> None:
    rng = np.random.default_rng(3)
    content, style = (rng.random((256, WIDTH)).astype(np.float32) + level for level in (1.0, 3.0))
    matched = match_statistics(content, style)
    envelopes = [gaussian_filter1d(v, 10.0, axis=0, mode="nearest").mean(1) for v in (matched, style)]
    assert np.abs(envelopes[0] - envelopes[1]).max() < 0.1
    notes = [(v - gaussian_filter1d(v, 10.0, axis=0, mode="nearest")).ravel() for v in (matched, content)]
    assert np.corrcoef(*notes)[0, 1] > 0.99


def test_mixing_adds_powers() -> None:
    one = np.ones((256, WIDTH), np.float32)
    assert np.allclose(mix(one, one, 1.0), 2 ** (1 / 8))  # values are amplitude ** 0.25: twice the power


def test_images_are_quiet_bright_and_low_notes_below() -> None:
    values = np.zeros((1, 256, WIDTH), np.float32)
    values[:, 0] = 3.0
    images = to_images(values)
    assert images.shape == (1, 3, 256, WIDTH)
    assert (images[:, :, -1] == -1).all()
    assert (images[:, :, :-1] == 1).all()


@pytest.mark.parametrize("kind", range(len(TEXTURES)))
def test_textures_sound_and_are_the_same_every_time(kind: int) -> None:
    first = texture(kind, 1.0)
    assert np.isfinite(first).all()
    assert 0.4 < np.abs(first).max() <= 0.5
    assert np.array_equal(first, texture(kind, 1.0))


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no training data"):
        Recordings(tmp_path)
