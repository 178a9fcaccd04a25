"""Dials of nodes turned to anything, by hand and by other nodes: a finite result, or words that name the dial."""

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stylus_ops import dials
from stylus_ops.dials import Choice, Dial, Number, Whole

from .comfy_server import ComfyServer, PromptRefused
from .graphs import TransferGraph, saved_latent

SAMPLER = (
    dials.ALPHA,
    dials.GAMMA,
    dials.TEMPERATURE,
    dials.ADAIN,
    dials.ADAIN_MODE,
    dials.START_PERCENT,
    dials.END_PERCENT,
    dials.WINDOWS_PER_PASS,
)
BEYOND = [-1.0, 1e9, -1e-9, 1e18, 1e-320, math.nan, math.inf, -math.inf]


def values(dial: Dial) -> st.SearchStrategy[Any]:
    """Three times out of four a value that the dial has."""
    if isinstance(dial, Choice):
        return st.sampled_from([*dial.choices * 3, "much", ""])
    assert isinstance(dial, Number)
    if isinstance(dial, Whole):
        return st.one_of(*[st.integers(dial.low, dial.high)] * 3, st.sampled_from([-1, 1 << 40]))
    return st.one_of(*[st.floats(dial.low, dial.high)] * 3, st.sampled_from(BEYOND))


@given(
    turned=st.lists(st.sampled_from(SAMPLER), min_size=1, max_size=3, unique=True), wired=st.booleans(), data=st.data()
)
@settings(
    max_examples=12,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_dials_of_the_sampler(comfy: ComfyServer, turned: list[Dial], wired: bool, data: st.DataObject) -> None:
    """What another node supplies passes by the widget's range, so that the node itself has to look."""
    graph = TransferGraph(comfy)
    wrong = []
    for dial in turned:
        value = data.draw(values(dial), label=dial.name)
        try:
            dial.check(value)
        except ValueError:
            wrong.append(dial.name)
        if wired and isinstance(dial, Number):
            kind = "PrimitiveInt" if isinstance(dial, Whole) else "PrimitiveFloat"
            value = [graph.add(kind, value=value), 0]
        graph.set(graph.sampler, **{dial.name: value})
    # The other node calls its number "value" where it refuses it itself.
    named = [*wrong, "start_percent", *(["value"] if wired else [])]
    try:
        run = comfy.run(graph)
        told = run.error
    except PromptRefused as refusal:
        told = str(refusal)
    if told is None:
        assert not wrong
        assert saved_latent(comfy, run, graph.saved).isfinite().all()
    else:
        assert any(name in told for name in named), told
        assert wrong or {dials.START_PERCENT, dials.END_PERCENT} & {*turned}, told


@pytest.mark.parametrize("steps", [0, 1, 1000, -5, 1 << 40])
def test_steps_from_another_node(comfy: ComfyServer, steps: int) -> None:
    graph = TransferGraph(comfy)
    graph.set(graph.schedule, steps=[graph.add("PrimitiveInt", value=steps), 0])
    assert "steps is" in (comfy.run(graph).error or "")
