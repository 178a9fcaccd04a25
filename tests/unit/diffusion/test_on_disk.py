"""A tensor on disk: all that was written is read again, and memory is given back."""

import sys
from pathlib import Path

import psutil
import pytest

from stylus_ops.diffusion.on_disk import OnDisk

SHAPE = (8, 20, 4, 128, 128)  # 42 MB


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems count memory in other ways")
def test_memory_is_given_back_step_by_step(tmp_path: Path) -> None:
    disk = OnDisk(tmp_path, SHAPE)
    size, before = disk.tensor.nbytes, psutil.Process().memory_info().rss
    for node in disk.tensor:
        node.fill_(1.5)
        disk.release()
        assert psutil.Process().memory_info().rss - before < size / 4
    assert disk.tensor.eq(1.5).all()


def test_a_disk_that_is_full_is_said_at_once(tmp_path, full_disk):
    with full_disk(1000), pytest.raises(OSError, match="no room"):
        OnDisk(tmp_path, SHAPE)
    assert not list(tmp_path.iterdir())
