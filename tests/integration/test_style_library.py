"""Save Style and Load Style: the same transfer from a file, and words for what does not fit."""

from pathlib import Path

import pytest
import torch

from .comfy_server import ComfyServer
from .graphs import TransferGraph, saved_latent


def saved_style(comfy: ComfyServer, graph: TransferGraph, name: str) -> Path:
    """Save the graph's captured style; returns its file."""
    text = graph.add("PrimitiveString", value=name)  # known once the graph runs
    save = graph.add("StylusSaveStyle", style=[graph.capture, 0], name=[text, 0])
    run = comfy.finish(graph)
    assert any(text.endswith(" MB") for text in run.words(save))
    del graph[save]
    return comfy.base / "models" / "stylus_styles" / f"{name}.safetensors"


def load_into(graph: TransferGraph, name: str) -> str:
    """Give the sampler the style from a file; returns the loader."""
    load = graph.add("StylusLoadStyle", name=name)
    graph.set(graph.sampler, style=[load, 0])
    return load


@pytest.mark.parametrize("features", ["cache", "recompute"])
def test_a_loaded_style_gives_the_transfer_it_was_saved_from(comfy: ComfyServer, features: str) -> None:
    """Bit for bit where both evaluate the features again; a cached bank rounds otherwise."""
    graph = TransferGraph(comfy)
    graph.set(graph.capture, features=features)
    path = saved_style(comfy, graph, f"strings/{features}")
    assert path.is_file()
    comfy.forget_outputs()
    expected = saved_latent(comfy, comfy.run(graph), graph.saved)

    comfy.forget_outputs()  # the checkpoint is read again: another module with the same weights
    load = load_into(graph, f"strings/{features}.safetensors")
    run = comfy.run(graph)

    assert run.error is None
    assert any("3 steps, sites 6, 7, 8, 9, 10, 11, 1 window" in text for text in run.words(load))
    loaded = saved_latent(comfy, run, graph.saved)
    if features == "recompute":
        assert torch.equal(loaded, expected)
    torch.testing.assert_close(loaded, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


def test_saving_again_is_noticed_by_the_loader(comfy: ComfyServer) -> None:
    graph = TransferGraph(comfy)
    saved_style(comfy, graph, "changing")
    load = load_into(graph, "changing.safetensors")
    assert load in comfy.run(graph).executed
    assert load in comfy.run(graph).cached

    other = TransferGraph(comfy, steps=4)
    saved_style(comfy, other, "changing")

    run = comfy.run(graph)  # an inversion that is kept since the run before can't say so
    words = {graph.invert: "3 for DDIM Invert and 4 for Load Style", graph.sampler: "captured with 4 steps"}
    assert words[run.failed_node or ""] in (run.error or "")


def test_a_style_of_other_steps_is_refused_before_the_inversion(comfy: ComfyServer) -> None:
    saved_style(comfy, TransferGraph(comfy), "of three")
    comfy.forget_outputs()
    graph = TransferGraph(comfy, steps=4)
    load_into(graph, "of three.safetensors")

    run = comfy.run(graph)

    assert run.failed_node == graph.invert
    assert "steps is 4 for DDIM Invert and 3 for Load Style" in (run.error or "")


@pytest.mark.parametrize(("lora", "words"), [(1.0, "other model weights"), (None, "another conditioning")])
def test_a_style_that_does_not_fit_is_refused_in_words(comfy: ComfyServer, lora: float | None, words: str) -> None:
    saved_style(comfy, TransferGraph(comfy), "plain")
    graph = TransferGraph(comfy, lora_strength=lora)
    load_into(graph, "plain.safetensors")
    if lora is None:
        graph.set(graph.prompt[0], seed=5)

    run = comfy.run(graph)

    assert run.failed_node == graph.sampler
    assert words in (run.error or "")


@pytest.mark.parametrize(
    "name",
    [
        "../out",
        "/etc/out",
        "..\\out",
        "",
        "a//b",
        "nul\0",
        "C:/out",
        ".",
        "a new folder/" + "x" * 300,
        "file.txt/cello",
    ],
)
def test_a_name_that_no_file_of_the_folder_can_have_is_refused_before_the_run(comfy: ComfyServer, name: str) -> None:
    folder = comfy.base / "models" / "stylus_styles"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "file.txt").touch()
    graph = TransferGraph(comfy)
    del graph[graph.saved]  # ComfyUI runs what is sound and leaves out the rest
    graph.add("StylusSaveStyle", style=[graph.capture, 0], name=name)
    assert "name " in comfy.refusal(graph)


@pytest.mark.parametrize("name", ["gone.safetensors", "../checkpoints/sd15-small.safetensors", "/etc/passwd"])
def test_only_files_of_the_folder_are_read(comfy: ComfyServer, name: str) -> None:
    graph = TransferGraph(comfy)
    load_into(graph, name)
    assert "not in " in comfy.refusal(graph)


def test_another_kind_of_file_in_the_folder_is_named(comfy: ComfyServer, models: dict[str, Path]) -> None:
    path = comfy.base / "models" / "stylus_styles" / "lora.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(models["sd15-small"].read_bytes()[:2000])
    graph = TransferGraph(comfy)
    load = load_into(graph, "lora.safetensors")
    run = comfy.run(graph)
    path.unlink()
    assert run.failed_node == load
    assert "style 'lora' is damaged" in (run.error or "")
