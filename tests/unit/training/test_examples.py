"""What the prior is trained on, and the triples it is judged by, mean what they say."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from training.data import ensembles
from training.examples import KINDS, random_examples
from training.scores import CORPUS_COMPOSERS, Note, Voice
from training.truth_triples import COMPOSERS, FIDDLE_TUNES, Instrument, in_range
from training.windows import WIDTH, Recordings

COUNT = 6
TUNE = (Voice(tuple(Note(0.5 * n, 0.4, 72 + n % 5, 90) for n in range(200))),)


@pytest.fixture
def recordings(tmp_path: Path) -> Recordings:
    """Random smooth spectrograms: two pieces of three renderings, and a texture."""
    rng = np.random.default_rng(0)
    for name, played_by in (("music_00000", (0, 1, 2)), ("music_00001", (4, 3, 1)), ("texture_00000", (-1,))):
        values = gaussian_filter1d(rng.random((len(played_by), 256, 800)), 4, axis=1) + 0.1
        np.savez(tmp_path / f"{name}.npz", values=values.astype(np.float16), ensembles=played_by)
    return Recordings(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_examples_are_three_windows(recordings: Recordings, kind: str) -> None:
    for windows in random_examples(recordings, np.random.default_rng(1), COUNT, {kind: 1.0}):
        assert windows.shape == (COUNT, 256, WIDTH)
        assert torch.isfinite(windows).all()
        assert (windows >= 0).all()


def test_no_ensemble_of_training_plays_a_held_out_program() -> None:
    played, held_out = ({program for ensemble in ensembles(part) for program in ensemble} for part in (False, True))
    assert not played & held_out
    assert len(played | held_out) == 128


def test_no_tune_is_by_a_composer_that_the_prior_was_trained_with():
    assert not set(COMPOSERS + FIDDLE_TUNES) & set(CORPUS_COMPOSERS)


def test_a_tune_moves_by_whole_octaves_into_the_range_of_both_instruments():
    moved = in_range(TUNE, (Instrument(42, 36, 74), Instrument(40, 55, 96)))
    assert moved is not None
    assert {old.pitch - new.pitch for old, new in zip(TUNE[0].notes, moved[0].notes, strict=True)} == {12}
    assert in_range(TUNE, (Instrument(42, 36, 74), Instrument(40, 67, 96))) is None
