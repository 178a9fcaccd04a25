"""A transfer through /prompt: what runs, what is cached, and that every way to the result gives the same."""

from pathlib import Path

import pytest
import torch

from .comfy_server import ComfyServer
from .graphs import STEPS, TransferGraph, add_stock_sampler, relative, result, saved_latent, upload_latent


def test_another_alpha_runs_only_the_sampler_and_what_follows(comfy: ComfyServer) -> None:
    graph = TransferGraph(comfy)
    first = result(comfy, graph)
    graph.set(graph.sampler, alpha=0.4)
    run = comfy.finish(graph)
    assert run.executed == [graph.sampler, graph.saved]
    assert run.cached >= {graph.loader, graph.invert, graph.capture}
    assert run.progress == [(graph.sampler, step) for step in range(1, STEPS + 1)]
    assert not torch.equal(saved_latent(comfy, run, graph.saved), first)


def test_a_patch_with_stock_euler_equals_the_sampler(comfy: ComfyServer) -> None:
    """Under guidance, too: with the prompt on both sides its strength must not matter."""
    graph = TransferGraph(comfy)
    patched, guided = graph.add_patched_sampler(), graph.add_patched_sampler(cfg=3.0)
    run = comfy.finish(graph)
    ours, stock, strong = (saved_latent(comfy, run, node) for node in (graph.saved, patched, guided))
    torch.testing.assert_close(stock, ours, rtol=0, atol=1e-5 * float(ours.abs().max()))
    torch.testing.assert_close(strong, ours, rtol=0, atol=1e-4 * float(ours.abs().max()))


def test_stock_sampling_is_untouched_by_a_transfer(comfy: ComfyServer) -> None:
    """The same latent under other file names, so that no run finds the earlier one's result in the cache."""
    latents = []
    for name in ("before", "beside", "after"):
        graph = TransferGraph(comfy)
        if name == "beside":
            graph.set(graph.sampler, alpha=0.6)
            graph.add_patched_sampler()
        source = graph.add("LoadLatent", latent=upload_latent(comfy, name, seed=9))
        stock = add_stock_sampler(graph, graph.model, graph.prompt, source)
        run = comfy.finish(graph)
        assert stock in run.executed
        latents.append(saved_latent(comfy, run, stock))
    assert torch.equal(latents[1], latents[0])
    assert torch.equal(latents[2], latents[0])


def test_windows_are_a_batch(comfy: ComfyServer) -> None:
    graph = TransferGraph(comfy, content=upload_latent(comfy, "three", seed=3, batch=3))
    together = result(comfy, graph)
    for node in (graph.invert, graph.capture, graph.sampler):
        graph.set(node, windows_per_pass=1)
    assert together.shape == (3, 4, 16, 16)
    assert relative(result(comfy, graph), together) < 1e-4


def test_a_lora_is_heard_whether_the_model_or_the_prompt_brings_it(comfy: ComfyServer) -> None:
    plain, with_lora = (result(comfy, TransferGraph(comfy, lora_strength=strength)) for strength in (None, 1.0))
    assert relative(with_lora, plain) > 1e-3
    graph = TransferGraph(comfy)
    hooks = [graph.add("CreateHookLoraModelOnly", lora_name="small.safetensors", strength_model=1.0), 0]
    prompt = graph.add("ConditioningSetProperties", cond_NEW=graph.prompt, set_cond_area="default", hooks=hooks)
    for node in (graph.invert, graph.capture, graph.sampler):
        graph.set(node, conditioning=[prompt, 0])
    assert torch.equal(result(comfy, graph), with_lora)
    graph.add_patched_sampler()
    assert "other hooks" in comfy.failure(graph)
    frame = graph.add("CreateHookKeyframe", strength_mult=0.5, start_percent=0.3)
    graph.set(prompt, hooks=[graph.add("SetHookKeyframes", hooks=hooks, hook_kf=[frame, 0]), 0])
    assert "without Set Hook Keyframes" in comfy.failure(graph)


def test_a_checkpoint_loaded_again_is_the_same_model(comfy: ComfyServer, models: dict[str, Path]) -> None:
    """ComfyUI may drop a loaded checkpoint and keep an inversion; the sampler then gets the weights in another module."""
    again = comfy.base / "models" / "checkpoints" / "again.safetensors"
    again.parent.mkdir(parents=True, exist_ok=True)
    again.symlink_to(models["sd15-small"])
    graph = TransferGraph(comfy)
    expected = result(comfy, graph)
    graph.set(graph.sampler, model=[graph.add("CheckpointLoaderSimple", ckpt_name=again.name), 0])
    run = comfy.finish(graph)
    assert graph.sampler in run.executed
    assert torch.equal(saved_latent(comfy, run, graph.saved), expected)


def test_a_compiled_model_gives_the_same_result(comfy: ComfyServer) -> None:
    graph = TransferGraph(comfy)
    patched = graph.add_patched_sampler()
    expected = result(comfy, graph)
    graph.set(graph.euler, model=[graph.add("TorchCompileModel", model=[graph.patch, 0], backend="inductor"), 0])
    early = graph.add("TorchCompileModel", model=graph.model, backend="inductor")
    for node in (graph.invert, graph.capture, graph.sampler):
        graph.set(node, model=[early, 0])
    run = comfy.finish(graph)
    assert {graph.invert, graph.capture, graph.sampler, graph.euler} <= {*run.executed}
    for node in (graph.saved, patched):
        assert relative(saved_latent(comfy, run, node), expected) < 1e-3


@pytest.mark.parametrize(("checkpoint", "context", "pooled"), [("sd21-small", 1024, 0), ("sdxl-small", 2048, 1280)])
def test_other_families(comfy: ComfyServer, checkpoint: str, context: int, pooled: int) -> None:
    graph = TransferGraph(comfy, checkpoint=checkpoint, context=context)
    graph.set(str(graph.prompt[0]), pooled=pooled)
    assert result(comfy, graph).isfinite().all()
