"""Policies and lifetime of features in the real host."""

from typing import Any

import pytest
import torch

from .comfy_server import ComfyServer, Graph
from .graphs import TransferGraph, png, relative, result, upload_latent


def policy_graph(comfy: ComfyServer, features: str, windows: int, blended: bool) -> TransferGraph:
    """A content of some windows, and one style, or two of them under a mask."""
    graph = TransferGraph(comfy, content=upload_latent(comfy, f"content{windows}", seed=1, batch=windows), steps=2)
    for node in (graph.invert, graph.capture):
        graph.set(node, features=features)
    if blended:
        other = graph.add("LoadLatent", latent=upload_latent(comfy, "other", seed=5))
        captured = graph.add("StylusCaptureStyle", **graph[graph.capture]["inputs"] | {"latent": [other, 0]})
        styles = {"styles.style_0": [graph.capture, 0], "styles.style_1": [captured, 0]}
        graph.set(graph.sampler, style=[graph.add("StylusBlendStyles", **styles, weights="7, 3"), 0])
        ramp = comfy.put("ramp.png", png(torch.linspace(0, 1, 256).expand(256, -1)))
        graph.set(graph.sampler, mask=[graph.add("LoadImageMask", image=ramp, channel="red"), 0])
    return graph


@pytest.mark.parametrize(("windows", "blended"), [(1, True), (3, False)])
def test_every_policy_gives_the_same_result(comfy: ComfyServer, windows: int, blended: bool) -> None:
    policies = ("cache", "recompute", "auto", "cache_fp16")
    results = {policy: result(comfy, policy_graph(comfy, policy, windows, blended)) for policy in policies}
    for policy, tolerance in (("recompute", 1e-4), ("auto", 1e-4), ("cache_fp16", 2e-3)):
        assert relative(results[policy], results["cache"]) < tolerance, policy


def watched(comfy: ComfyServer, graph: Graph, node: str) -> tuple[int, float]:
    """How many features are in memory, and the sum of the content's, as a watching node reports."""
    shown = comfy.finish(graph).outputs[node]
    return shown["alive"][0], shown["sum"][0]


def test_a_bank_stays_as_it_was_captured_and_is_freed_with_the_nodes_output(comfy: ComfyServer) -> None:
    graph = TransferGraph(comfy, content=upload_latent(comfy, "frozen", seed=12), steps=2)
    graph.set(graph.invert, features="cache")
    node = graph.add("TestFeatureWatch", inversion=[graph.invert, 0], run=0)
    alive, before = watched(comfy, graph, node)
    assert alive > 0
    changes: tuple[dict[str, Any], ...] = ({"alpha": 0.2}, {"gamma": 0.1}, {"temperature": 2.0, "adain": "efdm"})
    for run, dials in enumerate(changes, start=1):
        graph.set(graph.sampler, **dials)
        graph.set(node, run=run)  # else its report would be the cached one
        assert watched(comfy, graph, node)[1] == before
    comfy.forget_outputs()
    empty = Graph()
    assert watched(comfy, empty, empty.add("TestFeatureWatch", run=9)) == (0, 0)


def test_interrupts_leave_no_memory_behind(comfy: ComfyServer) -> None:
    """Each ends an inversion of four windows, eight steps of features in: kept, those of eight would be 270 MB."""
    clip = upload_latent(comfy, "long", seed=14, batch=4)

    def interrupted(i: int) -> None:
        graph = TransferGraph(comfy, clip, clip, steps=40)
        graph.set(graph.invert, windows_per_pass=i)
        stop = (graph.invert, 8), (graph.capture, 8)
        run = comfy.run(graph, on_progress=lambda *at: comfy.interrupt() if at in stop else None)
        assert run.interrupted
        assert len(run.progress) <= 10  # within a step

    interrupted(1)
    interrupted(2)
    before = comfy.resident_memory
    for i in range(3, 11):
        interrupted(i)
    assert comfy.resident_memory - before < 100e6
