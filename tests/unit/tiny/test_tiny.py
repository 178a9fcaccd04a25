"""The bundled prior's file, and what loading it gives."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from stylus_ops import tiny
from stylus_ops.engine.ldm_keys import ldm_key
from stylus_ops.engine.loading import tiny_unet
from stylus_ops.tiny import UNET, WEIGHTS, load, write_checksum

with safe_open(WEIGHTS, "pt") as file:
    METADATA = file.metadata()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_unet_and_context_come_in_the_wanted_precision(dtype: torch.dtype) -> None:
    prior = load(dtype=dtype)
    assert {weight.dtype for weight in prior.unet_weights.values()} == {dtype}
    assert prior.context.dtype == dtype
    assert next(prior.autoencoder.parameters()).dtype == torch.float32


def diffusers_config(ldm: dict[str, Any]) -> dict[str, Any]:
    """Latent diffusion's UNet configuration in diffusers' words, for networks without attention at the lowest level."""
    widths = [ldm["model_channels"] * multiple for multiple in ldm["channel_mult"]]
    with_attention = len(widths) - 1
    return {
        "sample_size": ldm["image_size"],
        "in_channels": ldm["in_channels"],
        "out_channels": ldm["out_channels"],
        "block_out_channels": widths,
        "layers_per_block": ldm["num_res_blocks"][0],
        "down_block_types": ["CrossAttnDownBlock2D"] * with_attention + ["DownBlock2D"],
        "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * with_attention,
        # What diffusers calls a head's dimension is the number of heads.
        "attention_head_dim": [width // ldm["num_head_channels"] for width in widths],
        "cross_attention_dim": ldm["context_dim"],
    }


def test_unet_is_that_of_diffusers() -> None:
    from diffusers import UNet2DConditionModel  # takes seconds to load
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    prior = load()
    ours = tiny_unet(prior)
    theirs: Any = UNet2DConditionModel(**diffusers_config(prior.unet_config))
    weights = ours.state_dict()
    assert {UNET + ldm_key(name) for name in weights} == prior.unet_weights.keys()
    converted = convert_ldm_unet_checkpoint(dict(prior.unet_weights), dict(theirs.config))
    assert all(torch.equal(converted[name], weights[name]) for name in weights)
    theirs.load_state_dict(converted)
    theirs.eval()
    x = torch.randn(2, 4, 32, 21, generator=torch.Generator().manual_seed(0))
    context = torch.randn(2, 3, prior.context.shape[-1], generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for timesteps in (500, torch.tensor([1, 999])):
            expected = theirs(x, timesteps, context).sample
            torch.testing.assert_close(ours(x, timesteps, context)[0], expected, atol=1e-5, rtol=1e-5)


def test_every_altered_byte_is_noticed(tmp_path: Path) -> None:
    whole = WEIGHTS.read_bytes()
    copy = tmp_path / WEIGHTS.name
    copy.write_bytes(whole)
    write_checksum(copy)
    load(path=copy)
    for place in (*range(0, 4000, 800), *range(100_000, len(whole), len(whole) // 4), len(whole)):
        byte = whole[place] ^ 1 if place < len(whole) else 0
        copy.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
        with pytest.raises(ValueError, match="damaged or altered"):
            load(path=copy)


def test_the_bundled_weights_are_never_read_unchecked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(WEIGHTS, tmp_path)
    monkeypatch.setattr(tiny, "WEIGHTS", tmp_path / WEIGHTS.name)
    with pytest.raises(ValueError, match="checksum"):
        load(path=tmp_path / WEIGHTS.name)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.unlink(), "missing"),
        (lambda path: path.write_bytes(WEIGHTS.read_bytes()[:1_000_000]), "cut off"),
        (lambda path: save_file({f"{UNET}input_blocks.0.0.weight": torch.zeros(2, 2)}, path), "no Stylus Tiny prior"),
        (lambda path: save_file({"context": torch.zeros(1, 1, 64)}, path, METADATA), "lacks"),
    ],
)
def test_a_file_that_is_no_whole_prior_is_refused(tmp_path: Path, damage: Callable[[Path], Any], words: str) -> None:
    copy = tmp_path / "prior.safetensors"
    copy.touch()
    damage(copy)
    with pytest.raises(ValueError, match=words):
        load(path=copy)
