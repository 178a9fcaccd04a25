"""What is refused by looking at the graph."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

WIRING = Path(__file__).parents[2] / "nodes" / "wiring.py"


@pytest.fixture(scope="module")
def check_one_schedule() -> Any:
    """From its file: the package it belongs to imports ComfyUI."""
    spec = importlib.util.spec_from_file_location("wiring", WIRING)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.check_one_schedule


def graph(style: Any, **other: Any) -> dict[str, Any]:
    """A content and two styles in one blend, the second captured with a schedule of its own."""
    dials = {"steps": 50, "sites": "auto", "inversion": "fixed_point", "corrections": 1}
    return {
        "1": {"class_type": "StylusSchedule", "inputs": dials},
        "2": {"class_type": "StylusSchedule", "inputs": dials | other},
        "3": {"class_type": "StylusDDIMInvert", "inputs": {"schedule": ["1", 0]}},
        "4": {"class_type": "StylusCaptureStyle", "inputs": {"schedule": ["1", 0]}},
        "5": {"class_type": "StylusCaptureStyle", "inputs": {"schedule": ["2", 0]}},
        "6": {"class_type": "StylusBlendStyles", "inputs": {"styles.style_0": ["4", 0], "styles.style_1": ["5", 0]}},
        "7": {"class_type": "StylusInjectSampler", "inputs": {"inversion": ["3", 0], "style": style, "alpha": 0.9}},
    }


@pytest.mark.parametrize(("dial", "value"), [("steps", 20), ("sites", "9-11")])
def test_a_style_at_other_steps_or_sites_is_refused_by_name(check_one_schedule, dial, value):
    for style in (["5", 0], ["6", 0]):
        with pytest.raises(
            ValueError, match=f"{dial} is .* for DDIM Invert and {value} for Capture Style KV: wire one"
        ):
            check_one_schedule(graph(style, **{dial: value}))


def test_what_fits_or_is_not_known_yet_passes(check_one_schedule):
    check_one_schedule(graph(["6", 0]))
    check_one_schedule(graph(["5", 0], corrections=3))
    check_one_schedule(graph(["5", 0], steps=["9", 0]))
    check_one_schedule(graph(["4", 0], steps=20))
    check_one_schedule({})
    lost = graph(["5", 0], steps=20)
    lost["5"]["inputs"]["schedule"] = ["10", 0]
    check_one_schedule(lost)


def test_a_graph_of_many_paths_is_looked_through_once(check_one_schedule):
    """40 blends in a row, each of the one before it twice: 2^40 paths; and one that feeds itself."""
    prompt = graph(["139", 0])
    for node in range(100, 140):
        before = ["5", 0] if node == 100 else [str(node - 1), 0]
        styles = {"styles.style_0": before, "styles.style_1": before, "styles.style_2": [str(node), 0]}
        prompt[str(node)] = {"class_type": "StylusBlendStyles", "inputs": styles}
    check_one_schedule(prompt)
    prompt["2"]["inputs"]["steps"] = 20
    with pytest.raises(ValueError, match="wire one Stylus Schedule to both"):
        check_one_schedule(prompt)
