"""Fixtures that tests of more than one folder use."""

import functools
import gc
import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

# A shell's background jobs ignore Ctrl-C, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 (at 15, those that start get next to nothing of a busy machine)
# Two processes that compile a function into one folder at once spoil it: whoever loads it crashes.
CACHE = Path(__file__).parents[1] / ".pytest_cache" / "numba" / os.environ.get("PYTEST_XDIST_WORKER", "alone")
os.environ["NUMBA_CACHE_DIR"] = str(CACHE)
WAITING = "test_cluster|test_stopped_at_work"
LOADING = "reference_loop|test_small_unet|test_engine|test_weights|test_copies|that_of_diffusers|torchaudio_that_does"
gc.disable()  # imports leave nothing behind: the tests' garbage alone is collected


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of two processes the first begins with what waits, the second with what loads diffusers and more of torch."""
    gc.freeze()
    gc.set_threshold(50_000)
    gc.enable()
    if "PYTEST_XDIST_WORKER" in os.environ:
        waiting, loading = ([item for item in items if re.search(names, item.nodeid)] for names in (WAITING, LOADING))
        others = [item for item in items if item not in {*waiting, *loading}]
        half = max(0, len(items) // 2 - len(waiting))
        items[:] = waiting + others[:half] + loading + others[half:]


@pytest.fixture(scope="session")
def models() -> dict[str, Path]:
    """Small models with random weights, by name; kept in STYLUS_TEST_CACHE (2 GB) between sessions."""
    from tests.checkpoints import cached_models  # with diffusers, which takes seconds to load

    cache = os.environ.get("STYLUS_TEST_CACHE", "~/.cache/stylus-tests")
    return cached_models(Path(cache).expanduser())


@pytest.fixture(scope="session")
def small_prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled prior with a U-Net of few channels and random weights, which is evaluated in a moment."""
    import torch  # which the process that hands out the tests does without
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    from stylus_ops.engine.ldm_keys import ldm_key
    from stylus_ops.tiny import UNET, WEIGHTS, write_checksum
    from stylus_ops.tiny.unet import TinyUNet

    with safe_open(WEIGHTS, "pt") as file:
        metadata = file.metadata()
    config = json.loads(metadata["config"])
    config["unet"] |= {"model_channels": 32, "channel_mult": [1] * 4}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        unet = {UNET + ldm_key(name): weight for name, weight in TinyUNet(config["unet"]).state_dict().items()}
    rest = {name: weight for name, weight in load_file(WEIGHTS).items() if not name.startswith(UNET)}
    path = tmp_path_factory.mktemp("prior") / WEIGHTS.name
    save_file(rest | unet, path, metadata | {"config": json.dumps(config), "unet_weights": str(len(unet))})
    write_checksum(path)
    return path


@pytest.fixture
def one_engine(small_prior: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundled prior is the small one, and a model is loaded once for all commands of a test session."""
    from stylus_ops import tiny
    from stylus_ops.engine.engine import Engine

    monkeypatch.setattr(tiny, "WEIGHTS", small_prior)
    monkeypatch.setattr(Engine, "load", cached(Engine.load))


@pytest.fixture
def full_disk() -> Callable[[int], AbstractContextManager[None]]:
    """Within `full_disk(size)` no file grows beyond `size` bytes."""
    resource = pytest.importorskip("resource", reason="Windows has no limit on files")

    @contextmanager
    def limited(size: int) -> Iterator[None]:
        earlier = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, earlier[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, earlier)

    return limited


cached = functools.cache(functools.cache)
