"""Exemplars: of a style's frames those count that sound the content's notes."""

import torch
from torch import Tensor

from stylus_ops.audio.exemplars import Exemplars


def single_notes(*numbers: int) -> Tensor:
    """Activations `[280, frames]`, one note a frame."""
    return torch.nn.functional.one_hot(torch.tensor(numbers), 280).T.float()


def mels(frames: int) -> Tensor:
    mel = torch.rand(64, frames, generator=torch.Generator().manual_seed(0)) + 0.01
    return mel / mel.norm(dim=0)


def test_the_same_notes_look_as_they_do_in_the_style_at_any_level_and_others_are_not_known() -> None:
    mel = mels(3)
    mel[:, 2] *= 1e-3  # a quiet frame shows nothing
    seen, same = Exemplars.of(7 * mel, single_notes(40, 80, 120), 1.0).alike(3 * single_notes(80, 40, 60, 120))
    torch.testing.assert_close(seen[:, :2], mel[:, [1, 0]])
    torch.testing.assert_close(same, torch.tensor([1.0, 1.0, 0.0, 0.0]))


def test_styles_that_sound_the_same_notes_count_by_weight_however_long_they_are() -> None:
    one, other = mels(2).T[:, :, None]
    styles = [Exemplars.of(one.expand(-1, 5), single_notes(*[40] * 5), 3.0), Exemplars.of(other, single_notes(40), 1.0)]
    both = Exemplars(*(torch.cat(parts, -1) for parts in zip(*styles, strict=True)))
    torch.testing.assert_close(both.alike(single_notes(40))[0], one**0.75 * other**0.25)
