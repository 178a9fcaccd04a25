"""Texture statistics of sounds whose statistics can be said beforehand."""

from math import gamma, sqrt

import numpy as np
import pytest
import torch

from stylus_ops.evaluation.texture import COMPRESSION, MODULATIONS, RATE, closed_textures, texture, texture_distances

SECONDS = 4
TIME = torch.arange(RATE * SECONDS) / RATE


def noise(seed: int = 0) -> torch.Tensor:
    return torch.randn(1, len(TIME), generator=torch.Generator().manual_seed(seed))


def drops(seed: int) -> torch.Tensor:
    """Short bursts of noise at random times, some 20 a second."""
    generator = torch.Generator().manual_seed(seed)
    struck = (torch.rand(len(TIME), generator=generator) < 20 / RATE).float()
    decay = torch.exp(-TIME[: RATE // 20] / 0.004)
    hits = torch.nn.functional.conv1d(struck[None, None], decay.flip(0)[None, None], padding=len(decay) - 1)[0, 0]
    return (hits[: len(TIME)] * noise(seed + 1)[0])[None]


def test_envelopes_of_gaussian_noise_vary_as_rayleighs():
    """`r ** c` of a Rayleigh variable has moments Gamma(1 + c / 2); bands wider than the envelopes' rate are smoothed."""
    c = COMPRESSION
    expected = sqrt(gamma(1 + c) / gamma(1 + c / 2) ** 2 - 1)
    _, variation, _, kurtosis = texture(noise(), RATE).envelopes
    assert variation[:12].mean() == pytest.approx(expected, rel=0.06)
    assert kurtosis[5:].mean() == pytest.approx(2.9, abs=0.25)


@pytest.mark.parametrize("hertz", [4.0, 11.0, 30.0])
def test_modulation_is_found_at_its_rate_in_every_band(hertz: float):
    power = texture(noise() * (1 + torch.sin(2 * torch.pi * hertz * TIME)), RATE).modulation[0]
    nearest = np.abs(np.log(MODULATIONS / hertz)).argmin()
    assert (np.abs(power.argmax(1) - nearest) <= 1).mean() > 0.9


def test_another_take_closes_most_of_the_distance_at_any_level_and_the_content_none():
    content, style = texture(noise(), RATE), texture(drops(1), RATE)
    assert max(texture_distances(style, texture(0.01 * drops(1), RATE)).values()) < 1e-3
    assert min(closed_textures(content, style, texture(drops(7), RATE)).values()) > 0.5
    assert set(closed_textures(content, style, content).values()) == {0}
    assert np.isnan(list(closed_textures(style, style, content).values())).all()
