"""Policies and lifetime of features in the real host."""

from typing import Any

import pytest
import torch

from .comfy_server import ComfyServer
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


@pytest.mark.parametrize(("windows", "styles", "masked"), [(1, 2, True), (3, 1, False)])
def test_every_policy_gives_the_same_result(comfy: ComfyServer, windows: int, styles: int, masked: bool) -> None:
    results = {}
    for features in ("cache", "recompute", "auto", "cache_fp16"):
        graph = policy_graph(comfy, features, windows, styles, masked)
        results[features] = saved_latent(comfy, comfy.finish(graph), graph.saved)
    for features, tolerance in (("recompute", 1e-4), ("auto", 1e-4), ("cache_fp16", 2e-3)):
        difference = (results[features] - results["cache"]).norm() / results["cache"].norm()
        assert difference < tolerance, features


def outputs(comfy: ComfyServer, graph: TransferGraph, node: str) -> dict[str, Any]:
    run = comfy.finish(graph)
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
    node = watch(graph)
    assert outputs(comfy, graph, node)["alive"] > 0

    comfy.forget_outputs()
    empty = TransferGraph(comfy)
    empty.clear()
    node = empty.add("TestFeatureWatch", run=1)
    assert outputs(comfy, empty, node)["alive"] == 0


def test_interrupts_leave_no_memory_behind(comfy: ComfyServer) -> None:
    """Each ends an inversion of four windows, eight steps of features in: kept, those of eight would be 270 MB."""
    clip = upload_latent(comfy, "long", seed=14, batch=4)

    def interrupted(i: int) -> None:
        graph = TransferGraph(comfy, clip, clip, steps=40)
        graph.set(graph.invert, windows_per_pass=i)
        stop = (graph.invert, 8), (graph.capture, 8)
        run = comfy.run(graph, on_progress=lambda node, value, _: comfy.interrupt() if (node, value) in stop else None)
        assert run.interrupted

    interrupted(1)
    interrupted(2)
    before = comfy.resident_memory
    for i in range(3, 11):
        interrupted(i)
    assert comfy.resident_memory - before < 100e6
