"""Triples with a known answer: which tunes and instruments, and that the notes stay the notes."""

from itertools import pairwise

from training.scores import CORPUS_COMPOSERS, Note, Voice
from training.truth_triples import COMPOSERS, FIDDLE_TUNES, SCORE_SECONDS, Instrument, in_range, paced

TUNE = (Voice(tuple(Note(0.5 * n, 0.4, 72 + n % 5, 90) for n in range(200))),)


def test_no_tune_is_by_a_composer_that_the_prior_was_trained_with():
    assert not set(COMPOSERS + FIDDLE_TUNES) & set(CORPUS_COMPOSERS)


def test_a_tune_moves_by_whole_octaves_into_the_range_of_both_instruments():
    moved = in_range(TUNE, (Instrument(42, 36, 74), Instrument(40, 55, 96)))
    assert moved is not None
    assert {old.pitch - new.pitch for old, new in zip(TUNE[0].notes, moved[0].notes, strict=True)} == {12}
    assert in_range(TUNE, (Instrument(42, 36, 74), Instrument(40, 67, 96))) is None


def test_a_paced_score_has_so_many_onsets_a_second():
    for pace in (2.0, 5.0):
        notes = paced(TUNE, pace)[0].notes
        assert notes[-1].start < SCORE_SECONDS
        between = {round(b.start - a.start, 6) for a, b in pairwise(notes)}
        assert len(between) == 1
        assert abs(between.pop() * pace - 1) < 0.01
