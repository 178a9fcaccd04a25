"""Stylus Schedule: what all the inversions of a graph have in common, set once."""

from typing import Any

from comfy_api.latest import io

from ..stylus_ops.dials import Schedule
from ..stylus_ops.diffusion.sites import named_blocks
from . import sockets
from .inputs import answer, schema, widgets


class StylusSchedule(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="StylusSchedule",
            display_name="Stylus Schedule",
            description="How content and style are inverted. Wire it to DDIM Invert and to every Capture Style KV.",
            search_aliases=["steps", "inversion settings", "ddim", "sites", "stylus"],
            inputs=widgets(Schedule),
            outputs=[sockets.Schedule.Output("schedule", tooltip="For DDIM Invert and Capture Style KV alike.")],
        )

    @classmethod
    def execute(cls, **dials: Any) -> io.NodeOutput:
        return io.NodeOutput(Schedule(**dials))

    @classmethod
    def validate_inputs(cls, sites: str | None) -> bool | str:
        return answer(named_blocks, sites if isinstance(sites, str) else "auto")
