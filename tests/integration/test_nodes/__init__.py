"""Nodes that only the integration tests use, to make inputs that stock nodes can't."""

import gc
import weakref
from collections.abc import Iterator
from json import loads
from typing import Any

import torch
from comfy_api.latest import ComfyExtension, io


def schema(name: str, inputs: list[io.Input], outputs: list[io.Output]) -> io.Schema:
    """Of a node that ends a graph where it has no outputs."""
    return io.Schema(
        node_id=f"Test{name}", category="testing", inputs=inputs, outputs=outputs, is_output_node=not outputs
    )


class RandomConditioning(io.ComfyNode):
    """What a text encoder of any width would give."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        inputs = [io.Int.Input("width", max=16384), io.Int.Input("seed"), io.Int.Input("pooled", default=0)]
        return schema("RandomConditioning", inputs, [io.Conditioning.Output()])

    @classmethod
    def execute(cls, width: int, seed: int, pooled: int) -> io.NodeOutput:
        generator = torch.Generator().manual_seed(seed)
        extra = {"pooled_output": torch.randn(1, pooled, generator=generator)} if pooled else {}
        return io.NodeOutput([[torch.randn(1, 77, width, generator=generator), extra]])


class NoiseAudio(io.ComfyNode):
    """Clips of any length, rate and number of channels; of loudness 0 they are silent."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        inputs = [
            io.Int.Input("samples", max=2**31),
            io.Int.Input("channels", default=1),
            io.Int.Input("sample_rate", default=44100, max=192000),
            io.Int.Input("batch", default=1),
            io.Float.Input("loudness", default=0.1),
        ]
        return schema("Audio", inputs, [io.Audio.Output()])

    @classmethod
    def execute(cls, samples: int, channels: int, sample_rate: int, batch: int, loudness: float) -> io.NodeOutput:
        waveform = torch.randn(batch, channels, samples, generator=torch.Generator().manual_seed(0))
        return io.NodeOutput({"waveform": loudness * waveform, "sample_rate": sample_rate})


class Wrapped(io.ComfyNode):
    """A MODEL with a wrapper as other packs put around its evaluations."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema("Wrapped", [io.Model.Input("model")], [io.Model.Output()])

    @classmethod
    def execute(cls, model: Any) -> io.NodeOutput:
        model = model.clone()
        model.add_wrapper("apply_model", lambda executor, *args, **kwargs: executor(*args, **kwargs))
        return io.NodeOutput(model)


SEEN: list[weakref.ref[torch.Tensor]] = []


class FeatureWatch(io.ComfyNode):
    """How many of the features that it has ever been shown are still in memory, and the sum of those it is shown now."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        inputs = [io.Custom("STYLUS_INVERSION").Input("inversion", optional=True), io.Int.Input("run")]
        return schema("FeatureWatch", inputs, [])

    @classmethod
    def execute(cls, run: int, inversion: Any = None) -> io.NodeOutput:
        shown = list(tensors(inversion.bank if inversion else None))
        SEEN.extend(map(weakref.ref, shown))
        gc.collect()
        alive = sum(features() is not None for features in SEEN)
        return io.NodeOutput(ui={"alive": [alive], "sum": [sum(float(features.double().sum()) for features in shown)]})


class AnyValue(io.ComfyNode):
    """What a text in JSON stands for, NaN and infinity included, for any input."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema("Value", [io.String.Input("json")], [io.AnyType.Output()])

    @classmethod
    def execute(cls, json: str) -> io.NodeOutput:
        return io.NodeOutput(loads(json))


class Finite(io.ComfyNode):
    """Whether every tensor of a value is finite."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema("Finite", [io.AnyType.Input("value")], [])

    @classmethod
    def execute(cls, value: Any) -> io.NodeOutput:
        found = [bool(tensor.isfinite().all()) for tensor in tensors(value)]
        return io.NodeOutput(ui={"finite": [bool(found) and all(found)]})


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """Those in nested dicts, lists and tuples."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (dict, list, tuple)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from tensors(part)


class TestNodes(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [RandomConditioning, NoiseAudio, FeatureWatch, AnyValue, Finite, Wrapped]


async def comfy_entrypoint() -> TestNodes:
    return TestNodes()
