"""Policies and lifetime of features in the real host."""

import re
from typing import Any

import pytest
import torch

from .comfy_server import ComfyServer, Graph
from .graphs import TransferGraph, png, saved_latent, upload_latent


def watch(graph: TransferGraph, run: int = 0) -> str:
    """A node that reports on the features of the content; a new `run` lets it report again."""
    return graph.add("TestFeatureWatch", inversion=[graph.invert, 0], run=run)


def policy_graph(comfy: ComfyServer, features: str, windows: int, styles: int, masked: bool) -> TransferGraph:
    content = upload_latent(comfy, f"content{windows}", seed=1, batch=windows)
    graph = TransferGraph(comfy, content=content, steps=2)
    if styles == 2:
        other = graph.add("LoadLatent", latent=upload_latent(comfy, "other", seed=5))
        captured = graph.add("StylusCaptureStyle", **graph[graph.capture]["inputs"] | {"latent": [other, 0]})
        graph.set(captured, features=features)
        blended = graph.add(
            "StylusBlendStyles",
            **{"styles.style_0": [graph.capture, 0], "styles.style_1": [captured, 0]},
            weights="7, 3",
        )
        graph.set(graph.sampler, style=[blended, 0])
    if masked:
        ramp = comfy.upload("ramp.png", png(torch.linspace(0, 1, 256).expand(256, -1)))
        graph.set(graph.sampler, mask=[graph.add("LoadImageMask", image=ramp, channel="red"), 0])
    for node in (graph.invert, graph.capture):
        graph.set(node, features=features)
    return graph


@pytest.mark.parametrize(("windows", "styles", "masked"), [(1, 1, False), (1, 2, True), (3, 1, True), (3, 2, False)])
def test_every_policy_gives_the_same_result(comfy: ComfyServer, windows: int, styles: int, masked: bool) -> None:
    results = {}
    for features in ("cache", "recompute", "auto", "cache_fp16"):
        graph = policy_graph(comfy, features, windows, styles, masked)
        run = comfy.run(graph)
        assert run.error is None
        results[features] = saved_latent(comfy, run, graph.saved)
    for features, tolerance in (("recompute", 1e-4), ("auto", 1e-4), ("cache_fp16", 2e-3)):
        difference = (results[features] - results["cache"]).norm() / results["cache"].norm()
        assert difference < tolerance, features


def test_auto_says_what_it_chose_and_why(comfy: ComfyServer) -> None:
    graph = TransferGraph(comfy, content=upload_latent(comfy, "auto", seed=11), steps=2)
    graph.set(graph.invert, features="auto")
    before = len(comfy.log)
    assert comfy.run(graph).error is None
    said = comfy.log[before:]
    assert "Stylus: features cache" in said
    assert "memory" in said.partition("Stylus: features cache")[2].partition("\n")[0]
    assert "MB of features" in said


@pytest.mark.parametrize(
    ("model", "context", "pooled"),
    [("sd15-small", 768, 0), ("sd21-small", 1024, 0), ("sdxl-small", 2048, 1280), ("tiny", 0, 0)],
)
def test_size_of_a_bank_is_foretold(comfy: ComfyServer, model: str, context: int, pooled: int) -> None:
    """The log of `auto` says what a bank needs, and then how large it became."""
    graph = Graph()
    if model == "tiny":
        loader = prompt = graph.add("StylusLoadTiny")
    else:
        loader = graph.add("CheckpointLoaderSimple", ckpt_name=f"{model}.safetensors")
        prompt = graph.add("TestRandomConditioning", width=context, seed=0, pooled=pooled)
    clip = graph.add("LoadLatent", latent=upload_latent(comfy, "odd", seed=3, batch=2, width=60, height=36))
    inputs = {"model": [loader, 0], "conditioning": [prompt, 1 if model == "tiny" else 0], "latent": [clip, 0]}
    inverted = graph.add("StylusDDIMInvert", schedule=[graph.add("StylusSchedule", steps=2), 0], **inputs)
    graph.add("TestFeatureWatch", inversion=[inverted, 0], run=0)
    before = len(comfy.log)
    assert comfy.run(graph).error is None
    said = re.search(r"a bank needs ([\d.]+) MB.*?recorded ([\d.]+) MB", comfy.log[before:], re.DOTALL)
    assert said is not None
    needed, recorded = map(float, said.groups())
    assert needed == recorded > 1


def outputs(comfy: ComfyServer, graph: TransferGraph, node: str) -> dict[str, Any]:
    run = comfy.run(graph)
    assert run.error is None
    return {name: value[0] for name, value in run.outputs[node].items()}


def test_a_bank_stays_as_it_was_captured(comfy: ComfyServer) -> None:
    graph = TransferGraph(comfy, content=upload_latent(comfy, "frozen", seed=12), steps=2)
    graph.set(graph.invert, features="cache")
    node = watch(graph)
    before = outputs(comfy, graph, node)["sum"]
    changes: tuple[dict[str, Any], ...] = ({"alpha": 0.2}, {"gamma": 0.1}, {"temperature": 2.0, "adain": "efdm"})
    for i, dials in enumerate(changes, start=1):
        graph.set(graph.sampler, **dials)
        graph.set(node, run=i)
        assert outputs(comfy, graph, node)["sum"] == before


def test_features_are_freed_with_the_nodes_output(comfy: ComfyServer) -> None:
    graph = TransferGraph(comfy, content=upload_latent(comfy, "freed", seed=13), steps=2)
    graph.set(graph.invert, features="cache")
    graph.add_patched_sampler()
    node = watch(graph)
    assert outputs(comfy, graph, node)["alive"] > 0

    comfy.forget_outputs()
    empty = TransferGraph(comfy)
    empty.clear()
    node = empty.add("TestFeatureWatch", run=1)
    assert outputs(comfy, empty, node)["alive"] == 0


def test_twenty_interrupts_leave_nothing_behind(comfy: ComfyServer) -> None:
    """Every other run ends in an inversion of four windows, eight steps of features in; the rest while sampling."""
    finished = TransferGraph(comfy)
    stock = finished.add_stock_sampler(upload_latent(comfy, "untouched", seed=9))
    untouched = saved_latent(comfy, comfy.run(finished), stock)

    content, style = (upload_latent(comfy, f"long_{name}", seed=14, batch=4) for name in ("content", "style"))

    def interrupted(i: int) -> None:
        graph = TransferGraph(comfy, content, style, steps=40) if i % 2 else TransferGraph(comfy)
        graph.set(graph.sampler, alpha=0.5 + i / 100)
        stops = {(graph.invert, 8), (graph.capture, 8)} if i % 2 else {(graph.sampler, 1)}
        run = comfy.run(graph, on_progress=lambda node, value, _: comfy.interrupt() if (node, value) in stops else None)
        assert run.interrupted

    for i in range(4):
        interrupted(i)
    before = comfy.resident_memory
    for i in range(4, 20):
        interrupted(i)
    assert comfy.resident_memory - before < 100e6  # kept, the eight inversions are 270 MB

    comfy.forget_outputs()
    assert torch.equal(saved_latent(comfy, comfy.run(finished), stock), untouched)
