import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { after } from "./page.js";

// ComfyUI puts its audio player on its own nodes only, by name. The upload button looks for the player when it is
// made, so the player must come before it.
const NODES = ["StylusLoadAudioMel", "StylusSaveAudio"];

app.registerExtension({
  name: "stylusmusicstyletransfer.audioPlayer",

  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!NODES.includes(nodeData.name)) return;
    const { upload, ...required } = nodeData.input.required;
    nodeData.input.required = { ...required, audioUI: ["AUDIO_UI", {}], ...(upload && { upload }) };
  },

  // ComfyUI looks for every recording in its input folder; the pack serves its own under another address.
  nodeCreated(node) {
    if (node.comfyClass !== "StylusLoadAudioMel") return;
    const [recording, player, shortClip] = ["audio", "audioUI", "short_clip"].map((name) => node.widgets.find((widget) => widget.name === name));
    if (app.canvas.graph?.nodes.some((other) => other !== node && other.comfyClass === node.comfyClass)) {
      recording.value = "stylus/style_a.flac"; // beside a content it is the style's, which is repeated if it is short
      shortClip.value = "loop";
    }
    player.callback = () => {
      if (!recording.value?.startsWith("stylus/")) return;
      const url = api.apiURL(recording.value.replace("stylus/", "/stylus/recordings/"));
      if (player.element.getAttribute("src") === url) return;
      player.element.src = url; // the classic renderer plays the element, Nodes 2.0 the value
      player.value = url;
    };
    // Until now the player had nowhere to keep the value that it was made with.
    after(node, "onAdded", () => (player.value = player.element.src));
  },
});
