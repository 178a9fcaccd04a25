"""Features copied one step ahead. Copies made as soon as they are begun stand for CUDA's; what is decided is the same."""

import weakref
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from stylus_ops.dials import Steering
from stylus_ops.diffusion import reader as reader_module
from stylus_ops.diffusion.features import Inversion, Style, blend
from stylus_ops.diffusion.sampling import sample
from stylus_ops.diffusion.stylizer import Stylizer
from tests.small_net import CONTENT, SIGMAS, STYLE_A, STYLE_B, SmallNet, latents, record

PER_PASS = 2


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> list[weakref.ref[Tensor]]:
    """What `begin_copy` made, at once."""
    made: list[weakref.ref[Tensor]] = []

    def begin(tensors: Sequence[Tensor], device: torch.device) -> Callable[[], list[Tensor]]:
        copied = [tensor.clone() for tensor in tensors]
        made.extend(map(weakref.ref, copied))
        return lambda: copied

    monkeypatch.setattr(reader_module, "begin_copy", begin)
    return made


@pytest.fixture(scope="module")
def net() -> SmallNet:
    return SmallNet()


@pytest.fixture(scope="module")
def clips(net: SmallNet) -> tuple[Inversion, Style]:
    first, second = (Style((record(net, clip),), (1.0,)) for clip in (STYLE_A, STYLE_B))
    return record(net, CONTENT), blend([first, second], [0.6, 0.4])


@pytest.mark.parametrize("chunks", [1, 2])
@pytest.mark.parametrize(
    "sigmas",
    [
        SIGMAS[[3, 2, 2, 1, 1, 0, 0]],  # heun
        SIGMAS[[3, 3, 1, 2, 0, 3, 0]],
        torch.tensor([4.1, 2.4, 1.2, 0.5, 0.3, 0.06]),
    ],
)
def test_a_sampler_that_jumps_gets_the_features_of_its_own_node(net, clips, copies, sigmas, chunks):
    x, stylizer = latents(7, 5).repeat(chunks, 1, 1, 1), Stylizer(clips[0], clips[1], Steering())
    for sigma in sigmas:
        bare = Stylizer(clips[0], clips[1], Steering())(net, x, sigma, 5, chunks)
        torch.testing.assert_close(stylizer(net, x, sigma, PER_PASS, chunks), bare, rtol=0, atol=1e-11)
    net.calls.clear()  # they hold the hooks, which hold the features
    assert copies
    assert not any(copy() is not None for copy in copies)  # each of these ends at node 0


def test_an_interrupted_run_releases_what_it_copied_ahead(net, clips, copies):
    stylizer = Stylizer(clips[0], clips[1], Steering())

    def evaluate(*arguments):
        if len(net.calls) == 4:
            raise KeyboardInterrupt
        return net(*arguments)

    with pytest.raises(KeyboardInterrupt):
        sample(lambda x, sigma: stylizer(evaluate, x, sigma, PER_PASS), stylizer.start_latents(), SIGMAS)
    net.calls.clear()
    assert any(copy() is not None for copy in copies)
    stylizer.release()
    assert not any(copy() is not None for copy in copies)
