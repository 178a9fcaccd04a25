"""The blueprint in subgraphs/, as somebody finds it in ComfyUI's search and puts it into a graph."""

import soundfile

from stylus_ops.tiny import RECORDINGS
from tests.integration.comfy_server import ComfyServer

from .conftest import EMPTY, Canvas

AROUND = """renderer => {
  const [transfer] = app.graph.nodes;
  transfer.widgets.find(widget => widget.name === "steps").value = 2;
  const add = (kind, x, y, values) => {
    const node = LiteGraph.createNode(kind);
    node.pos = [transfer.pos[0] + x, transfer.pos[1] + y];
    app.graph.add(node);
    for (const [name, value] of Object.entries(values)) node.widgets.find(widget => widget.name === name).value = value;
    return node;
  };
  const model = add("StylusLoadTiny", -400, 420, {});
  const content = add("StylusLoadAudioMel", -800, 0, {audio: "stylus/melody.flac"});
  const style = add("StylusLoadAudioMel", -400, 0, {audio: "stylus/style_a.flac"});
  const saver = add("StylusSaveAudio", 400, 0, {filename_prefix: `blueprint/${renderer}`});
  content.connect(2, transfer, 0);
  style.connect(2, transfer, 1);
  [0, 1, 2].forEach(output => model.connect(output, transfer, output + 2));
  transfer.connect(0, saver, 0);
}"""


def test_it_is_served_with_the_pack(comfy: ComfyServer) -> None:
    served = [entry for entry in comfy.get("/global_subgraphs").values() if entry["source"] == "custom_node"]
    assert [(entry["name"], entry["info"]["node_pack"]) for entry in served] == [("Stylus", "custom_nodes.stylus")]


def test_it_is_found_placed_and_run(canvas: Canvas, comfy: ComfyServer) -> None:
    canvas.open(EMPTY)
    assert canvas.search("stylus")[0][:2] == ["Stylus", "Blueprint"]
    canvas.page.keyboard.press("Enter")
    canvas.page.wait_for_timeout(500)
    canvas.page.mouse.click(900, 300)
    canvas.page.wait_for_function("() => app.graph.nodes.length === 1")
    canvas.page.evaluate(AROUND, canvas.renderer)
    canvas.page.mouse.move(600, 900)
    canvas.page.keyboard.press(".")  # fits what is shown into the window
    canvas.page.wait_for_timeout(2000)
    canvas.shot("blueprint")
    assert canvas.overlaps() == []

    saved = canvas.run(comfy.output / "blueprint", canvas.renderer)
    assert soundfile.info(saved).frames == soundfile.info(RECORDINGS / "melody.flac").frames

    canvas.page.evaluate("() => app.canvas.openSubgraph(app.graph.nodes[0].subgraph, app.graph.nodes[0])")
    canvas.page.wait_for_timeout(1000)
    canvas.page.keyboard.press(".")
    canvas.page.wait_for_timeout(1500)
    canvas.shot("blueprint_inside")
    assert canvas.overlaps() == []
    assert canvas.errors == []
