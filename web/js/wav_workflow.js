import { app } from "../../../scripts/app.js";

// ComfyUI opens the workflow of a dropped flac, mp3 or ogg, and makes a Load Audio of every wav. A wav that Save Audio
// (Stylus) wrote has its tags as JSON in the comment of its LIST INFO chunk.

const CHUNKS = 100; // that are looked at: each is a read, and a file of ours has fewer than ten

/** The comment in a RIFF file, or undefined. Only headers and the INFO list are read. */
async function readComment(file) {
  const header = await read(file, 0, 12);
  if (!header || !["RIFF", "RF64"].includes(text(header, 0, 4)) || text(header, 8, 4) !== "WAVE") return;
  for (let place = 12, looked = 0; looked < CHUNKS; looked++) {
    const chunk = await read(file, place, 12);
    if (!chunk) return;
    const size = chunk.getUint32(4, true);
    if (size === 0xffffffff) return; // data of more than 4 GB: its size is elsewhere, and nothing of ours follows
    if (text(chunk, 0, 4) === "LIST" && text(chunk, 8, 4) === "INFO") {
      const list = await read(file, place + 12, Math.min(size - 4, file.size - place - 12));
      for (let at = 0; list && at + 8 <= list.byteLength; ) {
        const length = list.getUint32(at + 4, true);
        if (text(list, at, 4) === "ICMT") return text(list, at + 8, length).replace(/\0+$/, "");
        at += 8 + length + (length % 2);
      }
    }
    place += 8 + size + (size % 2);
  }
}

async function read(file, start, length) {
  if (start + length > file.size) return;
  return new DataView(await file.slice(start, start + length).arrayBuffer());
}

function text(view, start, length) {
  const available = Math.min(length, view.byteLength - start);
  return new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + start, available));
}

/** The value in a JSON text, undefined if it is none. */
function parsed(json) {
  try {
    return JSON.parse(json);
  } catch {
    return;
  }
}

// ComfyUI would open anything, and what it makes nothing of takes the place of the graph on the canvas.
const isWorkflow = (found) => Array.isArray(found?.nodes);
const isPrompt = (found) => Object.values(Object(found)).some((node) => node?.class_type);

/** Open the workflow or prompt in a wav; whether there was one. */
async function openWorkflow(file) {
  const tags = parsed(await readComment(file)); // a comment may be somebody's words, too
  const [workflow, prompt] = [tags?.workflow, tags?.prompt].map(parsed);
  const name = file.name.replace(/\.\w+$/, "");
  if (isWorkflow(workflow)) await app.loadGraphData(workflow, true, true, name);
  else if (isPrompt(prompt)) await app.loadApiJson(prompt, name);
  else {
    if (tags?.workflow || tags?.prompt) app.showErrorOnFileLoad?.(file); // and then it is a recording like any other
    return false;
  }
  return true;
}

app.registerExtension({
  name: "stylusmusicstyletransfer.wavWorkflow",

  // No hook of ComfyUI's sees a dropped file. Whatever handles files when the page is set up, another pack's too, keeps all that isn't ours.
  setup() {
    const { handleFile } = app;
    if (!handleFile) return;
    app.handleFile = async function (file, ...others) {
      if (file?.name?.toLowerCase().endsWith(".wav") && (await openWorkflow(file))) return;
      return handleFile.call(this, file, ...others);
    };
  },
});
