"""A MODEL as the core's `Evaluate`: our passes around the host's `apply_model`, the hook in its attention patches."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import comfy.model_management
import torch
from comfy.ldm.modules.attention import optimized_attention
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from comfy_api.torch_helpers.torch_compile import COMPILE_KEY
from torch import Tensor

from ...stylus_ops.copies import to_device
from ...stylus_ops.dials import Memory
from ...stylus_ops.diffusion.host import Hook
from .model import WRAPPER_KEY, check_evaluated

MOST_WINDOWS_PER_PASS = 64
TOKEN_CHANGING_PATCHES = {"tomesd": "Token Merging (ToMe)", "hypertile": "HyperTile"}


def wrapped(model: ModelPatcher, step: Callable[..., Tensor], memory: Memory) -> ModelPatcher:
    """A clone of a MODEL with `step` around the host's `apply_model`. Nothing is written into the model's own modules.

    `step(evaluate, x, sigma, per_pass, chunks)` is one evaluation of the whole batch, of as many windows a pass as
    `memory` says; 0 for as many as fit. Raises ValueError if the MODEL carries a style already, or something around its
    U-Net.
    """
    if model.get_wrappers(WrappersMP.APPLY_MODEL, WRAPPER_KEY):
        raise ValueError("model already carries a style: wire the MODEL from before Apply Style to Model")
    check_evaluated(model)

    def wrapper(
        executor: Any, x: Tensor, t: Tensor, concat: Any, context: Any, control: Any, options: dict, **more: Any
    ) -> Tensor:
        chunks = options["cond_or_uncond"]
        windows = len(x) // len(chunks)
        conditional_row = chunks.index(0) * windows if 0 in chunks else 0

        def evaluate(latents: Tensor, sigma: Tensor, rows: slice | None, hook: Hook | None) -> Tensor:
            own = torch.arange(len(x))[rows] if rows else torch.arange(0)
            index = torch.cat([own.new_full((len(latents) - len(own),), conditional_row), own])
            levels = to_device(sigma, latents.device).reshape(1).expand(len(latents))
            inputs, extra = _rows((concat, context, control), index, len(x)), _rows(more, index, len(x))
            # Where the host compiles the model it drops torch.compile's guards on the options, which carry the hook: one graph
            # would then serve for every hook and for none.
            compiled = hook is not None and COMPILE_KEY in options["wrappers"][WrappersMP.APPLY_MODEL]
            with torch.compiler.set_stance("force_eager") if compiled else nullcontext():
                return executor(latents, levels, *inputs, _hooked(options, hook), **extra)

        per_pass = memory.windows_per_pass or _windows_that_fit(executor.class_obj, x)
        return step(evaluate, x, t[0], per_pass, len(chunks))

    patcher = model.clone()
    patcher.add_wrapper_with_key(WrappersMP.APPLY_MODEL, WRAPPER_KEY, wrapper)
    return patcher


def _rows(value: Any, index: Tensor, batch: int) -> Any:
    """The batch rows `index` of every tensor in a conditioning value."""
    if isinstance(value, Tensor):
        return value[to_device(index, value.device)] if value.ndim and len(value) == batch else value
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
    """Transformer options with the hook as the last `attn1_patch` and the `attn1` replacement of its sites.
    Raises ValueError if another patch changes the tokens, or replaces self-attention at a site."""
    if hook is None:
        return transformer_options

    def tokens(n: Tensor, context: Tensor, value: Tensor, extra: dict) -> tuple[Tensor, Tensor, Tensor]:
        site = (extra["block"][1], extra["block_index"])
        if extra["block"][0] != "output" or site not in hook.sites:
            return n, context, value
        query, source = hook.tokens(site, n)
        return query, source, source

    def attend(q: Tensor, k: Tensor, v: Tensor, extra: dict) -> Tensor:
        site, heads = (extra["block"][1], extra["block_index"]), extra["n_heads"]
        options = {"attn_precision": extra["attn_precision"], "transformer_options": extra}
        return hook.attend(site, q, k, v, lambda q, k, v: optimized_attention(q, k, v, heads, **options))

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
            raise ValueError(f"another patch replaces self-attention of block {block}: remove it or choose other sites")
        attn1["output", block, index] = attend
    return {
        **transformer_options,
        "patches": {**patches, "attn1_patch": [*earlier, tokens]},
        "patches_replace": {**replacements, "attn1": attn1},
    }


def denoise(denoiser: Callable, extra_args: dict) -> Callable[[Tensor, Tensor], Tensor]:
    """The host's denoiser, which takes a sigma for each row, as the core's `Denoise`, which takes one for all."""
    return lambda x, sigma: denoiser(x, sigma * x.new_ones(len(x)), **extra_args)
