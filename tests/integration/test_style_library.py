"""Save Style and Load Style: the same transfer from a file, and words for what does not fit."""

import pytest

from .comfy_server import ComfyServer
from .graphs import TransferGraph, relative, result, saved_latent


def save_style(comfy: ComfyServer, graph: TransferGraph, name: str) -> None:
    """Save the graph's captured style."""
    text = graph.add("PrimitiveString", value=name)  # known once the graph runs
    save = graph.add("StylusSaveStyle", style=[graph.capture, 0], name=[text, 0])
    assert any(text.endswith(" MB") for text in comfy.finish(graph).words(save))
    del graph[save]


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
    save_style(comfy, graph, f"strings/{features}")
    comfy.forget_outputs()
    expected = result(comfy, graph)

    comfy.forget_outputs()  # the checkpoint is read again: another module with the same weights
    load = load_into(graph, f"strings/{features}.safetensors")
    run = comfy.finish(graph)
    assert any("3 steps, sites 6, 7, 8, 9, 10, 11, 1 window" in text for text in run.words(load))
    difference = relative(saved_latent(comfy, run, graph.saved), expected)
    assert difference == 0 if features == "recompute" else difference < 1e-4


def test_saving_again_is_noticed_by_the_loader(comfy: ComfyServer) -> None:
    graph = TransferGraph(comfy)
    save_style(comfy, graph, "changing")
    load = load_into(graph, "changing.safetensors")
    assert load in comfy.run(graph).executed
    assert load in comfy.run(graph).cached
    save_style(comfy, TransferGraph(comfy, steps=4), "changing")
    assert "steps" in comfy.failure(graph)
    comfy.forget_outputs()
    run = comfy.run(graph)
    assert run.failed_node == graph.invert
    assert "steps is 3 for DDIM Invert and 4 for Load Style" in run.error


@pytest.mark.parametrize(("lora", "words"), [(1.0, "other model weights"), (None, "another conditioning")])
def test_a_style_that_does_not_fit_is_refused_in_words(comfy: ComfyServer, lora: float | None, words: str) -> None:
    save_style(comfy, TransferGraph(comfy), "plain")
    graph = TransferGraph(comfy, lora_strength=lora)
    load_into(graph, "plain.safetensors")
    if lora is None:
        graph.set(graph.prompt[0], seed=5)
    run = comfy.run(graph)
    assert run.failed_node == graph.sampler
    assert words in run.error


@pytest.mark.parametrize(
    "name",
    ["../out", "/etc/out", "..\\out", "", "a//b", "nul\0", "C:/out", ".", "new folder/" + "x" * 300, "file.txt/cello"],
)
def test_a_name_that_no_file_of_the_folder_can_have_is_refused_before_the_run(comfy: ComfyServer, name: str) -> None:
    folder = comfy.base / "models" / "stylus_styles"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "file.txt").touch()
    graph = TransferGraph(comfy)
    del graph[graph.saved]  # ComfyUI runs what is sound and leaves out the rest
    graph.add("StylusSaveStyle", style=[graph.capture, 0], name=name)
    assert "name " in comfy.failure(graph, refused=True)


@pytest.mark.parametrize("name", ["gone.safetensors", "../checkpoints/sd15-small.safetensors", "/etc/passwd"])
def test_only_files_of_the_folder_are_read(comfy: ComfyServer, name: str) -> None:
    graph = TransferGraph(comfy)
    load_into(graph, name)
    assert "not in " in comfy.failure(graph, refused=True)
