import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

// The words of the pack's scripts, in the language in which ComfyUI is shown: `stylus` in locales/*/main.json.

const languages = await api.fetchApi("/i18n").then((response) => response.json());

/** @param values what stands for {name} in the words */
export function say(key, values = {}) {
  const language = app.ui.settings.getSettingValue("Comfy.Locale");
  const words = (languages[language] ?? languages.en)?.stylus?.[key] ?? key; // a server started before an update lacks them
  return words.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}
