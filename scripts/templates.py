"""Write the templates in workflows/ and, as the integration tests run them, in tests/workflows/.

python -m scripts.templates http://127.0.0.1:8188       # in the repository's root; a ComfyUI with this pack runs there

A template is named, noted and wired here alone. What a node's widgets and sockets are is asked of ComfyUI.
"""

from __future__ import annotations

import argparse
import json
import urllib.request
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from stylus_ops.pipeline.settings import PAPER

ROOT = Path(__file__).parents[1]
WIDGETS = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
TITLE, GAP, MARGIN, HEAD = 30, 20, 12, 40  # a node's title bar, between nodes, around a group, above its nodes
FRAME, RESULT, CLIP = 100, 31, 0.273
"""Of Compare after a run: each result has a socket and a button, each clip by the node's width a part of the figure."""
HEIGHTS = {
    "MarkdownNote": 360,
    "StylusLoadTiny": 100,
    "CheckpointLoaderSimple": 130,
    "CLIPTextEncode": 130,
    "LoraLoader": 140,
    "StylusSchedule": 130,
    "StylusLoadAudioMel": 384,
    "StylusLoadAudioFolder": 130,
    "StylusMatchTone": 180,
    "StylusAudioToMel": 150,
    "StylusMaskFromSound": 180,
    "VAEEncode": 80,
    "VAEDecode": 80,
    "StylusDDIMInvert": 230,
    "StylusCaptureStyle": 230,
    "StylusSaveStyle": 80,
    "StylusLoadStyle": 110,
    "StylusBlendStyles": 130,
    "StylusInjectSampler": 340,
    "StylusApplyStyle": 290,
    "KSamplerSelect": 80,
    "SamplerCustom": 240,
    "StylusPhaseDecode": 270,
    "StylusSaveAudio": 220,
    "MaskPreview": 260,
    "PreviewImage": 260,
}
"""Pixels below the title, folded as the node opens and with its words after a run, in the taller of the two renderers."""
COLOURS = {
    "content": ("#223", "#335"),
    "style": ("#322", "#533"),
    "result": ("#232", "#353"),
}
SD15 = "v1-5-pruned-emaonly-fp16.safetensors"
DOWNLOADS = {
    SD15: {
        "name": SD15,
        "url": f"https://huggingface.co/Comfy-Org/stable-diffusion-v1-5-archive/resolve/main/{SD15}",
        "directory": "checkpoints",
    }
}
NEEDS_SD15 = (
    f"**Needs a download**: **{SD15}** (2 GB) into **models/checkpoints**. ComfyUI offers it when the template opens.\n\n"
    "Plain Stable Diffusion 1.5 is the paper's setting. Checkpoints trained on spectrograms of the same 512x512 geometry, "
    "such as Riffusion's, suit better still; photo and anime checkpoints worse."
)


class Output(NamedTuple):
    node: Node
    slot: int
    kind: str


class Node:
    """One node of a template; its outputs by name."""

    def __init__(self, number: int, kind: str, schema: Mapping[str, Any], title: str | None, part: str | None):
        self.number, self.kind, self.title, self.part = number, kind, title, part
        self.schema = schema
        self.bypassed = False
        self.height: int | None = None
        """As its kind has it, if None."""
        self.inputs: dict[str, Any] = {}
        self.labels: dict[str, str] = {}
        """What is shown in place of a widget's name."""

    def __getitem__(self, name: str) -> Output:
        slot = self.schema["output_name"].index(name)
        return Output(self, slot, self.schema["output"][slot])


class Template:
    """A graph in columns, each a group, from left to right."""

    def __init__(self, name: str, schemas: Mapping[str, Any]):
        self.name = name
        self._schemas = schemas
        self.columns: list[tuple[str, int, list[Node]]] = []
        self.nodes: list[Node] = []
        self.gap = GAP
        self.extra: dict[str, Any] = {}

    def column(self, title: str, width: int) -> None:
        self.columns.append((title, width, []))

    def app(self, inputs: Mapping[str, tuple[Node, str]], outputs: list[Node]) -> None:
        """What ComfyUI's app mode shows of the graph: these widgets, under these names, and these nodes' results."""
        shown = [[str(node.number), widget] for node, widget in inputs.values()]
        for label, (node, widget) in inputs.items():
            if label != widget:
                node.labels[widget] = label
        self.extra = {
            "linearData": {"inputs": shown, "outputs": [str(node.number) for node in outputs]},
            "linearMode": False,
        }

    def note(self, text: str) -> Node:
        schema = {"input": {"required": {"text": ["STRING", {}]}}, "output": [], "output_name": []}
        node = Node(len(self.nodes) + 1, "MarkdownNote", schema, "Read me", None)
        node.inputs["text"] = text
        return self._place(node)

    def add(self, kind: str, title: str | None = None, part: str | None = None, **given: Any) -> Node:
        """A node below the last one of the column. An input is an output of another node, or a widget's value."""
        node = Node(len(self.nodes) + 1, kind, self._schemas[kind], title, part)
        schema = {**node.schema["input"].get("required", {}), **node.schema["input"].get("optional", {})}
        for name, (kind_, *options) in schema.items():
            settings = options[0] if options else {}
            if kind_ == "COMFY_AUTOGROW_V3":
                prefix = settings["template"]["prefix"]
                for index, output in enumerate(given.pop(name)):
                    node.inputs[f"{name}.{prefix}{index}"] = output
            elif name in given:
                node.inputs[name] = given.pop(name)
            elif isinstance(kind_, list) or kind_ in WIDGETS:
                choices = kind_ if isinstance(kind_, list) else settings.get("options", [None])
                node.inputs[name] = settings.get("default", choices[0])
        if given:
            raise ValueError(f"{node.kind} has no input {', '.join(given)}")
        return self._place(node)

    def _place(self, node: Node) -> Node:
        self.nodes.append(node)
        self.columns[-1][2].append(node)
        return node

    def api(self) -> dict[str, Any]:
        """The graph as ComfyUI runs it: notes and bypassed nodes are left out."""
        run = [node for node in self.nodes if node.kind != "MarkdownNote" and not node.bypassed]
        return {
            str(node.number): {
                "class_type": node.kind,
                "inputs": {
                    name: [str(value.node.number), value.slot] if isinstance(value, Output) else value
                    for name, value in ((name, _through(value)) for name, value in node.inputs.items())
                },
            }
            for node in run
        }

    def workflow(self) -> dict[str, Any]:
        """The graph as the canvas shows it."""
        links: list[list[Any]] = []
        shown, groups, left = [], [], 0
        for number, (title, width, column) in enumerate(self.columns, 1):
            top = HEAD
            for node in column:
                top += TITLE
                shown.append(self._shown(node, (left + MARGIN, top), width, links))
                top += shown[-1]["size"][1] + self.gap
            bounds = [left, 0, width + 2 * MARGIN, top - self.gap + MARGIN]
            groups.append(
                {"id": number, "title": title, "bounding": bounds, "color": "#a1a1aa", "font_size": 24, "flags": {}}
            )
            left += width + 2 * MARGIN + GAP
        sources = {node["id"]: node for node in shown}
        for number, source, slot, *_ in links:
            if source in sources:
                sources[source]["outputs"][slot]["links"].append(number)
        return {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"stylus/{self.name}")),
            "revision": 0,
            "last_node_id": len(self.nodes),
            "last_link_id": len(links),
            "nodes": shown,
            "links": links,
            "groups": groups,
            "config": {},
            "extra": self.extra,
            "version": 0.4,
        }

    def _shown(self, node: Node, place: tuple[int, int], width: int, links: list[list[Any]]) -> dict[str, Any]:
        sockets = []
        schema = {**node.schema["input"].get("required", {}), **node.schema["input"].get("optional", {})}
        kinds = {name: kind for name, (kind, *_) in schema.items() if not isinstance(kind, list)}
        names = [name for name, kind in kinds.items() if kind not in WIDGETS | {"COMFY_AUTOGROW_V3"}]
        names += [name for name, value in node.inputs.items() if isinstance(value, Output) and name not in names]
        for position, name in enumerate(names):
            value = node.inputs.get(name)
            socket: dict[str, Any] = {"name": name, "type": kinds.get(name), "link": None}
            if isinstance(value, Output):
                links.append([len(links) + 1, value.node.number, value.slot, node.number, position, value.kind])
                socket |= {"type": value.kind, "link": len(links)}
            if name in node.schema["input"].get("optional", {}):
                socket["shape"] = 7
            sockets.append(socket)
        for name, label in node.labels.items():
            sockets.append({"name": name, "type": "COMBO", "link": None, "widget": {"name": name}, "label": label})
        values = []
        for name, value in node.inputs.items():
            if not isinstance(value, Output):
                values.append(value)
                if name in ("seed", "noise_seed"):
                    values.append("fixed")
        core = not node.kind.startswith("Stylus")
        properties: dict[str, Any] = {
            "Node name for S&R": node.kind,
            "cnr_id": "comfy-core" if core else "stylus-audio",
        }
        if models := [DOWNLOADS[value] for value in values if isinstance(value, str) and value in DOWNLOADS]:
            properties["models"] = models
        made: dict[str, Any] = {
            "id": node.number,
            "type": node.kind,
            "pos": list(place),
            "size": [width, node.height or HEIGHTS[node.kind]],
            "flags": {},
            "order": node.number - 1,
            "mode": 4 if node.bypassed else 0,
            "inputs": sockets,
            "outputs": [
                {"name": name, "type": kind, "links": []}
                for name, kind in zip(node.schema["output_name"], node.schema["output"], strict=True)
            ],
            "properties": properties if node.kind != "MarkdownNote" else {},
            "widgets_values": values,
        }
        if node.title:
            made["title"] = node.title
        if node.part:
            made["color"], made["bgcolor"] = COLOURS[node.part]
        return made


def _through(value: Any) -> Any:
    """What a link brings when the bypassed nodes on its way let their first input of that kind through."""
    while isinstance(value, Output) and value.node.bypassed:
        kind = value.kind
        value = next(given for given in value.node.inputs.values() if isinstance(given, Output) and given.kind == kind)
    return value


class Model(NamedTuple):
    model: Output
    conditioning: Output
    vae: Output


def bundled(board: Template) -> Model:
    loader = board.add("StylusLoadTiny")
    return Model(loader["MODEL"], loader["CONDITIONING"], loader["VAE"])


def stable_diffusion(board: Template, lora: bool = False) -> Model:
    loader = board.add("CheckpointLoaderSimple", ckpt_name=SD15)
    source = loader
    if lora:
        source = board.add(
            "LoraLoader",
            "LoRA: choose yours, then Ctrl+B",
            model=loader["MODEL"],
            clip=loader["CLIP"],
            lora_name="choose a LoRA",
        )
        source.bypassed = True
    prompt = board.add("CLIPTextEncode", "Empty prompt", clip=source["CLIP"], text="")
    return Model(source["MODEL"], prompt["CONDITIONING"], loader["VAE"])


def recording(board: Template, part: str, title: str, file: str, **given: Any) -> Node:
    short = "pad" if part == "content" else "loop"
    return board.add("StylusLoadAudioMel", title, part, audio=f"stylus/{file}.flac", short_clip=short, **given)


def invert(board: Template, model: Model, schedule: Node, clip: Node, latent: Node, **given: Any) -> Node:
    return board.add(
        "StylusDDIMInvert",
        None,
        "content",
        model=model.model,
        conditioning=model.conditioning,
        latent=latent["LATENT"],
        schedule=schedule["schedule"],
        spectrogram=clip["spectrogram"],
        **given,
    )


def capture(
    board: Template, model: Model, schedule: Node, clip: Node, latent: Node, title: str | None = None, **given: Any
) -> Node:
    return board.add(
        "StylusCaptureStyle",
        title,
        "style",
        model=model.model,
        conditioning=model.conditioning,
        latent=latent["LATENT"],
        schedule=schedule["schedule"],
        spectrogram=clip["spectrogram"],
        **given,
    )


def encode(board: Template, part: str, model: Model, clip: Node) -> Node:
    return board.add("VAEEncode", None, part, pixels=clip["images"], vae=model.vae)


def sample(board: Template, model: Model, content: Node, style: Node, title: str | None = None, **given: Any) -> Node:
    return board.add(
        "StylusInjectSampler",
        title,
        None,
        model=model.model,
        conditioning=model.conditioning,
        inversion=content["inversion"],
        style=style["style"],
        **given,
    )


def decode(board: Template, model: Model, latent: Output, clip: Node, **given: Any) -> Output:
    images = board.add("VAEDecode", None, None, samples=latent, vae=model.vae)
    sound = board.add("StylusPhaseDecode", None, None, images=images["IMAGE"], spectrogram=clip["spectrogram"], **given)
    return sound["audio"]


def listen(
    board: Template, content: Node, style: Node, results: list[Output], prefix: str, width: int = 470, taller: int = 0
) -> Node:
    """Save Audio and Compare; `taller` is for titles of several lines."""
    board.column("Listen", width)
    saver = board.add("StylusSaveAudio", None, "result", audio=results[-1], filename_prefix=f"audio/{prefix}")
    compare = board.add(
        "StylusCompare", None, "result", content=content["audio"], style=style["audio"], results=results
    )
    compare.height = FRAME + RESULT * len(results) + round(CLIP * width) * (2 + len(results)) + taller
    return saver


def quick_start(board: Template, sd15: bool) -> None:
    board.column("Model", 290)
    model = stable_diffusion(board) if sd15 else bundled(board)
    schedule = board.add("StylusSchedule", **({"steps": PAPER["steps"]} if sd15 else {}))
    text = (
        "## Music in the timbre of other music\n\nPress **Run**, then listen in *Compare*.\n\n"
        "The *content* keeps melody and rhythm, the *style* gives its sound: choose others in the two blue and red loaders, or "
        "upload them there.\n\n**alpha** in *Inject Attention Sampler* is the amount of style, **gamma** how firmly the melody "
        "is held. Changing them runs the sampler alone.\n\n*Match Tone* equalises the content towards the style first; at "
        "**tone** 0 it leaves it alone."
    )
    board.note(text + (f"\n\n{NEEDS_SD15}" if sd15 else "\n\nThe model comes with the pack: nothing to download."))
    board.column("Recordings", 270)
    content = recording(board, "content", "Content: melody and rhythm", "melody")
    style = recording(board, "style", "Style: timbre", "style_a", model=model.model)
    board.column("Images", 250)
    toned = board.add("StylusMatchTone", None, "content", audio=content["audio"], styles=[style["audio"]])
    clip = board.add("StylusAudioToMel", None, "content", audio=toned["audio"], model=model.model)
    latent = encode(board, "content", model, clip)
    style_latent = encode(board, "style", model, style)
    board.column("Inversion", 250)
    inversion = invert(board, model, schedule, clip, latent)
    captured = capture(board, model, schedule, style, style_latent)
    board.column("Transfer", 250)
    sampled = sample(board, model, inversion, captured)
    result = decode(board, model, sampled["latent"], clip)
    saver = listen(board, content, style, [result], "stylus_sd15" if sd15 else "stylus")
    board.app({"content": (content, "audio"), "style": (style, "audio"), "alpha": (sampled, "alpha")}, [saver])


def quick_start_tiny(board: Template) -> None:
    quick_start(board, sd15=False)


def quick_start_sd15(board: Template) -> None:
    quick_start(board, sd15=True)


def blend_styles(board: Template) -> None:
    board.gap = 8  # three recordings below each other, at a zoom that still shows titles
    board.column("Model", 290)
    model = bundled(board)
    schedule = board.add("StylusSchedule")
    board.note(
        "## Any number of styles\n\n**weights** in *Blend Styles*: one number a style from the top down. **1, 1** is equal "
        "parts, **3, 1** mostly style A, **0, 1** style B alone. Changing it runs the sampler alone.\n\nWire a third *Capture Style "
        "KV* into the input that appears below the second.\n\nThe model comes with the pack: nothing to download."
    )
    board.column("Recordings", 270)
    content = recording(board, "content", "Content: melody and rhythm", "melody", model=model.model)
    style_a = recording(board, "style", "Style A: timbre", "style_a", model=model.model)
    style_b = recording(board, "style", "Style B: timbre", "style_b", model=model.model)
    board.column("Inversion", 250)
    latents = [encode(board, part, model, clip) for part, clip in _parts(content, style_a, style_b)]
    inversion = invert(board, model, schedule, content, latents[0])
    styles = [
        capture(board, model, schedule, style_a, latents[1], "Capture style A"),
        capture(board, model, schedule, style_b, latents[2], "Capture style B"),
    ]
    board.column("Transfer", 250)
    blended = board.add("StylusBlendStyles", None, "style", styles=[style["style"] for style in styles], weights="1, 1")
    sampled = sample(board, model, inversion, blended)
    result = decode(board, model, sampled["latent"], content)
    listen(board, content, style_a, [result], "stylus_blend")


def _parts(content: Node, *styles: Node) -> list[tuple[str, Node]]:
    return [("content", content), *(("style", style) for style in styles)]


def single(board: Template, note: str) -> tuple[Model, Node, Node, Node, Node, Node]:
    """The bundled prior, a content and a style, ready to be inverted: as most templates begin."""
    board.column("Model", 290)
    model = bundled(board)
    schedule = board.add("StylusSchedule")
    board.note(note + "\n\nThe model comes with the pack: nothing to download.")
    board.column("Recordings", 270)
    content = recording(board, "content", "Content: melody and rhythm", "melody", model=model.model)
    style = recording(board, "style", "Style: timbre", "style_a", model=model.model)
    board.column("Inversion", 250)
    latent, style_latent = (encode(board, part, model, clip) for part, clip in _parts(content, style))
    return model, schedule, content, style, latent, style_latent


def whole_song(board: Template) -> None:
    model, schedule, content, style, latent, style_latent = single(
        board,
        "## A whole stereo song\n\nChoose your song in the blue loader: any length, rate and channel count. It is cut into "
        "overlapping windows of 5 seconds and joined again; stereo, sample rate and length come back to the sample.\n\n"
        "Set for minutes of music: **features** **recompute** in DDIM Invert and Capture Style KV, which keeps almost "
        "nothing in memory.\n\nTry 10 seconds first: drag the handles below the player, or set **duration**.",
    )
    inversion = invert(board, model, schedule, content, latent, features="recompute")
    captured = capture(board, model, schedule, style, style_latent, features="recompute")
    board.column("Transfer", 250)
    sampled = sample(board, model, inversion, captured)
    result = decode(board, model, sampled["latent"], content)
    listen(board, content, style, [result], "stylus_song")


def style_mask(board: Template) -> None:
    model, schedule, content, style, latent, style_latent = single(
        board,
        "## Style where the mask is white\n\n*Mask from Sound* marks a part of the content: its drums, tones, attacks, loud "
        "moments or a band of frequencies. White takes the style, black keeps the content.\n\n**To paint it yourself**: "
        "right-click the image in *Preview Image*, *Copy Image*, click on the empty canvas, Ctrl+V. Open the mask editor of the "
        "*Load Image* that appears, paint, and wire its **MASK** to the sampler. Time runs to the right, low notes are at the bottom.",
    )
    inversion = invert(board, model, schedule, content, latent)
    captured = capture(board, model, schedule, style, style_latent)
    board.column("Mask", 250)
    mask = board.add(
        "StylusMaskFromSound", None, "content", spectrogram=content["spectrogram"], what="harmonic", high_hz=4000.0
    )
    board.add("MaskPreview", "White takes the style", "content", mask=mask["mask"])
    board.add("PreviewImage", "The content, to paint on", "content", images=content["images"])
    board.column("Transfer", 250)
    sampled = sample(board, model, inversion, captured, mask=mask["mask"])
    result = decode(board, model, sampled["latent"], content)
    listen(board, content, style, [result], "stylus_mask")


def tone_first(board: Template) -> None:
    board.column("Model", 290)
    model = bundled(board)
    schedule = board.add("StylusSchedule")
    board.note(
        "## Tone first, texture second\n\n*Match Tone* equalises the content towards the style: as bright, as full. The model "
        "then has the texture left to do.\n\n*Compare* plays the content so equalised (result 1) beside the whole transfer "
        "(result 2): what an equaliser gives, and what it does not.\n\n**tone** is how much of the curve, **tone_resolution** "
        "how fine it is.\n\nThe model comes with the pack: nothing to download."
    )
    board.column("Recordings", 270)
    content = recording(board, "content", "Content: melody and rhythm", "melody")
    style = recording(board, "style", "Style: timbre", "style_b", model=model.model)
    board.column("Tone", 250)
    toned = board.add("StylusMatchTone", None, "content", audio=content["audio"], styles=[style["audio"]])
    board.add("PreviewImage", "The equaliser's curve", "content", images=toned["curve"])
    clip = board.add("StylusAudioToMel", None, "content", audio=toned["audio"], model=model.model)
    board.column("Inversion", 250)
    latent, style_latent = (encode(board, part, model, recorded) for part, recorded in _parts(clip, style))
    inversion = invert(board, model, schedule, clip, latent)
    captured = capture(board, model, schedule, style, style_latent)
    board.column("Transfer", 250)
    sampled = sample(board, model, inversion, captured)
    result = decode(board, model, sampled["latent"], clip)
    listen(board, content, style, [toned["audio"], result], "stylus_tone", taller=70)


def stock_sampler_lora(board: Template) -> None:
    board.column("Model", 290)
    model = stable_diffusion(board, lora=True)
    schedule = board.add("StylusSchedule", steps=PAPER["steps"])
    board.note(
        "## The style as a patch on the MODEL\n\n*Apply Style to Model* works with stock samplers: with **euler**, add_noise off, "
        "cfg 1 and DDIM Invert's SIGMAS it equals *Inject Attention Sampler*.\n\nThe LoRA is bypassed until you choose one: "
        "select the node, choose a file, press Ctrl+B.\n\n" + NEEDS_SD15
    )
    board.column("Recordings", 270)
    content = recording(board, "content", "Content: melody and rhythm", "melody", model=model.model)
    style = recording(board, "style", "Style: timbre", "style_a", model=model.model)
    board.column("Inversion", 250)
    latent, style_latent = (encode(board, part, model, clip) for part, clip in _parts(content, style))
    inversion = invert(board, model, schedule, content, latent)
    captured = capture(board, model, schedule, style, style_latent)
    board.column("Transfer", 250)
    applied = board.add(
        "StylusApplyStyle", None, None, model=model.model, inversion=inversion["inversion"], style=captured["style"]
    )
    euler = board.add("KSamplerSelect", sampler_name="euler")
    sampled = board.add(
        "SamplerCustom",
        model=applied["model"],
        positive=model.conditioning,
        negative=model.conditioning,
        sampler=euler["SAMPLER"],
        sigmas=inversion["sigmas"],
        latent_image=applied["start"],
        add_noise=False,
        cfg=1.0,
    )
    result = decode(board, model, sampled["output"], content)
    listen(board, content, style, [result], "stylus_patch")


def compare(board: Template) -> None:
    model, schedule, content, style, latent, style_latent = single(
        board,
        "## The same transfer at three alphas\n\nThe inversions are done once; each **alpha** costs one sampling run. *Compare* "
        "titles the results by the dials in which they differ.\n\nPress a name or its number key to hear it; all play at one "
        "playhead, equally loud.\n\nChange any dial of the samplers instead, such as **gamma** or **temperature**.",
    )
    inversion = invert(board, model, schedule, content, latent)
    captured = capture(board, model, schedule, style, style_latent)
    board.column("Samplers", 240)
    samplers = [sample(board, model, inversion, captured, f"alpha {alpha:g}", alpha=alpha) for alpha in (0.5, 0.9, 1.2)]
    board.column("Images", 225)
    images = [board.add("VAEDecode", samples=sampled["latent"], vae=model.vae) for sampled in samplers]
    board.column("Sound", 240)
    results = [
        board.add("StylusPhaseDecode", images=image["IMAGE"], spectrogram=content["spectrogram"])["audio"]
        for image in images
    ]
    listen(board, content, style, results, "stylus_compare", width=400)


TEMPLATES = (
    quick_start_tiny,
    quick_start_sd15,
    blend_styles,
    whole_song,
    style_mask,
    tone_first,
    stock_sampler_lora,
    compare,
)


def ask(address: str) -> dict[str, Any]:
    """What a running ComfyUI knows of its nodes, by id."""
    with urllib.request.urlopen(f"{address}/object_info", timeout=60) as response:
        return json.load(response)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.templates", description=__doc__)
    parser.add_argument("address", help="of a running ComfyUI, such as http://127.0.0.1:8188")
    schemas = ask(parser.parse_args().address)
    for draw in TEMPLATES:
        board = Template(draw.__name__, schemas)
        draw(board)
        for folder, graph in (("workflows", board.workflow()), ("tests/workflows", board.api())):
            path = ROOT / folder / f"{board.name}.json"
            path.write_text(json.dumps(graph, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
