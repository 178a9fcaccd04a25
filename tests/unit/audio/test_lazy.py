"""Derived waveforms: any part equals that part of the whole."""

from tempfile import gettempdir

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from stylus_ops.audio.lazy import Filtered, Mixed, Scaled, Sum, Waveform
from stylus_ops.audio.spool import Spool
from tests.unit.signals import noise

SAMPLES, BLOCK = 1000, 37
SOURCE = noise(1, SAMPLES)[0]


def derived() -> list[tuple[Waveform, Tensor]]:
    """Derived waveforms, and what they are as a whole, computed otherwise."""
    gain = torch.rand(-(-SAMPLES // BLOCK), generator=torch.Generator().manual_seed(1))
    middles = (np.arange(len(gain)) + 0.5) * BLOCK - 0.5
    curve = torch.from_numpy(np.interp(np.arange(SAMPLES), middles, gain.numpy())).float()
    taps = np.hanning(31) / 15
    late = torch.from_numpy(np.stack([np.convolve(row, taps) for row in SOURCE.numpy()])).float()
    filtered = late[:, 15:-15]
    return [
        (Spool(gettempdir(), 2, 44100).extend(SOURCE.split(300, 1)), SOURCE),
        (Scaled(SOURCE, 0.3), 0.3 * SOURCE),
        (Scaled(SOURCE, gain, BLOCK), SOURCE * curve),
        (Mixed(SOURCE, Scaled(SOURCE, -1.0), 0.75), -0.5 * SOURCE),
        (Filtered(SOURCE, taps), filtered),
        (Filtered(SOURCE, taps, now=0), late[:, :SAMPLES]),
        (Sum(SOURCE, Scaled(Filtered(SOURCE, taps), 2.0)), SOURCE + 2 * filtered),
    ]


@settings(deadline=None)
@given(st.integers(-1200, 1200), st.integers(-1200, 1200))
def test_a_part_is_the_part_of_the_whole(first: int, last: int) -> None:
    for waveform, whole in derived():
        assert waveform.shape == (2, SAMPLES)
        torch.testing.assert_close(waveform[:, first:last], whole[:, first:last], rtol=1e-4, atol=1e-5)
