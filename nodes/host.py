"""The one file that touches `comfy.*`: a MODEL as the core's `Evaluate`, and the loops inside the host's own sampling."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import comfy.model_management
import comfy.sample
import comfy.samplers
import comfy.utils
import latent_preview
import torch
from comfy.ldm.modules.attention import SpatialTransformer, optimized_attention
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.model_patcher import ModelPatcher
from comfy.model_sampling import EPS
from comfy.patcher_extension import WrappersMP
from comfy_api.torch_helpers.torch_compile import COMPILE_KEY
from torch import Tensor

from ..stylus_ops.attention import Hook
from ..stylus_ops.features import Inversion, choose_policy
from ..stylus_ops.inversion import Trajectory, invert
from ..stylus_ops.sampling import sample
from ..stylus_ops.schedule import TRAIN_STEPS, ddim_sigmas, sampling_sigmas
from ..stylus_ops.sites import Site, resolve_sites
from ..stylus_ops.transfer import Evaluate, Recorder, Stylizer

WRAPPER_KEY = "stylus"
MOST_WINDOWS_PER_PASS = 64
TOKEN_CHANGING_PATCHES = {"tomesd": "Token Merging (ToMe)", "hypertile": "HyperTile"}

check_interrupt = comfy.model_management.throw_exception_if_processing_interrupted
progress = comfy.utils.ProgressBar


class Weights(NamedTuple):
    """Identity of a MODEL's weights.

    The host reloads a checkpoint that it dropped from its cache, which gives another module with the same values: so
    values are compared where the module is not the same.
    """

    model: weakref.ref
    patches: object
    """The host's id of the patches (LoRA) on the module."""
    values: tuple
    """Samples of the unpatched weights and of every patch."""

    @classmethod
    def of(cls, patcher: ModelPatcher) -> Weights:
        return cls(weakref.ref(patcher.model), patcher.patches_uuid, _sampled_values(patcher))

    def match(self, patcher: ModelPatcher) -> bool:
        same = self.model() is patcher.model and self.patches == patcher.patches_uuid
        return same or self.values == _sampled_values(patcher)


def _sampled_values(patcher: ModelPatcher) -> tuple:
    weights = patcher.model.state_dict()
    anchors = [f"diffusion_model.{name}.weight" for name in ("input_blocks.0.0", "time_embed.0", "out.2")]
    unpatched = [patcher.backup[key].weight if key in patcher.backup else weights[key] for key in anchors]
    return _samples(unpatched), tuple((key, _samples(patcher.patches[key])) for key in sorted(patcher.patches, key=str))


def _samples(value: Any) -> Any:
    """A few numbers of every tensor in nested lists and adapters; other values as they are."""
    if isinstance(value, Tensor):
        return tuple(value.shape), tuple(value.flatten()[:8].float().tolist())
    if isinstance(value, (list, tuple)):
        return tuple(_samples(v) for v in value)
    if hasattr(value, "weights"):
        return _samples(value.weights)
    return value if isinstance(value, (int, float, str)) else None


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
    table = _sigma_table(model)
    samples = _plain_latent(latent)
    _check_conditioning(conditioning)
    attention = decoder_attention(model)
    chosen = resolve_sites(sites, {block: len(layer.transformer_blocks) for block, layer in attention.items()})
    sigmas = ddim_sigmas(table, steps)
    needed = steps * len(samples) * model.model_dtype().itemsize * _feature_values(attention, chosen, samples)
    policy = choose_policy(features, needed, comfy.model_management.get_free_memory(torch.device("cpu")))
    recorder = Recorder(sigmas, chosen, torch.float16 if policy == "cache fp16" else None, keep=policy != "recompute")
    recording = _unstyled(model)
    recording.model_options.pop("disable_cfg1_optimization", None)
    _wrap(
        recording, lambda evaluate, x, sigma, per_pass, chunks: recorder(evaluate, x, sigma, per_pass), windows_per_pass
    )

    preview = latent_preview.prepare_callback(recording, steps)
    trajectories: list[Trajectory] = []

    def sampler(denoiser: Callable, x: Tensor, ascending: Tensor, extra_args: dict, **_: Any) -> Tensor:
        trajectory = invert(
            _denoise(denoiser, extra_args),
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
    _sigma_table(model)
    content = stylizer.content
    for capture in stylizer.style.captures:
        if not same_conditioning(content.conditioning, capture.conditioning):
            raise ValueError(
                "style was captured with another CONDITIONING than the inversion: wire the same prompt into DDIM Invert "
                "and Capture Style KV"
            )
    _check_weights(model, stylizer)
    styled = _unstyled(model)
    _wrap(styled, stylizer, windows_per_pass)

    def run(executor: Any, *args: Any, **kwargs: Any) -> Tensor:
        _check_weights(executor.class_obj.model_patcher, stylizer)
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
            _denoise(denoiser, extra_args),
            x,
            ascending,
            on_step=lambda i, x, denoised: preview(i, denoised, x, steps),
        )

    return {"samples": _run(styled, sampler, sigmas, conditioning, start["samples"])}


def decoder_attention(model: ModelPatcher) -> dict[int, SpatialTransformer]:
    """The attention of a MODEL's U-Net by decoder block number."""
    return {
        number: layer
        for number, block in enumerate(_unet(model).output_blocks)
        for layer in block
        if isinstance(layer, SpatialTransformer)
    }


def same_conditioning(a: Any, b: Any) -> bool:
    """Whether two CONDITIONINGs hold equal values."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and torch.equal(a.cpu(), b.cpu())
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_conditioning(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same_conditioning, a, b))
    return a is b or bool(a == b)


def check_same_conditioning(inversion: Inversion, conditioning: list) -> None:
    """Raises ValueError unless the CONDITIONING is the one that the inversion was made with."""
    if not same_conditioning(inversion.conditioning, conditioning):
        raise ValueError(
            "conditioning is not the one that the inversion was made with: wire the same prompt into DDIM Invert, "
            "Capture Style KV and the sampler"
        )


def _unet(model: ModelPatcher) -> UNetModel:
    unet = model.get_model_object("diffusion_model")
    if not isinstance(unet, UNetModel):
        raise ValueError(
            f"model is {type(model.model).__name__} ({type(unet).__name__}), which has no U-Net decoder to inject into: "
            "load a Stable Diffusion 1.x, 2.x or XL checkpoint, or Load Stylus Tiny"
        )
    return unet


def _sigma_table(model: ModelPatcher) -> Tensor:
    _unet(model)
    sampling = model.get_model_object("model_sampling")
    table = getattr(sampling, "sigmas", None)
    if not isinstance(sampling, EPS) or table is None or len(table) != TRAIN_STEPS:
        raise ValueError(
            f"model samples with {type(sampling).__name__}, not with the {TRAIN_STEPS}-step eps- or v-prediction noise "
            "schedule of Stable Diffusion: DDIM inversion needs that"
        )
    return table.detach().cpu()


def _plain_latent(latent: dict) -> Tensor:
    if "noise_mask" in latent:
        raise ValueError("latent has a noise mask, which an inversion can't honour: wire a plain VAE Encode")
    samples = latent["samples"]
    if samples.ndim != 4:
        raise ValueError(
            f"latent has {samples.ndim} dimensions: an image latent has 4; wire VAE Encode of the mel images"
        )
    if not torch.isfinite(samples).all():
        raise ValueError("latent has NaN or infinite values: check the audio, or run the VAE in fp32")
    return samples


def _check_conditioning(conditioning: list) -> None:
    if len(conditioning) != 1:
        raise ValueError(
            f"conditioning combines {len(conditioning)} prompts: inversion takes one; an empty prompt is best"
        )
    if regional := {"area", "mask"} & conditioning[0][1].keys():
        raise ValueError(f"conditioning is limited to a region ({', '.join(regional)}): use one without area or mask")


def _check_weights(patcher: ModelPatcher, stylizer: Stylizer) -> None:
    for name, clip in [("the inversion", stylizer.content)] + [("style", c) for c in stylizer.style.captures]:
        if not (isinstance(clip.weights, Weights) and clip.weights.match(patcher)):
            raise ValueError(
                f"{name} was made with other model weights than the sampler's: put the same checkpoint and LoRA in front "
                "of DDIM Invert, Capture Style KV and the sampler"
            )


def _feature_values(attention: dict[int, SpatialTransformer], sites: tuple[Site, ...], samples: Tensor) -> int:
    """How many numbers the features of one window at one node are."""
    widths = {block: layer.transformer_blocks[0].norm1.normalized_shape[0] for block, layer in attention.items()}
    return sum(_tokens(samples, block) * widths[block] for block, _ in sites)


def _tokens(samples: Tensor, block: int) -> int:
    """Tokens of a decoder block: full resolution in the last three of twelve, halved every three before."""
    halvings = max(0, 3 - block // 3)
    return -(-samples.shape[-2] // 2**halvings) * -(-samples.shape[-1] // 2**halvings)


def _unstyled(model: ModelPatcher) -> ModelPatcher:
    """A clone of a MODEL that carries no style yet."""
    if model.get_wrappers(WrappersMP.APPLY_MODEL, WRAPPER_KEY):
        raise ValueError("model already carries a style: wire the MODEL from before Apply Style to Model")
    return model.clone()


Step = Callable[[Evaluate, Tensor, Tensor, int, int], Tensor]
"""`step(evaluate, x, sigma, per_pass, chunks)`: one evaluation of the whole batch."""


def _wrap(patcher: ModelPatcher, step: Step, windows_per_pass: int) -> None:
    """Put `step` around the host's `apply_model`. Nothing is written into the model's own modules."""

    def wrapper(
        executor: Any,
        x: Tensor,
        t: Tensor,
        c_concat: Any,
        c_crossattn: Any,
        control: Any,
        transformer_options: dict,
        **kwargs: Any,
    ) -> Tensor:
        base = executor.class_obj
        chunks = transformer_options["cond_or_uncond"]
        windows = len(x) // len(chunks)
        conditional_row = chunks.index(0) * windows if 0 in chunks else 0

        def evaluate(latents: Tensor, sigma: Tensor, rows: slice | None, hook: Hook | None) -> Tensor:
            own = torch.arange(len(x))[rows] if rows else torch.arange(0)
            index = torch.cat([own.new_full((len(latents) - len(own),), conditional_row), own])
            inputs = [_rows(value, index, len(x)) for value in (c_concat, c_crossattn, control)]
            extra = {name: _rows(value, index, len(x)) for name, value in kwargs.items()}
            options = _hooked(transformer_options, hook)
            with nullcontext() if hook is None else _uncompiled(transformer_options):
                return executor(latents, sigma.reshape(1).expand(len(latents)), *inputs, options, **extra)

        per_pass = windows_per_pass or _windows_that_fit(base, x)
        return step(evaluate, x, t[0], per_pass, len(chunks))

    patcher.add_wrapper_with_key(WrappersMP.APPLY_MODEL, WRAPPER_KEY, wrapper)


def _uncompiled(transformer_options: dict) -> AbstractContextManager:
    """Where the host compiles the model it drops torch.compile's guards on the transformer options, which carry the hook: one
    graph would then serve for every hook and for none. Evaluations with a hook leave such graphs aside."""
    if COMPILE_KEY not in transformer_options["wrappers"][WrappersMP.APPLY_MODEL]:
        return nullcontext()
    return torch.compiler.set_stance("force_eager")


def _rows(value: Any, index: Tensor, batch: int) -> Any:
    """The batch rows `index` of every tensor in a conditioning value."""
    if isinstance(value, Tensor):
        return value[index.to(value.device)] if value.ndim and len(value) == batch else value
    if isinstance(value, dict):
        return {k: _rows(v, index, batch) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_rows(v, index, batch) for v in value)
    return value


def _windows_that_fit(base: Any, x: Tensor) -> int:
    """Windows like those of `x` that one pass may hold, with the host's own margin of 1.5 on its own estimate."""
    free = comfy.model_management.get_free_memory(x.device)
    count = MOST_WINDOWS_PER_PASS
    while count > 1 and base.memory_required([count, *x.shape[1:]]) * 1.5 > free:
        count //= 2
    return count


def _hooked(transformer_options: dict, hook: Hook | None) -> dict:
    """Transformer options with the hook as the last `attn1_patch` and the `attn1` replacement of its sites."""
    if hook is None:
        return transformer_options
    sites = frozenset(hook.sites)

    def tokens(n: Tensor, context: Tensor, value: Tensor, extra: dict) -> tuple[Tensor, Tensor, Tensor]:
        site = (extra["block"][1], extra["block_index"])
        if extra["block"][0] != "output" or site not in sites:
            return n, context, value
        query, source = hook.tokens(site, n)
        return query, source, source

    def attend(q: Tensor, k: Tensor, v: Tensor, extra: dict) -> Tensor:
        def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return optimized_attention(
                q, k, v, extra["n_heads"], attn_precision=extra["attn_precision"], transformer_options=extra
            )

        return hook.attend((extra["block"][1], extra["block_index"]), q, k, v, attention)

    patches = dict(transformer_options.get("patches", {}))
    earlier = patches.get("attn1_patch", [])
    for patch in earlier:
        name = getattr(patch, "__qualname__", type(patch).__qualname__).lower()
        for fragment, title in TOKEN_CHANGING_PATCHES.items():
            if fragment in name:
                raise ValueError(f"model carries {title}, which changes the tokens Stylus records: remove it")
    replacements = dict(transformer_options.get("patches_replace", {}))
    attn1 = dict(replacements.get("attn1", {}))
    for block, index in hook.sites:
        if ("output", block) in attn1 or ("output", block, index) in attn1:
            raise ValueError(
                f"another patch already replaces self-attention of decoder block {block}: remove it, or choose other sites"
            )
        attn1["output", block, index] = attend
    return {
        **transformer_options,
        "patches": {**patches, "attn1_patch": [*earlier, tokens]},
        "patches_replace": {**replacements, "attn1": attn1},
    }


def _denoise(denoiser: Callable, extra_args: dict) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, sigma: denoiser(x, sigma * x.new_ones(len(x)), **extra_args)


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
