"""When something begins, whether it keeps a beat, and strokes that are played there."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from stylus_ops.audio import onsets as room
from stylus_ops.audio.onsets import MARGIN, beat, onsets
from stylus_ops.audio.strokes import strokes_at
from tests.unit.signals import noise, tones

RATE = 44100


def struck(times: list[float], seconds: float = 4.0, rate: int = RATE) -> Tensor:
    """Bursts of noise that die away, `[1, T]`."""
    starts = torch.zeros(1, round(seconds * rate))
    starts[:, [round(time * rate) for time in times]] = 1
    burst = noise(0.2, rate)[0, :1] * torch.exp(-torch.arange(round(0.2 * rate)) / (0.03 * rate))
    size = starts.shape[1] + burst.shape[1]
    return torch.fft.irfft(torch.fft.rfft(starts, size) * torch.fft.rfft(burst, size), size)[:, : starts.shape[1]]


@settings(deadline=None, max_examples=30)
@given(st.sets(st.integers(1, 18), min_size=1), st.sampled_from([8000, 22050, 44100, 96000]), st.floats(-60, 0))
def test_each_stroke_is_found(steps: set[int], rate: int, level: float) -> None:
    times = torch.tensor(sorted(steps)) * 0.2
    found = onsets(10 ** (level / 20) * struck(times.tolist(), rate=rate), rate) / rate
    assert len(found) == len(times)
    assert (found - times).abs().max() < 0.03


def test_vibrato_and_silence_begin_nothing() -> None:
    time = torch.arange(2 * RATE) / RATE
    vibrato = torch.sin(2 * torch.pi * 440 * time + 3 * torch.sin(2 * torch.pi * 5 * time))[None]
    assert (onsets(vibrato, RATE) < 0.1 * RATE).all()
    assert len(onsets(torch.zeros(2, RATE), RATE)) == 0


def test_a_part_has_the_onsets_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = tones(4.0, RATE)[0] + noise(4.0, RATE)[0] + struck([0.3, 1.1, 1.13, 2.6])
    whole, hop = onsets(sound, RATE), round(0.01 * RATE)
    first, last = 100 * hop, 300 * hop
    part = onsets(sound[:, first:last], RATE) + first
    inner = [found[(found >= first + MARGIN * hop) & (found < last - MARGIN * hop)] for found in (whole, part)]
    assert torch.equal(*inner)
    monkeypatch.setattr(room, "AT_ONCE", 37)
    assert torch.equal(onsets(sound, RATE), whole)


def test_a_loop_beats_and_rain_does_not() -> None:
    assert beat(struck([0.5 * bar + time for bar in range(10) for time in (0.05, 0.2, 0.425)], 5.0), RATE) > 0.9
    drops = struck((5 * torch.rand(30, generator=torch.Generator().manual_seed(1))).tolist(), 5.0)
    trill = struck([0.08 * n for n in range(60)], 5.0)
    for sound in (drops, trill, noise(5.0, RATE)[0], torch.zeros(2, RATE), torch.ones(1, 1)):
        assert beat(sound, RATE) < 0.1


def test_an_onset_takes_the_stroke_nearest_in_the_loop() -> None:
    loop, strokes = torch.arange(1.0, 1001.0).expand(2, -1), torch.tensor([0, 400, 700])
    played = strokes_at(torch.tensor([1390, 2050, 2150]), loop, strokes, slice(1000, 4000), 1000)[1]
    assert played[390 + 100] == 1 + 400 + 100  # the second stroke, 390 into the loop
    assert played[390 + 299 - 30] == played[390 + 300 - 30] == 1 + 399 + 300 - 30  # until the third begins, then back
    assert played[390 - 30 : 1000].amin() >= 0 < played[390:1000].amin() <= played[390:1000].amax() < 1 + 700
    assert played[1050 + 50] == played[1150 + 50] == 1 + 50  # the first, and from its beginning once more
    assert not strokes_at(strokes, loop, strokes[:0], slice(0, 100), 1000).any()


@settings(deadline=None)
@given(st.sets(st.integers(0, 5000)), st.integers(0, 4000), st.integers(1, 1000))
def test_strokes_of_a_part_are_those_of_the_whole(begins: set[int], first: int, count: int) -> None:
    loop, strokes, begin = torch.rand(1, 777), torch.tensor([5, 300, 310]), torch.tensor(sorted(begins)).long()
    whole, part = (strokes_at(begin, loop, strokes, s, 1000) for s in (slice(0, 6000), slice(first, first + count)))
    assert torch.equal(part, whole[:, first : first + count])
