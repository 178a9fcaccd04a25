import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stylus_ops.diffusion.schedule import (
    ddim_sigmas,
    nearest_node,
    sampling_sigmas,
    sigmas_from_alphas_cumprod,
    timesteps,
)


@settings(deadline=None, derandomize=True)
@given(st.integers(2, 999))
def test_nodes_are_evenly_spaced_training_timesteps_from_1(steps):
    nodes = timesteps(steps).tolist()
    assert nodes == [1 + 1000 * i // steps for i in range(steps)]
    assert nodes[0] == 1
    assert nodes[-1] <= 999
    assert all(a < b for a, b in pairwise(nodes))


@pytest.mark.parametrize("steps", [2, 10, 50, 125, 500])
def test_divisors_of_1000_give_latent_diffusions_uniform_spacing(steps):
    assert timesteps(steps).tolist() == [t + 1 for t in range(0, 1000, 1000 // steps)]


def stable_diffusion_alphas() -> list[float]:
    """Cumulative products of Stable Diffusion's "scaled linear" betas, in Python's doubles."""
    products, product = [], 1.0
    for t in range(1000):
        beta = (math.sqrt(0.00085) + t / 999 * (math.sqrt(0.012) - math.sqrt(0.00085))) ** 2
        product *= 1 - beta
        products.append(product)
    return products


@pytest.mark.parametrize("steps", [2, 7, 50, 999])
def test_sigmas_are_noise_over_signal_at_the_nodes(steps):
    alphas = stable_diffusion_alphas()
    table = sigmas_from_alphas_cumprod(torch.tensor(alphas, dtype=torch.float64))
    sigmas = ddim_sigmas(table, steps)
    assert sigmas.dtype == torch.float32
    expected = [math.sqrt(1 / alphas[1 + 1000 * i // steps] - 1) for i in range(steps)]
    torch.testing.assert_close(sigmas.double(), torch.tensor(expected, dtype=torch.float64), rtol=1e-6, atol=0)


def test_sampling_runs_down_the_same_nodes_to_zero():
    assert sampling_sigmas(torch.tensor([0.5, 2.0, 8.0])).tolist() == [8.0, 2.0, 0.5, 0.0]


ASCENDING = st.lists(st.floats(0.02, 20), min_size=1, max_size=12, unique=True).map(sorted)


@settings(deadline=None, derandomize=True)
@given(ASCENDING, st.floats(0.01, 40))
def test_nearest_node_is_nearest_in_log_sigma(nodes, sigma):
    sigmas = torch.tensor(nodes, dtype=torch.float64)
    distances = [abs(math.log(node / sigma)) for node in nodes]
    assert distances[nearest_node(sigmas, sigma)] <= min(distances) + 1e-9


def test_nearest_node_divides_at_the_geometric_mean_and_takes_a_batch_of_equal_sigmas():
    sigmas = torch.tensor([1.0, 4.0])
    assert nearest_node(sigmas, 1.9) == 0
    assert nearest_node(sigmas, 2.1) == 1
    assert nearest_node(sigmas, torch.tensor([4.0, 4.0, 4.0])) == 1


def test_every_node_finds_itself_at_the_finest_schedule():
    table = sigmas_from_alphas_cumprod(torch.tensor(stable_diffusion_alphas()))
    sigmas = ddim_sigmas(table, 999)
    assert [nearest_node(sigmas, sigma) for sigma in sigmas] == list(range(999))
