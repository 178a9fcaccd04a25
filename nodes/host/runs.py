"""The core's loops inside the host's own sampling: inversion, and the restyled sampling."""

from collections.abc import Callable
from typing import Any

import comfy.model_management
import comfy.sample
import comfy.samplers
import torch
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ...stylus_ops.dials import Memory, Schedule
from ...stylus_ops.diffusion.ddim import sample
from ...stylus_ops.diffusion.features import Inversion, choose_policy
from ...stylus_ops.diffusion.recorder import Recorder, record
from ...stylus_ops.diffusion.schedule import ddim_sigmas
from ...stylus_ops.diffusion.sites import feature_bytes, resolve_sites
from ...stylus_ops.diffusion.stylizer import Stylizer
from .evaluate import denoise, wrapped
from .identity import Weights, check_same_conditioning, check_same_hooks, check_weights
from .messages import count_windows, progress
from .model import (
    WRAPPER_KEY,
    check_conditioning,
    check_evaluated,
    check_geometry,
    check_unguided,
    decoder_of,
    plain_latent,
    sigma_table,
)

check_interrupt = comfy.model_management.throw_exception_if_processing_interrupted


def invert_latent(
    model: ModelPatcher,
    conditioning: list,
    latent: dict,
    schedule: Schedule,
    memory: Memory,
    valid_width: int | None = None,
) -> Inversion:
    """Invert a LATENT under a MODEL and record its features; `valid_width` columns of it hold sound, None for all.

    Raises ValueError if the model has no Stable Diffusion U-Net, noise schedule or decoder block of that number; or the
    latent or the conditioning is not of this model's kind, or limited to a part of the image.
    """
    sigmas = ddim_sigmas(sigma_table(model), schedule.steps)
    samples = plain_latent(model, latent)
    check_geometry(model, samples)
    decoder = decoder_of(model)
    sites = resolve_sites(schedule.sites, decoder)
    check_conditioning(model, conditioning)
    check_unguided(model)
    dtype = model.model.manual_cast_dtype or model.model_dtype()  # in which it computes
    window = feature_bytes(decoder, sites, dtype, *samples.shape[-2:])
    free = comfy.model_management.get_free_memory(torch.device("cpu"))
    recorder = Recorder(sigmas, sites, choose_policy(memory.features, len(sigmas) * len(samples) * window, free))
    recording = wrapped(model, lambda evaluate, x, sigma, per_pass, _: recorder(evaluate, x, sigma, per_pass), memory)
    recording.model_options.pop("disable_cfg1_optimization", None)
    inversions: list[Inversion] = []

    def sampler(denoiser: Callable, x: Tensor, ascending: Tensor, extra_args: dict, **_: Any) -> Tensor:
        shown = progress(recording, schedule.steps, f"analysing {count_windows(len(samples))}")
        inverted = denoise(denoiser, extra_args)
        inversions.append(record(recorder, inverted, x, schedule, valid_width=valid_width, on_step=shown))
        return x

    _run(recording, sampler, sigmas, conditioning, samples)
    return inversions[0]._replace(conditioning=conditioning, weights=Weights.of(model))


def as_latent(model: ModelPatcher, samples: Tensor) -> dict:
    """Latents of the model's own scale as a LATENT in that of the host's sockets."""
    return {"samples": model.model.process_latent_out(samples)}


def apply_style(model: ModelPatcher, stylizer: Stylizer, memory: Memory) -> tuple[ModelPatcher, dict]:
    """A clone of the MODEL that injects the style at every evaluation, and the LATENT to start sampling from.
    Raises ValueError if the features were taken with other weights or another conditioning."""
    sigma_table(model)
    for capture in stylizer.style.captures:
        check_same_conditioning("style", capture.conditioning, stylizer.content)
    check_weights(model, stylizer)
    styled = wrapped(model, stylizer, memory)

    def run(executor: Any, *args: Any, **kwargs: Any) -> Tensor:
        check_evaluated(executor.class_obj.model_patcher)
        check_weights(executor.class_obj.model_patcher, stylizer)
        check_same_hooks(executor.class_obj.conds, stylizer.content)
        try:
            return executor(*args, **kwargs)
        finally:
            stylizer.release()

    styled.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, WRAPPER_KEY, run)
    return styled, as_latent(model, stylizer.start_latents())


def sample_latent(styled: ModelPatcher, conditioning: list, start: dict, content: Inversion) -> dict:
    """Deterministic DDIM of a styled MODEL over the content's nodes, without noise or guidance.
    Raises ValueError if the MODEL changes guidance, or the conditioning is another one than the content's."""
    check_same_conditioning("the sampler", conditioning, content)
    check_unguided(styled)

    def sampler(denoiser: Callable, x: Tensor, ascending: Tensor, extra_args: dict, **_: Any) -> Tensor:
        shown = progress(styled, len(ascending), f"restyling {count_windows(len(x))}")
        return sample(denoise(denoiser, extra_args), x, ascending, on_step=shown)

    return {"samples": _run(styled, sampler, content.sigmas, conditioning, start["samples"])}


def _run(model: ModelPatcher, sampler: Callable, sigmas: Tensor, conditioning: list, samples: Tensor) -> Tensor:
    """The host's own sampling (devices, LoRA, hooks, interrupts) around a loop of ours; no noise is added."""
    noise, loop = torch.zeros_like(samples, device="cpu"), comfy.samplers.KSAMPLER(sampler)
    return comfy.sample.sample_custom(
        model, noise, 1.0, loop, sigmas, conditioning, conditioning, samples, disable_pbar=True, seed=0
    )
