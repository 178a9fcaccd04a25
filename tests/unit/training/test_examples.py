"""What the prior is trained on, and the triples it is judged by, mean what they say."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from training.data import ensembles
from training.examples import KINDS, Examples, random_examples
from training.scores import CORPUS_COMPOSERS, Note, Voice
from training.truth_triples import COMPOSERS, FIDDLE_TUNES, Instrument, in_range
from training.windows import WIDTH, Recordings

COUNT = 6
TUNE = (Voice(tuple(Note(0.5 * n, 0.4, 72 + n % 5, 90) for n in range(200))),)


@pytest.fixture
def recordings(tmp_path: Path) -> Recordings:
    """Random smooth spectrograms: two pieces of three renderings, one ensemble in both, and a texture."""
    rng = np.random.default_rng(0)
    for name, played_by in (("music_00000", (0, 1, 2)), ("music_00001", (4, 3, 1)), ("texture_00000", (-1,))):
        values = gaussian_filter1d(rng.random((len(played_by), 256, 800)), 4, axis=1) + 0.1
        np.savez(tmp_path / f"{name}.npz", values=values.astype(np.float16), ensembles=played_by)
    return Recordings(tmp_path)


def examples(recordings: Recordings, kind: str) -> Examples:
    return random_examples(recordings, np.random.default_rng(1), COUNT, {kind: 1.0})


@pytest.mark.parametrize("kind", KINDS)
def test_examples_are_three_windows(recordings: Recordings, kind: str) -> None:
    for windows in examples(recordings, kind):
        assert windows.shape == (COUNT, 256, WIDTH)
        assert torch.isfinite(windows).all()
        assert (windows >= 0).all()


def test_rolled_reads_its_target_in_another_order(recordings: Recordings) -> None:
    for content, target, style in zip(*examples(recordings, "rolled"), strict=True):
        assert not torch.allclose(content, target)
        assert not torch.allclose(style, target)
        frames = torch.cdist(style.T, target.T).argmin(1)
        assert torch.equal(frames.sort().values, torch.arange(WIDTH))


def test_a_style_of_another_piece_is_of_the_same_ensemble(recordings: Recordings) -> None:
    pieces, renderings = recordings.alike(np.random.default_rng(0), np.zeros(100, int), np.full(100, 1))
    assert set(zip(pieces.tolist(), renderings.tolist(), strict=True)) == {(0, 1), (1, 2)}
    pieces, renderings = recordings.alike(np.random.default_rng(0), np.array([1, 2]), np.array([1, 0]))
    assert pieces.tolist() == [1, 2]
    assert renderings[0] == 1


def test_no_ensemble_of_training_plays_a_held_out_program() -> None:
    played, held_out = ({program for ensemble in ensembles(part) for program in ensemble} for part in (False, True))
    assert not played & held_out
    assert len(played | held_out) == 128


def test_windows_of_a_recording_do_not_overlap(recordings: Recordings) -> None:
    first, second = recordings.starts(np.random.default_rng(0), 500)
    assert (abs(first - second) >= WIDTH).all()
    assert min(first.min(), second.min()) >= 0
    assert max(first.max(), second.max()) <= 800 - WIDTH


def test_no_tune_is_by_a_composer_that_the_prior_was_trained_with():
    assert not set(COMPOSERS + FIDDLE_TUNES) & set(CORPUS_COMPOSERS)


def test_a_tune_moves_by_whole_octaves_into_the_range_of_both_instruments():
    moved = in_range(TUNE, (Instrument(42, 36, 74), Instrument(40, 55, 96)))
    assert moved is not None
    assert {old.pitch - new.pitch for old, new in zip(TUNE[0].notes, moved[0].notes, strict=True)} == {12}
    assert in_range(TUNE, (Instrument(42, 36, 74), Instrument(40, 67, 96))) is None
