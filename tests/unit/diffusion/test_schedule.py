import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stylus_ops.diffusion.schedule import ddim_sigmas, nearest_node
from stylus_ops.engine.model import sd_sigmas
from tests.parity.reference import alpha_bar


@settings(deadline=None, derandomize=True)
@given(st.integers(2, 999))
def test_nodes_are_evenly_spaced_training_timesteps_from_1(steps):
    nodes = ddim_sigmas(torch.arange(1000), steps).tolist()
    assert nodes == [1 + 1000 * i // steps for i in range(steps)]
    assert nodes == sorted({*nodes} & {*range(1000)})


@settings(deadline=None, derandomize=True)
@given(st.lists(st.floats(0.02, 20), min_size=1, max_size=12, unique=True).map(sorted), st.floats(0.01, 40))
def test_nearest_node_is_nearest_in_log_sigma(nodes, sigma):
    sigmas = torch.tensor(nodes, dtype=torch.float64)
    distances = [abs(math.log(node / sigma)) for node in nodes]
    assert distances[nearest_node(sigmas, sigma)] <= min(distances) + 1e-9


def test_stable_diffusions_levels_are_noise_over_signal():
    torch.testing.assert_close(sd_sigmas().double(), (1 / alpha_bar() - 1).sqrt(), rtol=1e-4, atol=0)
