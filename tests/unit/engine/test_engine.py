"""The diffusers host: its autoencoder, and every way that a model is found or refused."""

import json
import mmap
import re
import shutil
import socket
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch
from huggingface_hub.utils import validate_repo_id
from safetensors.torch import load_file, save_file

from stylus_ops.dials import Schedule
from stylus_ops.diffusion.sites import feature_bytes
from stylus_ops.engine.engine import Engine, choose_device
from stylus_ops.engine.loading import load_model
from stylus_ops.engine.source import find
from tests.small_folder import write_small_folder
from tests.small_unet import record


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_folder(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def engine(folder: Path) -> Engine:
    return Engine.load(str(folder), "cpu")


def test_a_folder_says_what_its_model_predicts(tmp_path):
    assert Engine.load(str(write_small_folder(tmp_path, "v_prediction")), "cpu").model.prediction == "v_prediction"


def test_size_of_a_bank_is_foretold(engine):
    inversion = record(engine, torch.zeros(3, 4, 8, 14), "cache", Schedule(steps=2, sites="3-11"))
    bank = sum(kept.nbytes for node in inversion.bank or () for kept in node)
    assert bank == 2 * 3 * feature_bytes(engine.decoder, inversion.sites, torch.float32, 8, 14)


def test_autoencoder_takes_the_mode_and_keeps_windows_apart(engine):
    images = torch.rand(3, 16, 32, 3, generator=torch.Generator().manual_seed(2))
    latents = engine.encode(images)
    vae = engine.model.autoencoder.vae
    with torch.no_grad():
        expected = vae.encode(2 * images.movedim(-1, 1) - 1).latent_dist.mean * vae.config["scaling_factor"]
    torch.testing.assert_close(latents, expected)
    decoded = engine.decode(latents)
    assert decoded.shape == images.shape
    assert 0 <= decoded.min() <= decoded.max() <= 1


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What is asked of the network, which does not answer."""
    asked: list[tuple[object, ...]] = []

    def refuse(*arguments: object, **options: object) -> NoReturn:
        asked.append(arguments)
        raise socket.gaierror("no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return asked


def test_checkpoint_file_loads_without_network(models, asked):
    model = load_model(str(models["sd15-small"]), torch.device("cpu"), torch.float32)
    assert (model.prediction, model.preset) == ("epsilon", "sd-512")
    assert model.context.shape == (1, 77, 768)
    assert model.unet.config["block_out_channels"] == [320] * 4
    weights = load_file(models["sd15-small"])
    name = "transformer_blocks.0.attn1.to_k.weight"
    expected = weights[f"model.diffusion_model.output_blocks.7.1.{name}"].float()
    assert torch.equal(model.unet.get_parameter(f"up_blocks.2.attentions.1.{name}"), expected)
    assert asked == []


def test_a_hub_id_without_network_says_so(asked):
    with pytest.raises(ValueError, match=r"model owner/model is no file or folder here.*no network"):
        load_model("owner/model", torch.device("cpu"), torch.float32)
    assert asked


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sdxl-small", "Stable Diffusion XL"),
        ("flux-small", "Flux"),
        ("sd21-small", "without a text encoder"),
        ("small", "holds no Stable Diffusion U-Net"),
        ("model.ckpt", "pickle"),
        ("missing.safetensors", "does not exist"),
        ("damaged.safetensors", "cut off"),
        ("inpainting.safetensors", "9 input channels"),
        ("neither this nor that", "neither tiny, nor a file"),
        ("empty", "model_index.json"),
    ],
)
def test_what_cannot_be_loaded_is_refused_in_words(models, tmp_path, name, words):
    (tmp_path / "damaged.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{")
    inpainting = {"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(4, 9, 3, 3)}
    save_file(inpainting, tmp_path / "inpainting.safetensors")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=words):
        load_model(str(models.get(name, tmp_path / name)), torch.device("cpu"), torch.float32)


def replace(path: Path, old: bytes, new: bytes) -> None:
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        place = content.find(old)
        content[place : place + len(old)] = new


def test_a_checkpoint_is_refused_by_the_name_of_its_bad_tensor(models, tmp_path):
    path = Path(shutil.copy(models["sd15-small"], tmp_path / "spoilt.safetensors"))
    text = "encoder.layers.5.mlp.fc1.weight"
    end = load_file(path)[f"cond_stage_model.transformer.text_model.{text}"][-1].numpy().tobytes()
    named, shape = b"output_blocks.7.0.in_layers.2.weight", b'ff.net.2.bias":{"dtype":"F16","shape":[320]'
    kind = b'decoder.up.1.block.2.conv1.weight":{"dtype":"F16"'
    for old, new, words in (
        (named, named.upper(), "up_blocks.2.resnets.1.conv1.weight is missing"),
        (shape, shape.replace(b"F16", b"F32").replace(b"320", b"160"), "ff.net.2.bias is .160., not .320."),
        (kind, kind.replace(b"F16", b"I16"), "decoder.up_blocks.2.resnets.2.conv1.weight is int16"),
        (end, end[:-2] + b"\xff\xff", f"{text} contains NaN"),
    ):
        replace(path, old, new)
        with pytest.raises(ValueError, match=f"spoilt.safetensors .*{words}"):
            load_model(str(path), torch.device("cpu"), torch.float32)
        replace(path, new, old)


def test_a_part_in_several_files_loads_and_is_missed_by_name(folder, tmp_path):
    spoilt = "up_blocks.2.attentions.1.transformer_blocks.0.ff.net.2.bias"
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    weights = load_file(file := next((tmp_path / "unet").glob("*.safetensors")))
    file.unlink()
    key = next(name for name in weights if name.endswith(spoilt))
    names = [f"{file.stem}-{number}-of-00002.safetensors" for number in ("00001", "00002")]
    save_file({key: weights.pop(key)}, file.with_name(names[0]), {"format": "pt"})
    save_file(weights, file.with_name(names[1]), {"format": "pt"})
    index = {"metadata": {}, "weight_map": {key: names[0], **dict.fromkeys(weights, names[1])}}
    file.with_name(f"{file.name}.index.json").write_text(json.dumps(index))
    one, several = (load_model(str(path), torch.device("cpu"), torch.float32) for path in (folder, tmp_path))
    assert one.digest() == several.digest()
    assert torch.equal(one.context, several.context)
    save_file({"another": torch.zeros(1)}, file.with_name(names[0]), {"format": "pt"})
    with pytest.raises(ValueError, match=f"unet: tensor .*{spoilt}"):
        load_model(str(tmp_path), torch.device("cpu"), torch.float32)


def test_names_of_earlier_libraries_load(folder, tmp_path):
    """Stable Diffusion 1.5's own folder calls its autoencoder's attention and its text encoder's weights so."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    vae, text = (next((tmp_path / part).glob("*.safetensors")) for part in ("vae", "text_encoder"))
    weights = load_file(vae)
    for today, earlier in {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}.items():
        weights = {name.replace(f".{today}.", f".{earlier}."): weight for name, weight in weights.items()}
    save_file(weights, vae, {"format": "pt"})
    weights = {f"text_model.{name.removeprefix('text_model.')}": weight for name, weight in load_file(text).items()}
    save_file(weights | {"text_model.embeddings.position_ids": torch.arange(77)[None]}, text, {"format": "pt"})
    ours, theirs = (load_model(str(path), torch.device("cpu"), torch.float32) for path in (folder, tmp_path))
    assert ours.digest() == theirs.digest()
    assert torch.equal(ours.context, theirs.context)


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("model_index.json", ""),
        ("model_index.json", '{"_class_name": "StableDiffusionXLPipeline"}'),
        ("scheduler/scheduler_config.json", '{"beta_schedule": "unheard of"}'),
        ("unet/config.json", '{"block_out_channels": null}'),
        ("text_encoder/config.json", "{}"),
        ("vae/*.safetensors", None),
    ],
)
def test_a_folder_is_refused_by_the_name_of_its_damaged_file(folder, tmp_path, file, damage):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    path = next(tmp_path.glob(file))
    path.write_bytes(path.read_bytes()[:-100] if damage is None else damage.encode())
    part = file.split("/")[0]
    with pytest.raises(ValueError, match=rf"folder {re.escape(str(tmp_path))} (?s:.*){re.escape(part)}"):
        load_model(str(tmp_path), torch.device("cpu"), torch.float32)


def test_devices_and_dtypes_that_are_not_there_are_refused():
    for name in ("cuda:99", "toaster"):
        with pytest.raises(ValueError, match=name):
            choose_device(name)
    with pytest.raises(ValueError, match="float8"):
        Engine.load("tiny", "cpu", "float8")


def open_clip_shapes() -> dict[str, tuple[int, ...]]:
    """The text encoder of SD 2.x as its checkpoints hold it, to the layer whose output is read."""
    layers: dict[str, tuple[int, ...]] = {"attn.in_proj_": (3072, 1024), "attn.out_proj.": (1024, 1024)}
    layers |= {"mlp.c_fc.": (4096, 1024), "mlp.c_proj.": (1024, 4096), "ln_1.": (1024,), "ln_2.": (1024,)}
    block = {f"{name}weight": shape for name, shape in layers.items()}
    block |= {f"{name}bias": shape[:1] for name, shape in layers.items()}
    shapes = {f"transformer.resblocks.{layer}.{name}": shape for layer in range(23) for name, shape in block.items()}
    shapes |= {"token_embedding.weight": (49408, 1024), "positional_embedding": (77, 1024)}
    shapes |= {"ln_final.weight": (1024,), "ln_final.bias": (1024,)}
    return {f"cond_stage_model.model.{name}": shape for name, shape in shapes.items()}


def test_an_sd2_checkpoint_needs_its_whole_text_encoder(models, tmp_path):
    weights = load_file(models["sd21-small"])
    weights |= {name: torch.from_numpy(np.zeros(shape, np.float16)) for name, shape in open_clip_shapes().items()}
    path = tmp_path / "whole.safetensors"
    save_file(weights, path)
    model = load_model(str(path), torch.device("cpu"), torch.float32)
    assert (model.prediction, model.context.shape) == ("v_prediction", (1, 77, 1024))
    replace(path, b"resblocks.2.mlp.c_proj.b", b"resblocks.2.mlp.c_proj.B")
    with pytest.raises(ValueError, match=r"whole.safetensors .*layers.2.mlp.fc2.bias is missing"):
        load_model(str(path), torch.device("cpu"), torch.float32)


@pytest.mark.parametrize("name", ["./owner/model", "models/mistyped", "a/b/c", "owner/--x", "ö/ü", f"owner/{'m' * 97}"])
def test_what_is_a_path_is_never_looked_up_on_the_hub_whose_ids_are_known(tmp_path, monkeypatch, name):
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="does not exist"):
        find(name)
    for hub_id in ("a/b", "Own-er_1/sd.v1-5", f"{'o' * 96}/{'m' * 96}"):
        validate_repo_id(hub_id)
        assert find(hub_id)[0] == "hub"
