"""Partials: what an instrument's notes look like is learned from one recording and given to the notes of another."""

import numpy as np
import pytest
import torch
from torch import Tensor

from stylus_ops.audio.decode import Sources, decode
from stylus_ops.audio.geometry import PRESETS, SpectrogramParams
from stylus_ops.audio.mel import mel_amplitudes
from stylus_ops.audio.partials import PITCHES, Partials
from stylus_ops.audio.tone import Reference
from stylus_ops.audio.windows import audio_to_windows
from stylus_ops.dials import Decoding
from tests.unit.audio.test_fade import notes
from tests.unit.audio.test_tails import heard_in_a_room
from tests.unit.signals import clicks, noise, snr
from training.textures import chimes

RATE, TINY = 44100, PRESETS["tiny-256"]
REED, STRING = [1.0, 0.05, 0.7, 0.04, 0.5, 0.03, 0.3], [0.6, 1.0, 0.5, 0.35, 0.25, 0.18, 0.12, 0.08]


def played(strengths: list[float], pitches: list[int], spread: float = 0.0) -> Tensor:
    """Notes of half a second one after another, `[1, T]`, by one player, or by several who spread by so much of the pitch."""
    voices = torch.linspace(-spread, spread, 7 if spread else 1)[:, None, None]
    at = torch.arange(RATE // 2) / RATE
    fade = (at * 50).clamp(max=1) * ((0.5 - at) * 50).clamp(max=1)
    notes = []
    for pitch in pitches:
        hertz = 440 * 2 ** ((pitch - 69) / 12) * (1 + voices)
        turns = 2 * torch.pi * hertz * torch.arange(1, len(strengths) + 1)[:, None]
        partials = torch.tensor(strengths)[:, None] * torch.sin(turns * at + 1e8 * voices**2)
        notes.append(0.1 * fade * partials.sum((0, 1)) / len(voices) ** 0.5)
    return torch.cat(notes)[None]


def apart(one: Tensor, other: Tensor) -> float:
    """Mean distance of two mels in dB, of what is within 50 dB of the other's peak."""
    decibels = [20 * mel.clamp(min=10 ** (-50 / 20) * float(other.max())).log10() for mel in (one, other)]
    return float((decibels[0] - decibels[1]).abs().mean())


@pytest.mark.parametrize("params", PRESETS.values(), ids=PRESETS)
@pytest.mark.parametrize(("content", "style", "spread"), [(REED, STRING, 0), (STRING, REED, 0), (STRING, STRING, 0.02)])
def test_notes_get_the_styles_partials(params: SpectrogramParams, content: list, style: list, spread: float) -> None:
    tune = [64, 67, 60, 71, 62]
    sounds = played(content, tune), played(style, tune, spread)
    own, truth = (mel_amplitudes(sound[None], params)[0] for sound in sounds)
    partials = Partials.of([Reference(played(style, [57, 69, 65, 60, 72, 66], spread), RATE)], params)
    assert partials is not None
    assert partials.share > 0.95
    dry = torch.ones_like(own)
    assert apart(partials.played(own, truth, own, dry, 1.0)[0], truth) < 0.5 * apart(own, truth)
    torch.testing.assert_close(partials.played(own, truth, own, dry, 0.0)[0], own)


def test_a_note_that_the_style_plays_sounds_as_it_does() -> None:
    style = torch.cat([played(REED, [60] * 4), played(STRING, [63] * 4)], 1)
    partials = Partials.of([Reference(style, RATE)], TINY)
    assert partials is not None
    low, high = (partials.strengths[pitch == PITCHES][0] for pitch in (60, 63))
    assert low[1] < 0.08 * low[0]  # 0.11 as the instrument has it; 0.05 is true
    assert high[1] > 1.2 * high[0]  # 1.13; 1.67


def test_styles_without_notes_have_none_and_inharmonic_ones_hardly_any() -> None:
    for style in (noise(2.0, RATE)[0], clicks(2.0, RATE)[0], torch.zeros(1, RATE)):
        assert Partials.of([Reference(style, RATE)], TINY) is None
    rung = torch.from_numpy(chimes(np.random.default_rng(0), 4 * RATE)).float()[None]
    partials = Partials.of([Reference(rung, RATE)], TINY)
    assert partials is not None
    assert partials.share < 0.4


def test_styles_count_by_weight_and_those_without_notes_not_at_all() -> None:
    styles = [Reference(played(kind, [60, 64, 67]), RATE) for kind in (REED, STRING)]

    def learned(*weights: float) -> Partials:
        partials = Partials.of([style._replace(weight=w) for style, w in zip(styles, weights, strict=True)], TINY)
        assert partials is not None
        return partials

    both = 0.75 * learned(1, 0).strengths + 0.25 * learned(0, 1).strengths
    torch.testing.assert_close(learned(3, 1).strengths, both)
    styles[1] = Reference(noise(1.0, RATE)[0], RATE)
    assert 0.4 < learned(1, 1).share <= 0.5
    torch.testing.assert_close(learned(1, 1).strengths, learned(1, 0).strengths)


def test_contents_are_dried_and_struck_by_how_they_differ_from_the_styles() -> None:
    bell, strings = (Reference(notes(fall, overtones=8)[:1], RATE) for fall in (-60, -3))
    church = strings._replace(waveform=heard_in_a_room(strings.waveform[:, :], 0.1))
    plucked = Partials.of([bell], TINY)
    assert plucked is not None
    assert plucked.beside([strings]).struck > 0.9
    assert plucked.beside([bell]).struck < 0.1
    assert plucked.beside([strings, bell]).struck < 0.1  # the content that needs it least
    assert plucked.beside([church]).wet > 0.03 > plucked.beside([strings]).wet
    belfry = bell._replace(waveform=heard_in_a_room(bell.waveform[:, :], 0.1))
    assert plucked.beside([belfry]).wet == 0  # it falls like a tail by itself


def test_images_that_did_not_change_give_back_the_content() -> None:
    images, spectrogram = audio_to_windows(played(REED, [60, 64, 67])[None], RATE, TINY)
    sources = Sources(partials=Partials.of([Reference(played(STRING, [62, 69]), RATE)], TINY))
    unchanged = decode(images, spectrogram, Decoding(partials=1.0), sources=sources)
    assert snr(spectrogram.waveform, unchanged) > 50
    changed = decode(images.roll(3, 1), spectrogram, Decoding(partials=1.0), sources=sources)
    without = decode(images.roll(3, 1), spectrogram, Decoding())
    assert snr(without, changed) < 20


@pytest.mark.parametrize("channels", [1, 2])
def test_partials_that_the_content_lacks_sound_as_tones(channels: int) -> None:
    hertz = 261.9  # between two notes of the dictionary
    turns = 2 * torch.pi * hertz * torch.arange(2 * RATE) / RATE
    whistle = (0.1 * torch.sin(turns) + 1e-4 * noise(2.0, RATE)[0, :1]) * torch.tensor([[1.0], [0.5]])[:channels]
    string = torch.stack([0.1 * strength * torch.sin(turns * (k + 1)) for k, strength in enumerate(STRING)]).sum(0)
    truth, _ = audio_to_windows(string[None, None], RATE, TINY)
    _, spectrogram = audio_to_windows(whistle[None], RATE, TINY)
    sources = Sources(partials=Partials.of([Reference(played(STRING, [57, 64, 60, 67]), RATE)], TINY))
    result = decode(truth, spectrogram, Decoding(partials=1.0), sources=sources)[0, :, RATE // 2 : -RATE // 2]
    spectrum = 20 * torch.fft.rfft(result * torch.hann_window(RATE)).abs().log10()  # a bin a Hz
    for number in range(2, 7):
        at = round(number * hertz)
        assert float((spectrum[:, at] - spectrum[:, at + 20 : at + 100].median(1).values).min()) > 40
    assert snr(result[0], result[-1] * channels) > 40
