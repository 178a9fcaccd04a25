"""Who may write what, among processes that share a folder."""

import os

from stylus_ops.pipeline.share import CLAIM, claimed


def test_old_claims_of_the_dead_are_removed_and_all_others_let_be(tmp_path):
    old_dead, young_dead, own_of_a_user = (tmp_path / f"{CLAIM}{name}" for name in ("0" * 16, "1" * 16, "form.pdf"))
    for path in (old_dead, young_dead, own_of_a_user):
        path.touch()
    with claimed(tmp_path / "living.flac") as living:
        (claim,) = set(tmp_path.iterdir()) - {old_dead, young_dead, own_of_a_user}
        for path in (old_dead, own_of_a_user, claim):
            os.utime(path, (1, 1))
        with claimed(tmp_path / "row.flac") as mine:
            assert living
            assert mine
        assert set(tmp_path.iterdir()) == {young_dead, own_of_a_user, claim}
    assert set(tmp_path.iterdir()) == {young_dead, own_of_a_user}
