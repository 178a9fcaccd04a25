import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

// What the pack's scripts share.

const languages = await api.fetchApi("/i18n").then((response) => response.json());

/** Words in the language in which ComfyUI is shown: `stylus` in locales/*\/main.json, where `values` stand for {name}. */
export function say(key, values = {}) {
  const language = app.ui.settings.getSettingValue("Comfy.Locale");
  const words = languages[language]?.stylus?.[key] ?? languages.en?.stylus?.[key] ?? key; // a server started before an update lacks them
  return words.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Call `then` after a method of a node or a widget, with its arguments; what the method returns stays. */
export function after(object, method, then) {
  const before = object[method];
  object[method] = function (...args) {
    const result = before?.apply(this, args);
    then(...args);
    return result;
  };
}

/** A widget that shows an element and keeps nothing in the workflow; `height` says how tall it is, in pixels. */
export function addElement(node, name, element, height) {
  const options = { serialize: false, hideOnZoom: false, getMinHeight: height, getMaxHeight: height };
  node.addDOMWidget(name, `stylus_${name}`, element, options).serialize = false;
}
