"""A captured style as a file to keep and to share: a safetensors file of tensors and one line of JSON.

Features are left out: they are evaluated again from the trajectory, which is 50 times smaller.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..disk import write_atomically
from .features import Inversion, Style

SUFFIX = ".safetensors"
FORMAT = "stylus style 1"
KINDS = {"list": list, "tuple": tuple}
MOST_TENSORS, MOST_WINDOWS, LARGEST = 4096, 128, 1e6
"""What no style has more of: tensors, windows, and magnitude of a latent at any noise level."""

Plain = Callable[[Any], object]
"""Turns what a host has as weights into plain values: tensors, numbers, texts, and lists, tuples or dicts of them."""


def write_style(path: Path, style: Style, recording: str, weights: Plain = lambda value: value) -> None:
    """Write a style in full or not at all.

    Args:
        recording: what the style was made of, for people.
        weights: gives plain values of the host's identity of weights.

    Raises:
        ValueError: a field has a value that is not plain, or the style has too many windows.
        OSError: the file can't be written.
    """
    _check_windows(path, style.captures)
    tensors: dict[str, Tensor] = {}
    clips = []
    for number, (clip, share) in enumerate(zip(*style, strict=True)):
        for name in ("sigmas", "trajectory", "noise"):
            _pack(getattr(clip, name), f"{number}.{name}", tensors)
        clips.append(
            {
                "share": share,
                "sites": clip.sites,
                "valid_width": clip.valid_width,
                "weights": _pack(weights(clip.weights), f"{number}.weights", tensors),
                "conditioning": _pack(clip.conditioning, f"{number}.conditioning", tensors),
            }
        )
    metadata = {"format": FORMAT, "recording": recording, "clips": json.dumps(clips, allow_nan=False)}
    packed = save(tensors, metadata)
    try:
        write_atomically(path, lambda file: file.write_bytes(packed))
    except OSError as error:
        raise OSError(
            f"style {path.stem!r} can't be written to {path.parent} ({error.strerror}): make room, or choose another folder"
        ) from error


def read_style(path: Path, weights: Plain = lambda value: value) -> tuple[Style, str]:
    """The style in a file, without features, and the name of its recording.

    Args:
        weights: makes the host's identity of weights of what `write_style` was given for it.

    Raises ValueError: the file does not exist, is of another kind or a later version, has too many windows, or is damaged.
    """
    if not path.is_file():
        raise ValueError(f"style {path.stem!r} does not exist: choose another, or save it again")
    damaged = f"style {path.stem!r} is damaged: save it again, or get another copy"
    try:
        with safe_open(path, "pt") as file:
            metadata, names = file.metadata() or {}, file.keys()
            if len(names) > MOST_TENSORS:
                raise ValueError(damaged)
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise ValueError(damaged) from error
    kind = metadata.get("format", "")
    if not kind.startswith("stylus style"):
        raise ValueError(f"style {path.stem!r} is another kind of file: choose one that Save Style made")
    if kind != FORMAT:
        raise ValueError(f"style {path.stem!r} is of a later version of Stylus: update Stylus, or save it again")
    try:
        clips = json.loads(metadata["clips"])
        captures = tuple(_read_clip(number, clip, tensors, weights) for number, clip in enumerate(clips))
        shares = tuple(float(clip["share"]) for clip in clips)
        _require(shares and min(shares) > 0 and math.isclose(sum(shares), 1, rel_tol=1e-6))
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(damaged) from error
    _check_windows(path, captures)
    return Style(captures, shares), metadata.get("recording", "")


def steps_of(path: Path) -> int:
    """How many noise levels a saved style was captured at, from the head of its file. Raises ValueError if it can't be read."""
    try:
        with safe_open(path, "pt") as file:
            return file.get_slice("0.sigmas").get_shape()[0]
    except (SafetensorError, OSError, IndexError) as error:
        raise ValueError(f"style {path.stem!r} can't be read: save it again, or get another copy") from error


def _check_windows(path: Path, captures: Sequence[Inversion]) -> None:
    windows = sum(len(capture.noise) for capture in captures)
    if windows > MOST_WINDOWS:
        raise ValueError(f"style {path.stem!r} has {windows} windows and may have {MOST_WINDOWS}: capture fewer")


def _require(holds: object) -> None:
    if not holds:
        raise ValueError("the file contradicts itself")


def _read_clip(number: int, clip: Mapping[str, Any], tensors: Mapping[str, Tensor], weights: Plain) -> Inversion:
    sigmas, trajectory, noise = (tensors[f"{number}.{name}"] for name in ("sigmas", "trajectory", "noise"))
    _require(sigmas.ndim == 1 and len(sigmas) >= 2 and noise.ndim == 4 and noise.numel())
    _require(trajectory.shape == (len(sigmas), *noise.shape))
    _require(all(t.is_floating_point() and (t.abs() < LARGEST).all() for t in (sigmas, trajectory, noise)))
    _require(sigmas[0] > 0 and (sigmas.diff() > 0).all())
    sites = tuple((block, index) for block, index in clip["sites"])
    _require(sites and all(type(part) is int and part >= 0 for site in sites for part in site))
    valid_width = clip["valid_width"]
    _require(type(valid_width) is int and 1 <= valid_width <= noise.shape[-1])
    prompt: Any = _unpack(clip["conditioning"], tensors)
    _require(prompt is None or all(isinstance(tokens, Tensor) and isinstance(more, dict) for tokens, more in prompt))
    identity = weights(_unpack(clip["weights"], tensors))
    return Inversion(sigmas, trajectory, noise, sites, None, valid_width, prompt, identity)


def _pack(value: object, name: str, tensors: dict[str, Tensor]) -> object:
    """JSON for a plain value; its tensors go into `tensors` under names that start with `name`."""
    if isinstance(value, Tensor):
        tensors[name] = value.detach().to("cpu").contiguous().clone()
        return {"tensor": name}
    if value is None or isinstance(value, (bool, int, float, str)):
        return {"value": value}
    if isinstance(value, (list, tuple)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_pack(item, f"{name}.{index}", tensors) for index, item in enumerate(value)]}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: _pack(item, f"{name}.{key}", tensors) for key, item in value.items()}}
    raise ValueError(f"{name.partition('.')[2]} holds a {type(value).__name__}, which a style file can't keep")


def _unpack(packed: Any, tensors: Mapping[str, Tensor]) -> object:
    ((kind, content),) = packed.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "value":
        _require(content is None or isinstance(content, (bool, int, float, str)))
        return content
    if kind == "dict":
        return {key: _unpack(item, tensors) for key, item in content.items()}
    return KINDS[kind](_unpack(item, tensors) for item in content)
