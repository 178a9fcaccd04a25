"""Loudness over time: a waveform whose envelope stays near another's."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .detail import EMPTY, ramp
from .fade import BLOCK, fading, falls
from .lazy import Mixed, Scaled, Waveform, blocks
from .onsets import onsets

ENVELOPE_SHAPE = (0.25, 0.5, 0.25)  # of neighbouring blocks: 10 ms wide at half its height
AUDIBLE = 1e-6  # of the loudest block's power, -60 dB: what the content has below it is no envelope to follow
LEEWAY = 6.0  # dB that loudness over time may stray at a closeness of one half
MOST_LEEWAY = 1e6  # dB; no sound strays that far, and float32 holds it
STRONGEST_LIFT = 12.0  # dB
ROUNDS = 20
CHANGED = (0.03, 0.1)  # power of a change to the content: up to here an autoencoder's error, from there a transfer
AROUND = 41  # blocks over which that is averaged
BLOCKS_AT_ONCE = 4096


def follow_dynamics(
    waveform: Waveform, content: Waveform, sample_rate: int, closeness: float, fall: float = 0.0
) -> Waveform:
    """The waveform with its loudness over time kept near that of the content, by a gain that never steps.

    The envelopes of both, brought to one level, differ by no more than about `6 dB * (1 - closeness) / closeness` afterwards:
    by anything at 0, where the waveform itself is returned, by a factor of two at 0.5, by nothing at 1. The gain amplifies by
    no more than 12 dB, and not at all where the content is 60 dB below its loudest.

    Where the waveform differs from the content, its notes, which begin where the content's do, change by `fall` dB a second if they
    fall more slowly themselves; so do those of the envelope that is followed. 0 leaves them.

    Shape: both `[C, T]`, of one length -> `[C, T]`
    """
    if closeness == 0:
        return waveform
    block = round(BLOCK * sample_rate)
    own, target = block_power(waveform, block), block_power(content, block)
    floor = AUDIBLE * float(target.max())
    if floor == 0 or not own.any():
        return waveform
    faded, gain = torch.zeros(2, len(own))
    if fall < 0:
        where = changed(own, target, block_power(Mixed(waveform, content, 0.5), block))
        begins = onsets(content, sample_rate) // block
        faded = where * fading(own, begins, fall)
        own, target = own * 10 ** (faded / 10), target * 10 ** (where * fading(target, begins, fall) / 10)
    leeway = min(LEEWAY * (1 - closeness) / closeness, MOST_LEEWAY)
    stray = decibels(own) - decibels(target.clamp(min=floor))
    lift = torch.where(target > floor, STRONGEST_LIFT, 0.0)
    for _ in range(ROUNDS):
        # What the gain takes changes the level at which both are compared: again, until both agree.
        level = decibels((own * 10 ** (gain / 10)).sum() / target.sum())
        gain = torch.minimum((stray - level).clamp(-leeway, leeway) - (stray - level), lift)
    return Scaled(waveform, 10 ** ((faded + gain) / 20), block)


def changed(own: Tensor, target: Tensor, mean: Tensor, *, between: tuple[float, float] = CHANGED) -> Tensor:
    """How far a waveform differs from its content, 0 to 1, by the powers `[blocks]` of both and of their mean."""
    both = own + target
    powers = torch.stack([2 * both - 4 * mean, both])  # |a - b|^2, |a|^2 + |b|^2
    difference, both = F.avg_pool1d(powers, AROUND, 1, AROUND // 2, count_include_pad=False)
    return ramp(difference / both.clamp(min=max(AUDIBLE * float(target.max()), EMPTY)), between)


def fall_of(waveform: Waveform, sample_rate: int) -> float:
    """dB a second by which the notes in `[C, T]` rise, below 0 if they fall, as in `falls`."""
    block = round(BLOCK * sample_rate)
    return falls(block_power(waveform, block), onsets(waveform, sample_rate) // block)[1]


def block_power(waveform: Waveform, block: int) -> Tensor:
    """Smoothed mean square of all channels in blocks of `block` samples: `[C, T]` -> `[ceil(T / block)]`"""
    power = torch.empty(1, 1, -(-waveform.shape[-1] // block))
    for own, piece in zip(power.split(BLOCKS_AT_ONCE, -1), blocks(waveform, BLOCKS_AT_ONCE * block), strict=True):
        own[:] = F.avg_pool1d(piece.square().mean(0)[None, None], block, ceil_mode=True)
    reach = len(ENVELOPE_SHAPE) // 2
    shape = power.new_tensor(ENVELOPE_SHAPE)[None, None]
    return F.conv1d(F.pad(power, (reach, reach), mode="replicate"), shape)[0, 0]


def decibels(power: Tensor) -> Tensor:
    """Powers in dB, 0 dB being 1."""
    return 10 * torch.log10(power.clamp(min=torch.finfo(power.dtype).tiny))
