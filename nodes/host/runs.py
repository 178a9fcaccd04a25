"""The core's loops inside the host's own sampling: inversion, and the restyled sampling."""

from __future__ import annotations

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
from ...stylus_ops.diffusion.features import Inversion, choose_policy
from ...stylus_ops.diffusion.recorder import Recorder, record
from ...stylus_ops.diffusion.sampling import sample
from ...stylus_ops.diffusion.schedule import ddim_sigmas
from ...stylus_ops.diffusion.sites import feature_bytes, resolve_sites
from ...stylus_ops.diffusion.stylizer import Stylizer
from .evaluate import WRAPPER_KEY, denoise, unstyled, wrap
from .identity import Weights, check_weights, same_conditioning
from .model import (
    check_conditioning,
    check_geometry,
    check_unguided,
    decoder_of,
    feature_dtype,
    plain_latent,
    sigma_table,
)
from .progress import Progress

check_interrupt = comfy.model_management.throw_exception_if_processing_interrupted


def invert_latent(
    model: ModelPatcher,
    conditioning: list,
    latent: dict,
    schedule: Schedule,
    memory: Memory,
    valid_width: int | None = None,
) -> Inversion:
    """Invert a LATENT under a MODEL and record its features.

    Args:
        valid_width: columns of the latent that hold sound, 1 or more; None for all.

    Raises:
        ValueError: the model has no Stable Diffusion U-Net, noise schedule or decoder block of that number; the latent or
            the conditioning is not of this model's kind, or limited to a part of the image.
    """
    table = sigma_table(model)
    samples = plain_latent(model, latent)
    check_geometry(model, samples)
    decoder = decoder_of(model)
    steps = schedule.steps
    chosen = resolve_sites(schedule.sites, decoder)
    check_conditioning(model, conditioning)
    check_unguided(model)
    sigmas = ddim_sigmas(table, steps)
    needed = steps * len(samples) * feature_bytes(decoder, chosen, feature_dtype(model), *samples.shape[-2:])
    policy = choose_policy(memory.features, needed, comfy.model_management.get_free_memory(torch.device("cpu")))
    recorder = Recorder(sigmas, chosen, policy)
    recording = unstyled(model)
    recording.model_options.pop("disable_cfg1_optimization", None)
    wrap(recording, lambda evaluate, x, sigma, per_pass, chunks: recorder(evaluate, x, sigma, per_pass), memory)

    what = f"analysing {_windows(samples)}"
    inversions: list[Inversion] = []

    def sampler(denoiser: Callable, x: Tensor, ascending: Tensor, extra_args: dict, **_: Any) -> Tensor:
        inversion = record(
            recorder,
            denoise(denoiser, extra_args),
            x,
            schedule,
            valid_width=valid_width,
            on_step=Progress(recording, steps, what),
        )
        inversions.append(inversion)
        return x

    _run(recording, sampler, sigmas, conditioning, samples)
    return inversions[0]._replace(conditioning=conditioning, weights=Weights.of(model))


def noise_latent(model: ModelPatcher, inversion: Inversion) -> dict:
    """The inverted noise as a LATENT in the scale of the host's sockets."""
    return {"samples": model.model.process_latent_out(inversion.noise)}


def apply_style(model: ModelPatcher, stylizer: Stylizer, memory: Memory) -> tuple[ModelPatcher, dict]:
    """A clone of the MODEL that injects the style at every evaluation, and the LATENT to start sampling from.

    Raises:
        ValueError: the features were taken with other weights or another conditioning.
    """
    sigma_table(model)
    content = stylizer.content
    for capture in stylizer.style.captures:
        if not same_conditioning(content.conditioning, capture.conditioning):
            raise ValueError(
                "style was captured with another CONDITIONING than the inversion: wire the same prompt into DDIM Invert "
                "and Capture Style KV"
            )
    check_weights(model, stylizer)
    styled = unstyled(model)
    wrap(styled, stylizer, memory)

    def run(executor: Any, *args: Any, **kwargs: Any) -> Tensor:
        check_weights(executor.class_obj.model_patcher, stylizer)
        try:
            return executor(*args, **kwargs)
        finally:
            stylizer.release()

    styled.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, WRAPPER_KEY, run)
    start = stylizer.start_latents()
    return styled, {"samples": model.model.process_latent_out(start)}


def sample_latent(styled: ModelPatcher, conditioning: list, start: dict, stylizer: Stylizer) -> dict:
    """Deterministic DDIM of a styled MODEL over the content's nodes, without noise or guidance.

    Raises:
        ValueError: the MODEL changes guidance.
    """
    check_unguided(styled)
    what = f"restyling {_windows(start['samples'])}"

    def sampler(denoiser: Callable, x: Tensor, ascending: Tensor, extra_args: dict, **_: Any) -> Tensor:
        return sample(denoise(denoiser, extra_args), x, ascending, on_step=Progress(styled, len(ascending), what))

    return {"samples": _run(styled, sampler, stylizer.content.sigmas, conditioning, start["samples"])}


def _windows(samples: Tensor) -> str:
    return "1 window" if len(samples) == 1 else f"{len(samples)} windows"


def _run(model: ModelPatcher, sampler: Callable, sigmas: Tensor, conditioning: list, samples: Tensor) -> Tensor:
    """The host's own sampling (devices, LoRA, hooks, interrupts) around a loop of ours; no noise is added."""
    return comfy.sample.sample_custom(
        model,
        torch.zeros_like(samples, device="cpu"),
        1.0,
        comfy.samplers.KSAMPLER(sampler),
        sigmas,
        conditioning,
        conditioning,
        samples,
        disable_pbar=True,
        seed=0,
    )
