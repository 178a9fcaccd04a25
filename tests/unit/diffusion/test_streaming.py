"""Features copied one step ahead. Copies made as soon as they are begun stand for CUDA's; what is decided is the same."""

import weakref
from collections.abc import Callable, Sequence
from itertools import accumulate

import pytest
import torch
from torch import Tensor

from stylus_ops.diffusion import reader as reader_module
from stylus_ops.diffusion.attention import Steering
from stylus_ops.diffusion.features import Inversion, Style, blend
from stylus_ops.diffusion.host import Hook
from stylus_ops.diffusion.sampling import sample
from stylus_ops.diffusion.streaming import Ahead, begin_copy, host_room
from stylus_ops.diffusion.stylizer import Stylizer
from tests.small_net import CONTENT, SIGMAS, STYLE_A, STYLE_B, SmallNet, latents, record

PER_PASS = 2
READS = [3, 1, 1]
"""Copies for each pass over five windows, two at a time: both styles and the content, then the content alone."""


class EarlyCopies:
    """`begin_copy` that copies at once, and knows what is left of its copies."""

    def __init__(self) -> None:
        self.begun = 0
        self._copies: list[list[weakref.ref[Tensor]]] = []

    def __call__(self, tensors: Sequence[Tensor], device: torch.device) -> Callable[[], list[Tensor]]:
        copies = [tensor.clone() for tensor in tensors]
        self.begun += 1
        self._copies.append([weakref.ref(copy) for copy in copies])
        return lambda: copies

    @property
    def alive(self) -> int:
        return sum(any(copy() is not None for copy in copies) for copies in self._copies)


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> EarlyCopies:
    early = EarlyCopies()
    monkeypatch.setattr(reader_module, "begin_copy", early)
    return early


@pytest.fixture(scope="module")
def net() -> SmallNet:
    return SmallNet()


@pytest.fixture(scope="module")
def clips(net: SmallNet) -> tuple[Inversion, Style]:
    first, second = (Style((record(net, clip),), (1.0,)) for clip in (STYLE_A, STYLE_B))
    return record(net, CONTENT), blend([first, second], [0.6, 0.4])


class Watched:
    """An `Evaluate` that notes the copies begun and alive at every evaluation."""

    def __init__(self, net: SmallNet, copies: EarlyCopies, fail_at: int = -1):
        self.net, self.copies, self.fail_at = net, copies, fail_at
        self.begun: list[int] = []
        self.alive: list[int] = []

    def __call__(self, x: Tensor, sigma: Tensor, rows: slice | None, hook: Hook | None) -> Tensor:
        if len(self.begun) == self.fail_at:
            raise KeyboardInterrupt
        self.begun.append(self.copies.begun)
        self.alive.append(self.copies.alive)
        denoised = self.net(x, sigma, rows, hook)
        self.net.calls.clear()  # they hold the hooks, which hold the features
        return denoised


def restyling(clips: tuple[Inversion, Style], steering: Steering, span: tuple[float, float] = (0, 1)) -> Stylizer:
    return Stylizer(*clips, steering, *span)


def run(evaluate: Callable[..., Tensor], stylizer: Stylizer) -> Tensor:
    return sample(lambda x, sigma: stylizer(evaluate, x, sigma, PER_PASS), stylizer.start_latents(), SIGMAS)


def test_every_pass_finds_its_features_begun_during_the_one_before(net, clips, copies):
    evaluate = Watched(net, copies)
    run(evaluate, restyling(clips, Steering()))
    reads = READS * len(SIGMAS)
    through_the_next = [*accumulate(reads)][1:]
    assert evaluate.begun == [*through_the_next, sum(reads)]
    ahead = [*reads[1:], 0]
    styles = 2
    in_use = [count if count > 1 else count + styles for count in reads]
    assert evaluate.alive == [used + next for used, next in zip(in_use, ahead, strict=True)]
    assert copies.alive == 0


@pytest.mark.parametrize("steering", [Steering(), Steering(alpha=0), Steering(alpha=1, gamma=0)])
@pytest.mark.parametrize("span", [(0, 1), (0.5, 1), (0, 0.5), (0, 0)])
def test_only_what_will_be_read_is_copied(net, clips, copies, steering, span):
    stylizer = restyling(clips, steering, span)
    result = run(Watched(net, copies), stylizer)
    each = 2 * (steering.alpha != 0) + 3 * (steering.alpha != 1)
    assert copies.begun == each * len(SIGMAS) * (span[1] - span[0])
    assert copies.alive == 0
    copies.begun = 0
    content, style = clips
    captures = tuple(capture._replace(bank=None) for capture in style.captures)
    bare = Stylizer(content._replace(bank=None), style._replace(captures=captures), steering, *span)
    torch.testing.assert_close(result, run(Watched(net, copies), bare), rtol=0, atol=1e-11)
    assert copies.begun == 0


@pytest.mark.parametrize("chunks", [1, 2])
@pytest.mark.parametrize(
    "sigmas",
    [
        SIGMAS[[3, 2, 2, 1, 1, 0, 0]],  # heun
        SIGMAS[[3, 3, 1, 2, 0, 3, 0]],
        torch.tensor([4.1, 2.4, 1.2, 0.5, 0.3, 0.06]),
    ],
)
def test_a_sampler_that_jumps_gets_the_features_of_its_own_node(net, clips, monkeypatch, sigmas, chunks):
    x = latents(7, 5).repeat(chunks, 1, 1, 1)
    expected = [restyling(clips, Steering())(net, x, sigma, PER_PASS, chunks) for sigma in sigmas]
    copies = EarlyCopies()
    monkeypatch.setattr(reader_module, "begin_copy", copies)
    evaluate, stylizer = Watched(net, copies), restyling(clips, Steering())
    for sigma, wanted in zip(sigmas, expected, strict=True):
        assert torch.equal(stylizer(evaluate, x, sigma, PER_PASS, chunks), wanted)
    assert max(evaluate.alive) <= 2 * READS[0]  # in use and ahead
    assert copies.alive == 0  # each of these ends at node 0


@pytest.mark.parametrize("fail_at", [0, 4])
def test_an_interrupted_run_lets_go_of_what_it_copied_ahead(net, clips, copies, fail_at):
    stylizer = restyling(clips, Steering())
    with pytest.raises(KeyboardInterrupt):
        run(Watched(net, copies, fail_at), stylizer)
    assert copies.alive > 0
    stylizer.release()
    assert copies.alive == 0


def test_on_the_cpu_the_bank_itself_is_read(net, clips):
    net.calls.clear()
    run(net, restyling(clips, Steering()))
    content, style = clips
    for node, calls in zip(reversed(range(len(SIGMAS))), torch.arange(12).split(3), strict=True):
        hooks = [net.calls[i].hook for i in calls]
        for number, site in enumerate(content.sites):
            for hook, start in zip(hooks, (0, 2, 4), strict=True):
                kept = content.bank[node][number]
                assert hook.content[site].data_ptr() == kept[start:].data_ptr()
                for read, capture in zip(hook.styles, style.captures, strict=True):
                    assert read[site].data_ptr() == capture.bank[node][number].data_ptr()
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
    assert (room := host_room(part, 7, None)).shape == (7, 3, 5)
    assert room.dtype == torch.bfloat16
    assert host_room(part, 7, torch.float16).dtype == torch.float16


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_features_are_pinned_and_arrive_whole():
    """Without the wait, the sums would be taken of what the copies have not filled yet."""
    device = torch.device("cuda", torch.cuda.current_device())
    parts = [torch.full((64, 1024, 320), float(i), device=device) for i in range(4)]
    kept = [host_room(part, len(part), torch.float16) for part in parts]
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
