"""Exemplars: of a style's frames those count that sound the content's notes."""

import torch
from torch import Tensor

from stylus_ops.audio.exemplars import SEEN, Exemplars, as_seen


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
    torch.testing.assert_close(same, SEEN * torch.tensor([1.0, 1.0, 0.0, 0.0]))


def test_styles_count_by_weight_where_they_sound_the_notes_however_long_they_are() -> None:
    one, other, modelled = mels(3).T[:, :, None]
    styles = [
        Exemplars.of(one.expand(-1, 5), single_notes(*[40] * 5), 0.75),
        Exemplars.of(other, single_notes(40), 0.25),
    ]
    expected = modelled ** (1 - SEEN) * (one**0.75 * other**0.25) ** SEEN
    torch.testing.assert_close(as_seen(9 * modelled, single_notes(40), styles), expected)
    alone = [styles[0], Exemplars.of(other, single_notes(80), 0.25)]
    expected = modelled ** (1 - 0.25 * SEEN) * other ** (0.25 * SEEN)
    torch.testing.assert_close(as_seen(modelled, single_notes(80), alone), expected)
