"""Whether two models are the same, told from a few values of every tensor."""

import pytest
import torch
from torch import Tensor
from torch.testing._internal.two_tensor import TwoTensor  # without storage of its own, as quantised weights

from stylus_ops.diffusion.weights import digest
from stylus_ops.tiny import load


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    return load(dtype=torch.float16).unet_weights


def test_two_models_that_differ_in_any_one_tensor_are_told_apart(weights):
    names = list(weights)[::40] + list(weights)[-1:]
    changed = ({name: 1.01 * weights[name] + 0.001} for name in names)
    assert len({digest((weights | change).items()) for change in ({}, *changed)}) == 1 + len(names)


def test_a_quantised_tensor_is_what_it_is_stored_as():
    stored, scale = (tensor.clone() for tensor in torch.randn(2, 40, 40, generator=torch.Generator().manual_seed(0)))
    plain = digest([("w", TwoTensor(stored, scale))])
    assert digest([("w", TwoTensor(stored.clone(), scale))]) == plain
    assert len({plain, digest([("w", TwoTensor(stored, -scale))]), digest([("w", TwoTensor(-stored, scale))])}) == 3


def test_a_model_loaded_again_in_another_precision_and_layout_is_the_same(weights):
    again = {name: torch.nn.Parameter(weight.float(), requires_grad=False) for name, weight in weights.items()}
    laid_out = {n: w.to(memory_format=torch.channels_last) if w.ndim == 4 else w for n, w in weights.items()}
    assert digest(again.items()) == digest(laid_out.items()) == digest(weights.items())


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.bfloat16, torch.float64, torch.uint8, torch.int64])
def test_every_dtype_that_weights_are_stored_in(dtype):
    stored, other = (
        (4 * torch.randn(30, 40, generator=torch.Generator().manual_seed(seed))).to(dtype) for seed in (0, 1)
    )
    assert digest([("w", stored)]) == digest([("w", stored.clone())])
    named = [[("w", stored)], [("w", other)], [("v", stored)], [("w", stored.T)], [("w", stored[0, 0])], []]
    assert len({digest(tensors) for tensors in named}) == len(named)
