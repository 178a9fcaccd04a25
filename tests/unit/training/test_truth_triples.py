"""Triples with a known answer: which tunes and instruments, and that the notes stay the notes."""

from training.scores import CORPUS_COMPOSERS, Note, Voice
from training.truth_triples import COMPOSERS, FIDDLE_TUNES, Instrument, in_range

TUNE = (Voice(tuple(Note(0.5 * n, 0.4, 72 + n % 5, 90) for n in range(200))),)


def test_no_tune_is_by_a_composer_that_the_prior_was_trained_with():
    assert not set(COMPOSERS + FIDDLE_TUNES) & set(CORPUS_COMPOSERS)


def test_a_tune_moves_by_whole_octaves_into_the_range_of_both_instruments():
    moved = in_range(TUNE, (Instrument(42, 36, 74), Instrument(40, 55, 96)))
    assert moved is not None
    assert {old.pitch - new.pitch for old, new in zip(TUNE[0].notes, moved[0].notes, strict=True)} == {12}
    assert in_range(TUNE, (Instrument(42, 36, 74), Instrument(40, 67, 96))) is None
