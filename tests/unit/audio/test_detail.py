"""Whose fine structure is heard: the images' or the content's."""

import torch

from stylus_ops.audio.detail import envelope, with_own_detail


def comb(spacing: int, depth: float) -> torch.Tensor:
    """A mel `[256, 4]` of partials every `spacing` bands, with valleys of that amplitude between them."""
    mel = torch.full((256, 4), depth)
    mel[::spacing] = 1.0
    return mel


def decibels(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return 20 * torch.log10(a / b)


def test_all_detail_is_the_images_to_the_bit() -> None:
    wanted = torch.rand(256, 4)
    assert torch.equal(with_own_detail(wanted, comb(8, 0.01), 1.0), wanted)


def test_without_detail_the_contents_partials_stand_under_the_images_envelope() -> None:
    own, wanted = comb(8, 0.01), torch.linspace(0.1, 2, 256)[:, None].expand(-1, 4)
    moved = with_own_detail(wanted, own, 0.0)
    inside = slice(24, -24)
    assert decibels(moved, own * envelope(wanted) / envelope(own)).abs().max() < 0.01
    assert (decibels(envelope(moved), envelope(wanted))[inside].abs() < 0.5).all()


def test_blurred_partials_become_clear_again() -> None:
    own, blurred = comb(8, 0.01), envelope(comb(8, 0.01)).pow(0.5) * comb(8, 0.01).pow(0.5)
    between = with_own_detail(blurred, own, 0.5)
    crests = [float(decibels(mel[128, 0], mel[124, 0])) for mel in (blurred, between, own)]
    assert crests[0] < crests[1] < crests[2] + 0.1
