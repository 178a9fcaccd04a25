"""The core's loops inside the host's own sampling: inversion, and the restyled sampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.model_management
import comfy.sample
import comfy.samplers
import comfy.utils
import latent_preview
import torch
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ...stylus_ops.diffusion.features import Inversion, choose_policy
from ...stylus_ops.diffusion.inversion import Trajectory, invert
from ...stylus_ops.diffusion.recorder import Recorder
from ...stylus_ops.diffusion.sampling import sample
from ...stylus_ops.diffusion.schedule import ddim_sigmas, sampling_sigmas
from ...stylus_ops.diffusion.sites import resolve_sites
from ...stylus_ops.diffusion.stylizer import Stylizer
from .evaluate import WRAPPER_KEY, denoise, unstyled, wrap
from .identity import Weights, check_weights, same_conditioning
from .model import check_conditioning, decoder_attention, feature_values, plain_latent, sigma_table

check_interrupt = comfy.model_management.throw_exception_if_processing_interrupted
progress = comfy.utils.ProgressBar


def invert_latent(
    model: ModelPatcher,
    conditioning: list,
    latent: dict,
    *,
    steps: int,
    sites: str,
    method: str,
    corrections: int,
    features: str,
    windows_per_pass: int,
    valid_fraction: float,
) -> Inversion:
    """Invert a LATENT under a MODEL and record its features.

    Args:
        features: "auto", "cache", "cache fp16" or "recompute".
        windows_per_pass: 0 for as many as fit in memory.
        valid_fraction: share of the latent's width that is not padding.

    Raises:
        ValueError: an input that can't be inverted, in words.
    """
    table = sigma_table(model)
    samples = plain_latent(latent)
    check_conditioning(conditioning)
    attention = decoder_attention(model)
    chosen = resolve_sites(sites, {block: len(layer.transformer_blocks) for block, layer in attention.items()})
    sigmas = ddim_sigmas(table, steps)
    needed = steps * len(samples) * model.model_dtype().itemsize * feature_values(attention, chosen, samples)
    policy = choose_policy(features, needed, comfy.model_management.get_free_memory(torch.device("cpu")))
    recorder = Recorder(sigmas, chosen, torch.float16 if policy == "cache fp16" else None, keep=policy != "recompute")
    recording = unstyled(model)
    recording.model_options.pop("disable_cfg1_optimization", None)
    wrap(
        recording, lambda evaluate, x, sigma, per_pass, chunks: recorder(evaluate, x, sigma, per_pass), windows_per_pass
    )

    preview = latent_preview.prepare_callback(recording, steps)
    trajectories: list[Trajectory] = []

    def sampler(denoiser: Callable, x: Tensor, ascending: Tensor, extra_args: dict, **_: Any) -> Tensor:
        trajectory = invert(
            denoise(denoiser, extra_args),
            x,
            ascending,
            method,
            corrections,
            on_step=lambda i, x, denoised: preview(i, denoised, x, steps),
            before_provisional=recorder.skip_next,
        )
        trajectories.append(trajectory)
        return trajectory.noise

    _run(recording, sampler, sigmas, conditioning, samples)
    valid_width = max(1, round(samples.shape[-1] * valid_fraction))
    return recorder.inversion(trajectories[0], valid_width, conditioning, Weights.of(model))


def noise_latent(model: ModelPatcher, inversion: Inversion) -> dict:
    """The inverted noise as a LATENT in the scale of the host's sockets."""
    return {"samples": model.model.process_latent_out(inversion.noise)}


def host_sigmas(inversion: Inversion) -> Tensor:
    """The inversion's nodes as SIGMAS [N + 1], descending to 0."""
    return sampling_sigmas(inversion.sigmas)


def apply_style(
    model: ModelPatcher, stylizer: Stylizer, adain: str, adain_strength: float, windows_per_pass: int
) -> tuple[ModelPatcher, dict]:
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
    wrap(styled, stylizer, windows_per_pass)

    def run(executor: Any, *args: Any, **kwargs: Any) -> Tensor:
        check_weights(executor.class_obj.model_patcher, stylizer)
        try:
            return executor(*args, **kwargs)
        finally:
            stylizer.release()

    styled.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, WRAPPER_KEY, run)
    start = stylizer.start_latents(adain, adain_strength)
    return styled, {"samples": model.model.process_latent_out(start)}


def sample_latent(styled: ModelPatcher, conditioning: list, start: dict, sigmas: Tensor) -> dict:
    """Deterministic DDIM of a styled MODEL over the inversion's nodes (ascending), without noise or guidance."""
    steps = len(sigmas)
    preview = latent_preview.prepare_callback(styled, steps)

    def sampler(denoiser: Callable, x: Tensor, ascending: Tensor, extra_args: dict, **_: Any) -> Tensor:
        return sample(
            denoise(denoiser, extra_args),
            x,
            ascending,
            on_step=lambda i, x, denoised: preview(i, denoised, x, steps),
        )

    return {"samples": _run(styled, sampler, sigmas, conditioning, start["samples"])}


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
