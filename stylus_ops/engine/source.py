"""What the name of a model means, found out without loading it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .. import tiny

PART = r"\w(?:[\w.-]{0,94}\w)?"
HUB_ID = re.compile(rf"(?!.*(?:--|\.\.)){PART}/{PART}(?<!\.git)", re.ASCII)
"""As huggingface_hub has it."""
WEIGHTS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}
"""The parts of a diffusers folder, and how the files with their weights begin."""
HUB_FILES = ["model_index.json", "scheduler/*.json", *(f"{part}/config.json" for part in WEIGHTS)] + [
    f"{part}/{weights}{ending}"
    for part, weights in WEIGHTS.items()
    for ending in (".safetensors", "-*.safetensors", ".safetensors.*.json")
]
"""Of a diffusers folder: weights in their first variant, and what says how to read them."""
PICKLES = (".ckpt", ".pt", ".pth", ".bin")


def find(name: str) -> tuple[str, Path]:
    """What a name stands for: "tiny", the bundled prior, a checkpoint "file", a diffusers "folder", or an id of the "hub",
    `owner/name` that is no path; and where the file or folder is.

    Raises ValueError: `name` is none of these, or a pickle.
    """
    if name == "tiny":
        return "tiny", tiny.WEIGHTS
    path = Path(name).expanduser()
    if path.suffix.lower() in PICKLES:
        raise ValueError(f"model {name} is a pickle, which can run any code when opened: use its .safetensors version")
    if path.is_dir():
        return "folder", path
    if path.suffix.lower() == ".safetensors":
        if not path.is_file():
            raise ValueError(f"model {name} does not exist: check its name and folder")
        return "file", path
    if path.exists():
        raise ValueError(f"model {name} is no .safetensors file: use one, or a diffusers folder")
    if HUB_ID.fullmatch(name) and not path.parent.is_dir():
        return "hub", path
    raise ValueError(f"model {name} does not exist: neither tiny, nor a file, folder or Hub id such as owner/model")


def fingerprint(name: str) -> dict[str, Any] | None:
    """The files that the model is read from, by name: sizes in bytes and times of change in ns; None if the model is not
    downloaded yet. Raises as `find`.
    """
    kind, path = find(name)
    if kind == "hub":
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError

        try:
            path = Path(snapshot_download(name, local_files_only=True))
        except LocalEntryNotFoundError:
            return None
    if kind == "tiny":
        return {"sha256": tiny.sha256(path)}
    files = [path] if kind == "file" else sorted({file for pattern in HUB_FILES for file in path.glob(pattern)})
    names = (file.name if kind == "file" else file.relative_to(path).as_posix() for file in files)
    stats = (file.stat() for file in files)
    return {name: [stat.st_size, stat.st_mtime_ns] for name, stat in zip(names, stats, strict=True)}


def downloaded(name: str) -> Path:
    """The folder of a model of the Hub, downloaded unless it is here already.

    Raises ValueError: the Hub has no public model of this name, or can't be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=HUB_FILES))
    except LocalEntryNotFoundError as error:
        raise ValueError(
            f"model {name} is no file or folder here, and as a Hub id it can't be downloaded (no network, or the Hub "
            "does not answer): check its name, or try again"
        ) from error
    except (RepositoryNotFoundError, GatedRepoError) as error:
        raise ValueError(f"model {name} is neither here nor a public model of the Hub: check its name") from error
    except (OSError, HfHubHTTPError) as error:
        raise ValueError(f"model {name} can't be downloaded ({' '.join(str(error).split())}): try again") from error
