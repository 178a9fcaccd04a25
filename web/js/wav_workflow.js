import { app } from "../../../scripts/app.js";

// ComfyUI opens the workflow of a dropped flac, mp3 or ogg, and makes a Load Audio of every wav. A wav that Save Audio
// (Stylus) wrote has its tags as JSON in the comment of its LIST INFO chunk.

const CHUNKS = 100; // that are looked at: each is a read, and a file of ours has fewer than ten

/** The chunks of a RIFF file between two places: the name of each, and where its content begins and ends. */
async function* chunks(file, place, last) {
  for (let looked = 0; place + 8 <= last && looked < CHUNKS; looked++) {
    const header = await file.slice(place, place + 8).arrayBuffer();
    const size = new DataView(header).getUint32(4, true);
    yield { name: new TextDecoder().decode(header.slice(0, 4)), start: place + 8, end: place + 8 + size };
    place += 8 + size + (size % 2);
  }
}

/** The comment in a RIFF file, or undefined. Only headers and the INFO list are read. */
async function readComment(file) {
  const text = (start, end) => file.slice(start, end).text();
  if (!["RIFF", "RF64"].includes(await text(0, 4)) || (await text(8, 12)) !== "WAVE") return;
  for await (const { name, start, end } of chunks(file, 12, file.size))
    if (name === "LIST" && (await text(start, start + 4)) === "INFO")
      for await (const entry of chunks(file, start + 4, Math.min(end, file.size)))
        if (entry.name === "ICMT") return (await text(entry.start, entry.end)).replace(/\0+$/, "");
}

/** The value in a JSON text, undefined if it is none. */
function parsed(json) {
  try {
    return JSON.parse(json);
  } catch {}
}

/** Open the workflow or prompt in a wav; whether there was one. */
async function openWorkflow(file) {
  const tags = parsed(await readComment(file)); // a comment may be somebody's words, too
  const [workflow, prompt] = [tags?.workflow, tags?.prompt].map(parsed);
  const name = file.name.replace(/\.\w+$/, "");
  // ComfyUI would open anything, and what it makes nothing of takes the place of the graph on the canvas.
  if (Array.isArray(workflow?.nodes)) await app.loadGraphData(workflow, true, true, name);
  else if (Object.values(Object(prompt)).some((node) => node?.class_type)) await app.loadApiJson(prompt, name);
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
