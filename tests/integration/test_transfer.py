"""A transfer through /prompt: what runs, what is cached, and that every way to the result gives the same."""

from pathlib import Path

import pytest
import torch

from .comfy_server import ComfyServer
from .graphs import STEPS, TransferGraph, saved_latent, upload_latent


def test_another_alpha_runs_only_the_sampler_and_what_follows(comfy: ComfyServer) -> None:
    graph = TransferGraph(comfy)
    first = comfy.run(graph)
    assert first.error is None

    graph.set(graph.sampler, alpha=0.4)
    second = comfy.run(graph)

    assert second.executed == [graph.sampler, graph.saved]
    assert second.cached >= {graph.loader, graph.invert, graph.capture}
    assert second.steps(graph.sampler) == list(range(1, STEPS + 1))
    assert not torch.equal(saved_latent(comfy, first, graph.saved), saved_latent(comfy, second, graph.saved))


def test_patch_with_stock_euler_equals_the_sampler(comfy: ComfyServer) -> None:
    graph = TransferGraph(comfy)
    patched = graph.add_patched_sampler()
    run = comfy.finish(graph)
    ours, stock = (saved_latent(comfy, run, node) for node in (graph.saved, patched))
    torch.testing.assert_close(stock, ours, rtol=0, atol=1e-5 * float(ours.abs().max()))


def test_guidance_uses_the_same_features_for_every_prompt(comfy: ComfyServer) -> None:
    """With the prompt on both sides of guidance its strength must not matter."""
    graph = TransferGraph(comfy)
    plain = graph.add_patched_sampler()
    guided = graph.add_patched_sampler(cfg=3.0)
    run = comfy.finish(graph)
    expected, actual = (saved_latent(comfy, run, node) for node in (plain, guided))
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


def test_stock_sampling_is_untouched_by_a_transfer(comfy: ComfyServer) -> None:
    """The same latent under other file names, so that no run finds the earlier one's result in the cache."""
    latents = {}
    for name in ("before", "beside", "after"):
        graph = TransferGraph(comfy)
        if name == "beside":
            graph.set(graph.sampler, alpha=0.6)
            graph.add_patched_sampler()
        stock = graph.add_stock_sampler(upload_latent(comfy, name, seed=9))
        run = comfy.run(graph)
        assert stock in run.executed
        latents[name] = saved_latent(comfy, run, stock)
    assert torch.equal(latents["beside"], latents["before"])
    assert torch.equal(latents["after"], latents["before"])


def test_windows_are_a_batch(comfy: ComfyServer) -> None:
    """Three windows at once and one at a time agree."""
    windows = upload_latent(comfy, "three", seed=3, batch=3)
    graph = TransferGraph(comfy, content=windows)
    together = saved_latent(comfy, comfy.run(graph), graph.saved)
    for node in (graph.invert, graph.capture, graph.sampler):
        graph.set(node, windows_per_pass=1)
    apart = saved_latent(comfy, comfy.run(graph), graph.saved)
    assert together.shape == (3, 4, 16, 16)
    torch.testing.assert_close(apart, together, rtol=0, atol=1e-4 * float(together.abs().max()))


def test_a_lora_in_front_of_the_model_is_heard(comfy: ComfyServer) -> None:
    plain, with_lora = TransferGraph(comfy), TransferGraph(comfy, lora_strength=1.0)
    results = []
    for graph in (plain, with_lora):
        run = comfy.finish(graph)
        results.append(saved_latent(comfy, run, graph.saved))
    assert (results[1] - results[0]).norm() > 1e-3 * results[0].norm()


def test_a_checkpoint_loaded_again_is_the_same_model(comfy: ComfyServer, models: dict[str, Path]) -> None:
    """ComfyUI may drop a loaded checkpoint and keep an inversion; the sampler then gets the weights in another module."""
    again = comfy.base / "models" / "checkpoints" / "again.safetensors"
    again.parent.mkdir(parents=True, exist_ok=True)
    again.symlink_to(models["sd15-small"])
    graph = TransferGraph(comfy)
    expected = saved_latent(comfy, comfy.run(graph), graph.saved)
    graph.set(graph.sampler, model=[graph.add("CheckpointLoaderSimple", ckpt_name=again.name), 0])
    run = comfy.finish(graph)
    assert graph.sampler in run.executed
    assert torch.equal(saved_latent(comfy, run, graph.saved), expected)


def test_a_compiled_model_gives_the_same_result(comfy: ComfyServer) -> None:
    """Compiled in front of every node, and after the patch."""
    graph = TransferGraph(comfy)
    patched = graph.add_patched_sampler()
    expected = saved_latent(comfy, comfy.run(graph), graph.saved)
    late = graph.add("TorchCompileModel", model=[graph.patch, 0], backend="inductor")
    graph.set(graph.euler, model=[late, 0])
    early = graph.add("TorchCompileModel", model=graph.model, backend="inductor")
    for node in (graph.invert, graph.capture, graph.sampler):
        graph.set(node, model=[early, 0])
    run = comfy.finish(graph)
    assert {graph.invert, graph.capture, graph.sampler, graph.euler} <= {*run.executed}
    for node in (graph.saved, patched):
        result = saved_latent(comfy, run, node)
        assert (result - expected).norm() < 1e-3 * expected.norm()


@pytest.mark.parametrize(("checkpoint", "context", "pooled"), [("sd21-small", 1024, 0), ("sdxl-small", 2048, 1280)])
def test_other_families(comfy: ComfyServer, checkpoint: str, context: int, pooled: int) -> None:
    """SD 2.x predicting velocity, and SDXL with its pooled conditioning."""
    graph = TransferGraph(comfy, checkpoint=checkpoint, context=context)
    graph.set(str(graph.prompt[0]), pooled=pooled)
    run = comfy.finish(graph)
    assert saved_latent(comfy, run, graph.saved).isfinite().all()


def test_an_interrupt_ends_an_inversion_within_a_step(comfy: ComfyServer) -> None:
    graph = TransferGraph(comfy, steps=40)

    def interrupt_third_step(node: str, value: int, _: int) -> None:
        if value == 3:
            comfy.interrupt()

    run = comfy.run(graph, on_progress=interrupt_third_step)
    assert run.interrupted
    assert len(run.progress) <= 5
    assert run.progress[0][0] in (graph.invert, graph.capture)
    assert comfy.run(TransferGraph(comfy)).error is None
