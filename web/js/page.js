// What the pack's scripts do to the page and to ComfyUI's objects.

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

/** Seconds in words: 5.10 s, or 2:05.0 from a minute on. */
export const clock = (seconds) =>
  seconds < 60 ? `${seconds.toFixed(2)} s` : `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;
