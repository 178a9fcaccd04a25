import { app } from "../../../scripts/app.js";

// ComfyUI puts its audio player on its own nodes only, by name. The upload button looks for the player when it is
// made, so the player must come before it.
const NODES = ["StylusLoadAudioMel", "StylusSaveAudio"];

app.registerExtension({
  name: "stylus.audioPlayer",
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!NODES.includes(nodeData.name)) return;
    const { upload, ...required } = nodeData.input.required;
    required.audioUI = ["AUDIO_UI", {}];
    if (upload) required.upload = upload;
    nodeData.input.required = required;
  },
});
