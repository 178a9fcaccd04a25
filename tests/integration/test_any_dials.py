"""Dials of nodes turned to anything, by hand and by other nodes: a finite result, or one line that names the dial."""

import json
import math
import os
import re
from collections.abc import Callable
from typing import Any

import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stylus_ops.dials import (
    DIALS,
    Album,
    Choice,
    Decoding,
    Dial,
    Excerpt,
    Images,
    Memory,
    Number,
    Schedule,
    SoundMask,
    Steering,
    Tone,
    Whole,
    dials_of,
)
from tests.unit.signals import noise

from .comfy_server import ComfyServer, Graph, PromptRefused, words
from .graphs import upload_latent

EXAMPLES = int(os.environ.get("STYLUS_FUZZ_FILES", "300")) // 30
SLOW = {"steps": 4, "corrections": 3, "phase_iters": 4}
"""What takes time is turned no further than this; as far as it goes it is only refused or not."""
OF_SOUND: dict[str, tuple[Dial, ...]] = {
    "StylusLoadAudioFolder": dials_of(Album),
    "StylusLoadAudioMel": (*dials_of(Excerpt), *dials_of(Images)),
    "StylusMatchTone": dials_of(Tone),
    "StylusAudioToMel": dials_of(Images),
    "StylusMaskFromSound": dials_of(SoundMask),
    "StylusPhaseDecode": dials_of(Decoding),
}
OF_A_MODEL: dict[str, tuple[Dial, ...]] = {
    "StylusSchedule": dials_of(Schedule),
    "StylusDDIMInvert": dials_of(Memory),
    "StylusCaptureStyle": (*dials_of(Memory), DIALS["style_windows"]),
    "StylusInjectSampler": (*dials_of(Steering), DIALS["windows_per_pass"]),
    "StylusApplyStyle": (*dials_of(Steering), DIALS["windows_per_pass"]),
}
TURNED = OF_SOUND | OF_A_MODEL
DEPEND = {"first", "start", "overlap", "low_hz", "high_hz", "sites", "start_percent", "end_percent"}
"""Dials whose range depends on the recording, the model, or another dial."""
NUMBERS = [-1.0, 1e9, -1e-9, 1e18, math.nan, math.inf, -math.inf]
WHOLES = [-1, 0, 1 << 40]
TEXTS = ["much", ""]
WIDGETS = ("INT", "FLOAT", "STRING", "COMBO")
SITES = ["auto", "6-11", "9, 10", "6, 6", "99", "11-6", "six"]


def values(dial: Dial, wired: bool) -> st.SearchStrategy[Any]:
    """Three times out of four a value that the dial has. Of another kind it is only where it comes over a wire."""
    good: st.SearchStrategy[Any]
    beyond: list[Any]
    if isinstance(dial, Choice):
        good, beyond = st.sampled_from(dial.choices), TEXTS
    elif isinstance(dial, Whole):
        good, beyond = st.integers(dial.low, min(dial.high, SLOW.get(dial.name, dial.high))), WHOLES
    elif isinstance(dial, Number):
        high = min(dial.high, 2.0) if dial.unit == "s" else dial.high
        good, beyond = st.floats(dial.low, high).map(lambda value: round(value, 6)), NUMBERS
    else:
        good, beyond = st.sampled_from(SITES), TEXTS
    return st.one_of(*[good] * 3, st.sampled_from([*NUMBERS, *WHOLES, 2.5, *TEXTS, None, True] if wired else beyond))


def is_value(dial: Dial, value: Any) -> bool:
    try:
        dial.check(value)
    except ValueError:
        return False
    return True


def sound_nodes(comfy: ComfyServer) -> tuple[Graph, dict[str, str]]:
    """Each node that works without a model, by its class; clips of a second."""
    folder = comfy.input / "dials"
    folder.mkdir(exist_ok=True)
    for name in ("1.wav", "2.wav"):
        soundfile.write(folder / name, noise(1.0, 8000)[0].t().numpy(), 8000)
    graph = Graph()
    album = graph.add("StylusLoadAudioFolder", folder="dials")
    loaded = graph.add("StylusLoadAudioMel", audio="stylus/style_a.flac", duration=1.0, preset="tiny-256")
    toned = graph.add("StylusMatchTone", audio=[loaded, 2], **{"styles.style_0": [loaded, 2]})
    mel = graph.add("StylusAudioToMel", audio=[loaded, 2], preset="tiny-256")
    mask = graph.add("StylusMaskFromSound", spectrogram=[mel, 1])
    decoded = graph.add("StylusPhaseDecode", images=[mel, 0], spectrogram=[mel, 1])
    return graph, {graph[node]["class_type"]: node for node in (album, loaded, toned, mel, mask, decoded)}


def model_nodes(comfy: ComfyServer) -> tuple[Graph, dict[str, str]]:
    """Each node that works with a model, by its class; the style has two windows."""
    graph = Graph()
    prior = graph.add("StylusLoadTiny")
    schedule = graph.add("StylusSchedule", steps=2)
    content, style = (
        graph.add("LoadLatent", latent=upload_latent(comfy, f"of_{windows}", seed=windows, batch=windows))
        for windows in (1, 2)
    )
    model, prompt = [prior, 0], [prior, 1]
    shared = {"model": model, "conditioning": prompt, "schedule": [schedule, 0]}
    inversion = graph.add("StylusDDIMInvert", latent=[content, 0], **shared)
    capture = graph.add("StylusCaptureStyle", latent=[style, 0], **shared)
    both = {"inversion": [inversion, 0], "style": [capture, 0]}
    sampler = graph.add("StylusInjectSampler", model=model, conditioning=prompt, **both)
    patch = graph.add("StylusApplyStyle", model=model, **both)
    return graph, {graph[node]["class_type"]: node for node in (schedule, inversion, capture, sampler, patch)}


RESULTS = {"StylusSchedule": ("StylusDDIMInvert", 0), "StylusApplyStyle": ("StylusApplyStyle", 1)}
"""Where the numbers are that a node makes, if not in its own first output."""


def test_every_number_of_every_node_is_turned(comfy: ComfyServer) -> None:
    numbers = {
        (node, name)
        for node, schema in comfy.get("/object_info").items()
        if node.startswith("Stylus")
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
    """What another node supplies passes by the widget's range, so that the node itself has to look."""
    turned = data.draw(st.lists(st.sampled_from(TURNED[node]), min_size=1, max_size=3, unique=True))
    given = {dial: data.draw(values(dial, wired), label=dial.name) for dial in turned}
    wrong = [dial.name for dial, value in given.items() if not is_value(dial, value)]
    graph, nodes = (sound_nodes if node in OF_SOUND else model_nodes)(comfy)
    for dial, value in given.items():
        supplied = [graph.add("TestValue", json=json.dumps(value)), 0] if wired else value
        graph[nodes[node]]["inputs"][dial.name] = supplied
    made, output = RESULTS.get(node, (node, 0))
    looked = graph.add("TestFinite", value=[nodes[made], output])
    try:
        run = comfy.run(graph)
        told = run.error
    except PromptRefused as refusal:
        told = str(refusal)
    if told is None:
        assert not wrong
        assert all(run.outputs[looked]["finite"])
    else:
        depending = DEPEND & {dial.name for dial in turned}
        assert wrong or depending, told
        assert any(name in told for name in (*wrong, *depending)), told
        assert len(told.strip().splitlines()) == 1, told


@pytest.mark.parametrize("value", [5, {"a": 1}, None])
@pytest.mark.parametrize("nodes_of", [sound_nodes, model_nodes])
def test_a_value_where_a_wire_belongs(comfy: ComfyServer, nodes_of: Callable[..., Any], value: Any) -> None:
    """It is refused by the input's name; an optional input may have none."""
    graph, nodes = nodes_of(comfy)
    for kind, node in nodes.items():
        inputs = comfy.get(f"/object_info/{kind}")[kind]["input"]
        optional = {name for name, (socket, *_) in inputs.get("optional", {}).items() if socket not in WIDGETS}
        for name in optional | {name for name, wire in graph[node]["inputs"].items() if isinstance(wire, list)}:
            spoilt = {"class_type": kind, "inputs": graph[node]["inputs"] | {name: value}}
            changed = Graph({**graph, node: spoilt})
            changed.add("PreviewAny", source=[node, 0])
            if value is None and name in optional:
                comfy.finish(changed)
            else:
                refused = rf"is missing: choose|{name.split('.')[-1]} is {re.escape(repr(value))}: wire"
                assert re.search(refused, words(comfy, changed)), (kind, name)
