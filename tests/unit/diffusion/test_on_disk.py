"""A tensor on disk: all that was written is read again, and memory is given back."""

import os
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


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on files")
def test_a_disk_that_is_full_is_said_at_once(tmp_path: Path) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="no room"):
            OnDisk(tmp_path, SHAPE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())
