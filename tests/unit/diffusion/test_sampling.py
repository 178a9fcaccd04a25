import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor

from stylus_ops.diffusion.sampling import sample
from stylus_ops.diffusion.schedule import ddim_sigmas, sigmas_from_alphas_cumprod
from tests.small_unet import CONTEXT_WIDTH, small_sd_unet


def scheduler(steps: int, prediction_type: str) -> DDIMScheduler:
    """Diffusers' DDIM on the nodes 1 + 1000 i / steps, ending at alpha_bar 1."""
    ddim = DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        steps_offset=1,
        timestep_spacing="leading",
        set_alpha_to_one=True,
        clip_sample=False,
        prediction_type=prediction_type,
    )
    ddim.alphas_cumprod = ddim.alphas_cumprod.double()
    ddim.final_alpha_cumprod = ddim.final_alpha_cumprod.double()
    ddim.set_timesteps(steps)
    return ddim


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("steps", [5])
def test_euler_in_sigma_is_diffusers_ddim(steps, prediction_type):
    unet, ddim = small_sd_unet(), scheduler(steps, prediction_type)
    generator = torch.Generator().manual_seed(steps)
    noise = torch.randn(2, 4, 8, 16, dtype=torch.float64, generator=generator)
    context = torch.randn(1, 3, CONTEXT_WIDTH, dtype=torch.float64, generator=generator).expand(2, -1, -1)

    z = noise
    for t in ddim.timesteps:
        (z,) = ddim.step(unet(z, t, context).sample, t, z, eta=0.0, return_dict=False)[:1]

    visited = []

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        """D(x, sigma) by the textbook: z = signal x0 + noise eps, v = signal eps - noise x0."""
        signal = 1 / (1 + sigma.double() ** 2).sqrt()
        t = int((ddim.alphas_cumprod.sqrt() - signal).abs().argmin())
        visited.append(t)
        output = unet(signal * x, t, context).sample
        if prediction_type == "v_prediction":
            return signal * (signal * x) - signal * sigma * output
        return x - sigma * output

    sigmas = ddim_sigmas(sigmas_from_alphas_cumprod(ddim.alphas_cumprod), steps)
    signal = ddim.alphas_cumprod[ddim.timesteps[0]].sqrt()
    x = sample(denoise, noise / signal, sigmas)

    assert visited == ddim.timesteps.tolist()
    assert float((x - z).norm() / z.norm()) < 1e-6


def test_progress_reports_every_evaluation_and_the_point_after_it():
    sigmas = torch.tensor([0.5, 2.0, 8.0], dtype=torch.float64)
    noise = torch.full((1, 4, 2, 2), 8.0, dtype=torch.float64)
    reports: list[tuple[int, Tensor, Tensor]] = []
    result = sample(lambda x, sigma: x / (1 + sigma**2), noise, sigmas, on_step=lambda *report: reports.append(report))
    assert [i for i, _, _ in reports] == [0, 1, 2]
    assert torch.equal(reports[-1][1], result)
    torch.testing.assert_close(reports[0][2], noise / 65)
    torch.testing.assert_close(reports[0][1], noise / 65 + 2 / 8 * (noise - noise / 65))
