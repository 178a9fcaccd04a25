"""Dials of nodes turned to anything, by hand and by other nodes: a finite result, or one line that names the dial."""

import json
import math
import os
import re
from typing import Any

import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stylus_ops import dials
from stylus_ops.dials import DIALS, Dial, Number, dials_of
from tests.fuzz.test_dials import good_values, refused
from tests.unit.signals import noise

from .comfy_server import ComfyServer, Graph
from .graphs import TinyGraph

EXAMPLES = int(os.environ.get("STYLUS_FUZZ_FILES", "300")) // 30
STEERING = (*dials_of(dials.Steering), DIALS["windows_per_pass"])
TURNED: dict[str, tuple[Dial, ...]] = {
    "StylusLoadAudioFolder": dials_of(dials.Album),
    "StylusLoadAudioMel": (*dials_of(dials.Excerpt), *dials_of(dials.Images)),
    "StylusMatchTone": dials_of(dials.Tone),
    "StylusAudioToMel": dials_of(dials.Images),
    "StylusMaskFromSound": dials_of(dials.SoundMask),
    "StylusPhaseDecode": dials_of(dials.Decoding),
    "StylusSchedule": dials_of(dials.Schedule),
    "StylusDDIMInvert": dials_of(dials.Memory),
    "StylusCaptureStyle": (*dials_of(dials.Memory), DIALS["style_windows"]),
    "StylusInjectSampler": STEERING,
    "StylusApplyStyle": STEERING,
}
DEPEND = {"first", "start", "overlap", "low_hz", "high_hz", "sites", "start_percent", "end_percent"}
"""Dials whose range depends on the recording, the model, or another dial."""
WIDGETS = ("INT", "FLOAT", "STRING", "COMBO")
SITES = ["auto", "6-11", "9, 10", "6, 6", "99", "11-6", "six"]
ANYTHING = [-1.0, 1e9, -1e-9, 1e18, math.nan, math.inf, -math.inf, -1, 0, 1 << 40, 2.5, "much", "", None, True]


def values(dial: Dial, wired: bool) -> st.SearchStrategy[Any]:
    """One that the dial has; what comes over a wire passes by the widget's range and kind, one time out of four."""
    good = good_values(dial, SITES).map(lambda value: round(value, 6) if isinstance(value, float) else value)
    return st.one_of(*[good] * 3, st.sampled_from(ANYTHING)) if wired else good


def all_nodes(comfy: ComfyServer) -> tuple[TinyGraph, dict[str, str]]:
    """Each node by its class; the style has two windows. ComfyUI runs what the node that is turned needs."""
    folder = comfy.input / "dials"
    folder.mkdir(exist_ok=True)
    for name in ("1.wav", "2.wav"):
        soundfile.write(folder / name, noise(1.0, 8000)[0].t().numpy(), 8000)
    graph = TinyGraph({"audio": "stylus/style_a.flac", "duration": 1.0}, {"audio": "stylus/song.mp3", "duration": 6.0})
    graph.set(graph.decode, images=[graph.content, 0])
    sound = [graph.content, 2]
    others = (
        graph.add("StylusLoadAudioFolder", folder="dials"),
        graph.add("StylusMatchTone", audio=sound, **{"styles.style_0": sound}),
        graph.add("StylusAudioToMel", audio=sound, preset="tiny-256"),
        graph.add("StylusMaskFromSound", spectrogram=[graph.content, 1]),
        graph.add("StylusApplyStyle", model=graph.shared["model"], **graph.clips),
    )
    own = (graph.schedule, graph.content, graph.invert, graph.capture, graph.sampler, graph.decode)
    return graph, {graph[node]["class_type"]: node for node in (*own, *others)}


RESULTS = {"StylusSchedule": ("StylusDDIMInvert", 0), "StylusApplyStyle": ("StylusApplyStyle", 1)}
"""Where the numbers are that a node makes, if not in its own first output."""


def test_every_number_of_every_node_is_turned(comfy: ComfyServer) -> None:
    numbers = {
        (node, name)
        for node, schema in comfy.nodes.items()
        for inputs in schema["input"].values()
        for name, (kind, *_) in inputs.items()
        if kind in ("INT", "FLOAT")
    }
    assert numbers == {(node, dial.name) for node in TURNED for dial in TURNED[node] if isinstance(dial, Number)}


@pytest.mark.parametrize("node", TURNED)
@given(data=st.data(), wired=st.booleans())
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_dials(comfy: ComfyServer, node: str, data: st.DataObject, wired: bool) -> None:
    turned = data.draw(st.lists(st.sampled_from(TURNED[node]), min_size=1, max_size=3, unique=True))
    given = {dial: data.draw(values(dial, wired), label=dial.name) for dial in turned}
    wrong = [dial.name for dial, value in given.items() if refused(dial.check, value)]
    graph, nodes = all_nodes(comfy)
    for dial, value in given.items():
        supplied = [graph.add("TestValue", json=json.dumps(value)), 0] if wired else value
        graph.set(nodes[node], **{dial.name: supplied})
    made, output = RESULTS.get(node, (node, 0))
    looked = graph.add("TestFinite", value=[nodes[made], output])
    run = comfy.run(graph)
    if run.error:
        named = {*wrong, *(DEPEND & {dial.name for dial in given})}
        assert any(name in run.error for name in named), run.error
        assert len(run.error.strip().splitlines()) == 1, run.error
    else:
        assert not wrong
        assert all(run.outputs[looked]["finite"])


@pytest.mark.parametrize("value", [5, {"a": 1}, None])
def test_a_value_where_a_wire_belongs(comfy: ComfyServer, value: Any) -> None:
    graph, nodes = all_nodes(comfy)
    for kind, node in nodes.items():
        sockets = comfy.nodes[kind]["input"].get("optional", {}).items()
        optional = {name for name, (socket, *_) in sockets if socket not in WIDGETS}
        for name in optional | {name for name, wire in graph[node]["inputs"].items() if isinstance(wire, list)}:
            changed = Graph({**graph, node: {"class_type": kind, "inputs": graph[node]["inputs"] | {name: value}}})
            changed.add("PreviewAny", source=[node, 0])
            if value is None and name in optional:
                comfy.finish(changed)
            else:
                refused = rf"is missing: choose|{name.split('.')[-1]} is {re.escape(repr(value))}: wire"
                assert re.search(refused, comfy.failure(changed)), (kind, name)
