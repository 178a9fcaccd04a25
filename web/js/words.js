import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

// Words in the language in which ComfyUI is shown: those of the pack's scripts, and of what ComfyUI leaves in English.

const WIDTH = 32; // letters beside each other on a node, behind the sign of a warning

const languages = await api.fetchApi("/i18n").then((response) => response.json());

/** A table of locales/*\/main.json in the language in which ComfyUI is shown, in English what that lacks. */
function table(name) {
  const language = app.ui.settings.getSettingValue("Comfy.Locale");
  return { ...languages.en?.[name], ...languages[language]?.[name] }; // a server started before an update lacks both
}

const fill = (words, values) => words.replace(/\{(\w+)\}/g, (_, name) => values[name]);

/** Words of `stylus`, where `values` stand for {name}. */
export const say = (key, values = {}) => fill(table("stylus")[key] ?? key, values);

/** A name that begins with one of `stylusNames`, such as that of a clip or of a slot. */
export const translate = (name) => name.replace(/^\w+/, (word) => table("stylusNames")[word] ?? word);

const isOurs = (node) => node?.comfyClass?.startsWith("Stylus");

/** The node of an id such as 12:3, that of a node inside a subgraph. */
const find = (id) => id.split(":").reduce((found, part) => (found?.subgraph ?? app.graph).getNodeById(part), null);

/** What a node says during its run. The newer renderer reads it as Markdown, where two spaces keep the end of a line. */
function translateMessage(text) {
  const words = table("stylusMessages");
  for (const [key, english] of Object.entries(languages.en?.stylusMessages ?? {})) {
    if (words[key] === english) continue;
    const pattern = english.replaceAll(" ", "\\s+").replace(/\{(\w+)\}/g, "(?<$1>[^\u26a0]+?)");
    const wrapped = (...found) => fill(words[key], found.at(-1)).replace(RegExp(`(?=.{${WIDTH + 1}})(.{1,${WIDTH}}) `, "g"), "$1\n");
    text = text.replace(RegExp(pattern, "g"), wrapped);
  }
  return text.replaceAll("\n", "  \n");
}

const { dispatchCustomEvent } = api;
const warnings = new Map(); // of the latest run, by node
api.dispatchCustomEvent = function (type, detail) {
  if (type === "execution_start") warnings.clear();
  if (type === "progress_text" && isOurs(find(detail.nodeId))) {
    detail.text = translateMessage(detail.text);
    if (app.canvas.graph === app.graph) detail.nodeId = detail.nodeId.split(":")[0]; // what is inside the blueprint is not in sight
    if (detail.text.startsWith("\u26a0")) warnings.set(detail.nodeId, detail);
  }
  const result = dispatchCustomEvent.call(this, type, detail);
  // The newest ComfyUI takes all words off the nodes when a run ends.
  if (type === "execution_success") for (const warning of warnings.values()) dispatchCustomEvent.call(this, "progress_text", warning);
  return result;
};

// ComfyUI describes a blueprint with the words of its file.
const { getGlobalSubgraphs } = api;
api.getGlobalSubgraphs = async function () {
  const blueprints = await getGlobalSubgraphs.call(this);
  for (const own of Object.values(blueprints).filter(({ name }) => name === "Stylus"))
    own.data = Promise.resolve(own.data).then((json) => json.replace(languages.en?.stylus?.blueprint, say("blueprint")));
  return blueprints;
};

app.registerExtension({
  name: "stylusmusicstyletransfer.words",

  // The slots of a subgraph, the blueprint among them, have the names of their file in every language.
  nodeCreated({ subgraph, inputs, outputs }) {
    if (!subgraph?.nodes.some(isOurs)) return;
    for (const slot of [inputs, outputs, subgraph.inputs, subgraph.outputs].flat()) slot.localized_name = translate(slot.name);
  },
});
