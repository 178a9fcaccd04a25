"""Nodes that only the integration tests use, to make inputs that stock nodes can't."""

import gc
import weakref
from collections.abc import Iterator
from json import loads
from typing import Any

import torch
from comfy_api.latest import ComfyExtension, io


class RandomConditioning(io.ComfyNode):
    """What a text encoder of any width would give."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TestRandomConditioning",
            category="testing",
            inputs=[io.Int.Input("width", max=16384), io.Int.Input("seed"), io.Int.Input("pooled", default=0)],
            outputs=[io.Conditioning.Output()],
        )

    @classmethod
    def execute(cls, width: int, seed: int, pooled: int) -> io.NodeOutput:
        generator = torch.Generator().manual_seed(seed)
        extra = {"pooled_output": torch.randn(1, pooled, generator=generator)} if pooled else {}
        return io.NodeOutput([[torch.randn(1, 77, width, generator=generator), extra]])


class SpoiltAudio(io.ComfyNode):
    """Audio that no file holds: silence, NaN, one sample, many channels, any rate."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TestAudio",
            category="testing",
            inputs=[
                io.Combo.Input("content", options=["noise", "silence", "nan", "infinity"], default="noise"),
                io.Int.Input("samples", max=2**31),
                io.Int.Input("channels", default=1),
                io.Int.Input("sample_rate", default=44100, max=192000),
                io.Int.Input("batch", default=1),
            ],
            outputs=[io.Audio.Output()],
        )

    @classmethod
    def execute(cls, content: str, samples: int, channels: int, sample_rate: int, batch: int = 1) -> io.NodeOutput:
        shape = (batch, channels, samples)
        if content == "noise":
            waveform = 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(0))
        else:
            waveform = torch.zeros(shape)
            waveform[..., samples // 2 :] = {"silence": 0.0, "nan": torch.nan, "infinity": torch.inf}[content]
        return io.NodeOutput({"waveform": waveform, "sample_rate": sample_rate})


SEEN: list[weakref.ref[torch.Tensor]] = []


class FeatureWatch(io.ComfyNode):
    """How many of the features that it has ever been shown are still in memory, and the sum of those it is shown now."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TestFeatureWatch",
            category="testing",
            inputs=[io.Custom("STYLUS_INVERSION").Input("inversion", optional=True), io.Int.Input("run")],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, run: int, inversion: Any = None) -> io.NodeOutput:
        bank = inversion.bank or () if inversion else ()
        shown = [features for step in bank for features in step]
        SEEN.extend(map(weakref.ref, shown))
        gc.collect()
        alive = sum(features() is not None for features in SEEN)
        return io.NodeOutput(ui={"alive": [alive], "sum": [sum(float(features.double().sum()) for features in shown)]})


class AnyValue(io.ComfyNode):
    """What a text in JSON stands for, NaN and infinity included, for any input."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TestValue",
            category="testing",
            inputs=[io.String.Input("json")],
            outputs=[io.AnyType.Output()],
        )

    @classmethod
    def execute(cls, json: str) -> io.NodeOutput:
        return io.NodeOutput(loads(json))


class Finite(io.ComfyNode):
    """Whether every tensor of a value is finite."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TestFinite", category="testing", inputs=[io.AnyType.Input("value")], is_output_node=True
        )

    @classmethod
    def execute(cls, value: Any) -> io.NodeOutput:
        tensors = list(_tensors(value))
        return io.NodeOutput(ui={"finite": [bool(tensors) and all(bool(t.isfinite().all()) for t in tensors)]})


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (dict, list, tuple)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _tensors(part)


class TestNodes(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [RandomConditioning, SpoiltAudio, FeatureWatch, AnyValue, Finite]


async def comfy_entrypoint() -> TestNodes:
    return TestNodes()
