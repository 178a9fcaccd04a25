"""What the prior is trained to do, on networks that know the answer or know nothing."""

import torch
from torch import Tensor

from stylus_ops import tiny
from stylus_ops.dials import Schedule, Steering
from stylus_ops.diffusion.stylizer import Stylizer
from stylus_ops.engine.engine import Engine
from stylus_ops.engine.loading import tiny_unet
from tests.small_unet import record, restyle, single
from training.examples import Examples
from training.network import INJECTED, Reading, WindowUNet
from training.objectives import denoising_loss, predictor, sd_sigmas, transfer, transfer_loss

PAIRS = 2
AUTOENCODER, CONFIG = tiny.load()[:2]


def batch() -> Examples:
    return Examples(*torch.randn(3, PAIRS, 4, 8, 8, generator=torch.Generator().manual_seed(0)))


def knows(answers: Tensor):
    """A network whose denoised prediction is the answer, in every row; of samples that of their contents, the first rows'."""

    def predict(noisy: Tensor, timesteps: Tensor, reading: Reading) -> Tensor:
        known = answers[: len(noisy)]
        if reading.record is not None:
            reading.record.extend(torch.zeros(len(noisy), 1, 1) for _ in INJECTED)
        return (noisy - known) / sd_sigmas()[timesteps][:, None, None, None]

    return predict


def test_a_network_that_knows_the_answer_has_no_loss() -> None:
    examples = batch()
    loss = denoising_loss(knows(torch.cat([examples.style, examples.target])), examples)
    assert loss.shape == (2 * PAIRS,)
    assert torch.allclose(loss, torch.zeros_like(loss), atol=1e-6)


def test_a_transfer_ends_at_the_target_where_the_network_knows_it() -> None:
    examples = batch()
    predict = knows(torch.cat([examples.target, examples.style]))
    passed, result = transfer(predict, examples, 1 + 100 * torch.arange(10), torch.ones(PAIRS))
    assert [int(points.timesteps[0]) for points in passed] == list(range(901, 0, -100))
    for points in passed:
        assert torch.allclose(transfer_loss(predict, AUTOENCODER, points), torch.zeros(PAIRS), atol=2e-3)
    assert torch.allclose(result, examples.target, atol=1e-4)


def test_a_transfer_is_the_one_of_the_pack_and_teaches_the_layers_that_read_the_style() -> None:
    """With its defaults and the bundled weights: what is trained is what will run."""
    engine = Engine.load("tiny", "cpu", "float32")
    latents = torch.randn(2, 1, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    content, style = latents
    inverted = [record(engine, clip, "recompute", Schedule(steps=2)) for clip in latents]
    wanted = restyle(engine, Stylizer(inverted[0], single(inverted[1]), Steering()))

    unet = WindowUNet(CONFIG)
    unet.load_state_dict(tiny_unet(tiny.load()).state_dict())
    predict = predictor(unet, tiny.load().context)
    batch = Examples(content, content, style)
    passed, result = transfer(predict, batch, 1 + 500 * torch.arange(2), torch.tensor([Steering.gamma]))
    assert torch.allclose(result, wanted, atol=1e-3)
    transfer_loss(predict, AUTOENCODER, passed[0]).mean().backward()
    gradient = unet.get_parameter("up_blocks.2.attentions.0.transformer_blocks.0.attn1.to_v.weight").grad
    assert torch.as_tensor(gradient).any()
