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
from stylus_ops.diffusion.streaming import Ahead, begin_copy, empty_on_host
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


def stylizer_of(clips: tuple[Inversion, Style]) -> Stylizer:
    return Stylizer(clips[0], clips[1], Steering())


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
    x, stylizer = latents(7, 5).repeat(chunks, 1, 1, 1), stylizer_of(clips)
    for sigma in sigmas:
        bare = stylizer_of(clips)(net, x, sigma, 5, chunks)
        torch.testing.assert_close(stylizer(net, x, sigma, PER_PASS, chunks), bare, rtol=0, atol=1e-11)
    net.calls.clear()  # they hold the hooks, which hold the features
    assert copies
    assert not any(copy() is not None for copy in copies)  # each of these ends at node 0


def test_an_interrupted_run_releases_what_it_copied_ahead(net, clips, copies):
    stylizer = stylizer_of(clips)

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


def test_on_the_cpu_the_bank_itself_is_read(net, clips):
    net.calls.clear()
    stylizer_of(clips)(net, latents(7, 5), SIGMAS[2], PER_PASS)
    content, style = clips
    for call, start in zip(net.calls, (0, 2, 4), strict=True):
        for number, site in enumerate(content.sites):
            assert call.hook.content[site].data_ptr() == content.bank[2][number][start:].data_ptr()
            for read, capture in zip(call.hook.styles, style.captures, strict=True):
                assert read[site].data_ptr() == capture.bank[2][number].data_ptr()
    net.calls.clear()


def test_a_guess_is_used_once_and_a_wrong_one_is_dropped():
    begun: list[str] = []

    def begin(key: str) -> Callable[[], str]:
        begun.append(key)
        return lambda: key.upper()

    ahead = Ahead(begin)
    ahead.expect(["a", "b"])
    assert begun == ["a", "b"]
    assert ahead.take("b") == "B"
    assert begun == ["a", "b"]
    ahead.expect(["a", "c"])
    assert begun == ["a", "b", "c"]
    assert ahead.take("d") == "D"
    ahead.expect([])
    assert [ahead.take(key) for key in "ac"] == ["A", "C"]
    assert begun == ["a", "b", "c", "d", "a", "c"]


def test_room_in_host_memory_is_like_the_part():
    part = torch.zeros(2, 3, 5, dtype=torch.bfloat16)
    assert (room := empty_on_host(part, 7, None)).shape == (7, 3, 5)
    assert room.dtype == torch.bfloat16
    assert empty_on_host(part, 7, torch.float16).dtype == torch.float16


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_features_are_pinned_and_arrive_whole():
    """Without the wait, the sums would be taken of what the copies have not filled yet."""
    device = torch.device("cuda", torch.cuda.current_device())
    parts = [torch.full((64, 1024, 320), float(i), device=device) for i in range(4)]
    kept = [empty_on_host(part, len(part), torch.float16) for part in parts]
    for room, part in zip(kept, parts, strict=True):
        room[:] = part
    assert all(room.is_pinned() and room[1:].is_pinned() for room in kept)
    before = torch.cuda.memory_allocated(device)
    for _ in range(8):
        sums = [copy.float().sum() for copy in begin_copy(kept, device)()]
        assert torch.stack(sums).tolist() == [float(i * parts[0].numel()) for i in range(4)]
    begin_copy(kept, device)  # never asked for
    del sums
    torch.cuda.synchronize(device)
    assert torch.cuda.memory_allocated(device) == before
