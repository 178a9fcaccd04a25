"""Distances to a known answer: what they must be where it can be said beforehand."""

from pathlib import Path

import numpy as np
import pytest
import torch

from stylus_ops.audio.write import write_audio
from stylus_ops.evaluation.truth import Distances, distances, distances_to_truth

from .test_evaluate import rows, run

RATE = 22050


def played(keys: list[int], partials: int = 8, slope: float = 1.0, seconds: float = 1.5) -> torch.Tensor:
    """[1, T]: the MIDI keys at once, each with so many harmonics that fall off as `n ** -slope`."""
    time = torch.arange(int(seconds * RATE)) / RATE
    hertz = [440 * 2 ** ((key - 69) / 12) for key in keys]
    waves = [torch.sin(2 * torch.pi * f * n * time + n) * n**-slope for f in hertz for n in range(1, partials + 1)]
    return 0.05 * torch.stack(waves).sum(0)[None]


BRIGHT, DARK = played([60, 64], 15, 0.5), played([60, 64], 4, 2.0)


def test_the_truth_is_at_no_distance_from_itself_at_any_level():
    for gain in (1.0, 0.1, 3.0):
        assert max(distances_to_truth(BRIGHT, gain * BRIGHT, RATE)) < 1e-3


def test_what_lies_60_db_under_the_peak_counts_for_nothing():
    noise = torch.randn(BRIGHT.shape, generator=torch.Generator().manual_seed(0))
    faint, heard = (distances_to_truth(BRIGHT, BRIGHT + level * noise, RATE).lsd_db for level in (1e-6, 1e-2))
    assert faint < 0.05
    assert heard > 3


def test_distances_of_spectra_that_differ_by_known_decibels():
    truth = np.random.default_rng(0).normal(-30, 10, (128, 50))
    louder = distances(truth, truth + 3)
    assert louder.lsd_db == pytest.approx(3)
    assert max(louder[1:]) == pytest.approx(0, abs=1e-4)  # level is in the zeroth coefficient alone
    every_other = 4.0 * (np.arange(128) % 2)[:, None]
    assert distances(truth, truth + every_other).lsd_db == pytest.approx(4 / np.sqrt(2))
    # The k-th row of the orthonormal cosine transform moves the k-th coefficient by exactly as much.
    fifth = 7 * np.sqrt(2 / 128) * np.cos(np.pi * 5 * (np.arange(128) + 0.5) / 128)[:, None]
    tilted = distances(truth, truth + fifth)
    assert tilted.mcd == pytest.approx(7, rel=1e-4)
    assert tilted.mfcc_means == pytest.approx(7, rel=1e-4)


def test_clips_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="silent"):
        distances_to_truth(torch.zeros(1, RATE), torch.zeros(1, RATE), RATE)
    with pytest.raises(ValueError, match="33000"):
        distances_to_truth(BRIGHT, BRIGHT[:, :33000], RATE)


def test_evaluate_measures_against_the_truth_where_there_is_one(tmp_path: Path, capsys: pytest.CaptureFixture):
    sounds = {"content": DARK, "style": played([62, 69], 15, 0.5), "truth": BRIGHT, "long": BRIGHT.repeat(1, 2)}
    for name, sound in sounds.items():
        write_audio(tmp_path / f"{name}.wav", sound, RATE)
    table = tmp_path / "triples.csv"
    table.write_text(
        "content,style,truth,monophonic\ncontent.wav,style.wav,truth.wav,no\ntruth.wav,style.wav,,\n"
        "style.wav,content.wav,long.wav,\n"
    )
    assert run(table, tmp_path, "content", "eq-match", "truth-decode") == 2
    told = capsys.readouterr().err
    assert "truth--style, truth-decode: this method needs the pair's truth" in told
    assert "truth long.wav lasts 3.000 s and the content 1.500 s" in told
    found = {(row["pair"], row["method"]): row for row in rows(tmp_path / "results.csv")}
    methods = ("content", "eq-match", "truth-decode")
    content, equalised, ceiling = (found["content--style", method] for method in methods)
    assert float(content["closed_truth"]) == 0
    assert float(content["truth_chroma_cosine"]) > 0.9
    assert 0 < float(equalised["closed_truth"]) < 1
    assert float(ceiling["closed_truth"]) > 0.5
    assert {*(f"truth_{name}" for name in Distances._fields), "truth_crest_low_db", "truth_onset_f1"} <= content.keys()
    assert found["truth--style", "content"]["closed_truth"] == ""
