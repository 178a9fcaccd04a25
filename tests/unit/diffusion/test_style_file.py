"""Styles kept in files: the same transfer after reading, words for whatever else is in the file."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from stylus_ops.diffusion.features import Style, blend
from stylus_ops.diffusion.style_file import read_style, write_style
from tests.small_net import CONTENT, SIGMAS, STYLE_A, STYLE_B, SmallNet, record, transfer

WEIGHTS = (("conv", (4, 8), (0.1, -1 / 3)), None, "lora")
CONDITIONING: list[Any] = [
    [torch.linspace(0, 1, 8).reshape(1, 2, 4), {"pooled_output": torch.ones(1, 4), "strength": 1.0}]
]


@pytest.fixture(scope="module")
def style() -> Style:
    """One clip with features, which the file leaves out, and one without."""
    net = SmallNet()
    clips = [record(net, STYLE_A, valid_width=7), record(net, STYLE_B, features="recompute")]
    known = [clip._replace(weights=WEIGHTS, conditioning=CONDITIONING) for clip in clips]
    return blend([Style((clip,), (1.0,)) for clip in known], [2, 1])


@pytest.fixture
def path(style: Style, tmp_path: Path) -> Path:
    path = tmp_path / "choir.safetensors"
    write_style(path, style, "choir.flac")
    return path


def test_a_style_from_a_file_gives_the_same_transfer_to_the_bit(style, path):
    net, (read, recording) = SmallNet(), read_style(path)
    content, bare = record(net, CONTENT), style._replace(captures=[c._replace(bank=None) for c in style.captures])
    assert torch.equal(transfer(net, content, read), transfer(net, content, bare))
    assert (recording, read.weights) == ("choir.flac", style.weights)
    for mine, theirs in zip(read.captures, style.captures, strict=True):
        assert (mine.sites, mine.valid_width, mine.weights) == (theirs.sites, theirs.valid_width, WEIGHTS)
        assert mine.bank is None
        conditioning: Any = mine.conditioning
        ((tensor, extra),) = conditioning
        assert torch.equal(tensor, CONDITIONING[0][0])
        assert torch.equal(extra.pop("pooled_output"), torch.ones(1, 4))
        assert extra == {"strength": 1.0}


def test_what_is_not_plain_is_refused_and_leaves_no_file(style, tmp_path):
    (clip, *_), path = style.captures, tmp_path / "style.safetensors"
    for name in ("conditioning", "weights"):
        with pytest.raises(ValueError, match=name):
            write_style(path, Style((clip._replace(**{name: [object()]}),), (1.0,)), "")
    assert not list(tmp_path.iterdir())


@settings(deadline=None, derandomize=True, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.floats(0, 0.999), flip=st.integers(0, 255))
def test_a_damaged_file_is_refused_in_words_or_read(path, cut, flip):
    """Cut short it is always refused; with one byte changed it may still be sound."""
    content = path.read_bytes()
    damaged = path.with_name("damaged.safetensors")
    damaged.write_bytes(content[: int(len(content) * cut)])
    with pytest.raises(ValueError, match=r"style 'damaged' is (damaged|another kind)"):
        read_style(damaged)
    place = int(len(content) * cut)
    damaged.write_bytes(content[:place] + bytes([flip]) + content[place + 1 :])
    try:
        read_style(damaged)
    except ValueError as error:
        assert str(error).startswith("style 'damaged' is ")  # noqa: PT017


def metadata(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        return file.metadata()


def rewritten(path: Path, change: dict[str, str], **tensors: Tensor) -> Path:
    save_file({**load_file(path), **tensors}, path, {**metadata(path), **change})
    return path


@pytest.mark.parametrize(
    ("change", "tensors", "words"),
    [
        ({}, {"0.sigmas": SIGMAS.flip(0)}, "damaged"),
        ({}, {"0.trajectory": torch.zeros(4, 3, 4, 4, 9)}, "damaged"),
        ({}, {"0.noise": torch.full((3, 4, 4, 10), torch.nan, dtype=torch.float64)}, "damaged"),
        ({}, {"0.noise": torch.zeros(3, 4, 4, 10, dtype=torch.int64)}, "damaged"),
        ({}, {f"empty {number}": torch.zeros(0) for number in range(5000)}, "damaged"),
        ({}, {"0.noise": torch.zeros(3, 4, 4, 10).to(torch.float8_e4m3fn)}, "damaged"),
        ({"clips": "[]"}, {}, "damaged"),
        ({"clips": "[" * 100_000}, {}, "damaged"),
        ({"format": "stylus style 9"}, {}, "of a later version"),
        ({"format": "lora"}, {}, "another kind of file"),
    ],
)
def test_a_file_that_contradicts_itself_or_is_of_another_format_is_refused(path, change, tensors, words):
    with pytest.raises(ValueError, match=f"style 'choir' is {words}"):
        read_style(rewritten(path, change, **tensors))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("share", -1.0),
        ("share", 10**400),
        ("valid_width", 99),
        ("sites", []),
        ("conditioning", {"list": [{"list": [{"value": 1.0}, {"dict": {}}]}]}),
        ("weights", {"tensor": "9.gone"}),
    ],
)
def test_a_clip_that_is_none_is_refused(path, key, value):
    clips = json.loads(metadata(path)["clips"])
    clips[0][key] = value
    with pytest.raises(ValueError, match="style 'choir' is damaged"):
        read_style(rewritten(path, {"clips": json.dumps(clips)}))


def test_more_windows_than_a_transfer_has_time_for_are_refused(style, path):
    many = style.captures[0]._replace(
        noise=torch.zeros(129, 4, 4, 10), trajectory=torch.zeros(len(SIGMAS), 129, 4, 4, 10)
    )
    with pytest.raises(ValueError, match="style 'choir' has 129 windows"):
        write_style(path, Style((many,), (1.0,)), "")
    tensors = {"0.noise": many.noise, "0.trajectory": many.trajectory}
    with pytest.raises(ValueError, match=r"style 'choir' has 1\d\d windows"):
        read_style(rewritten(path, {}, **tensors))


def test_a_pickle_is_never_opened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return open, (str(tmp_path / "exploded"), "w")

    path = tmp_path / "bomb.safetensors"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="damaged"):
        read_style(path)
    assert not (tmp_path / "exploded").exists()
