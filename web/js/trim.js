import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { addElement, after, clock, element } from "./page.js";
import { say } from "./words.js";

// The strip under the player of Load Audio to Mel: the recording's level over time, and two handles that write `start`
// and `duration`. A handle at the recording's end writes duration 0, which reads to the end whatever the recording.

const HEIGHT = 64;
const MARGINS = 20; // above and below, which the classic renderer takes off
const GRIP = 10; // pixels on either side of a handle
const STEP = 0.01; // seconds
const SHORTEST = 0.05; // seconds that stay between the handles
const LEVEL_POWER = 0.5; // makes what is quiet visible

class Strip {
  /** @param widgets the node's `start` and `duration` */
  constructor(widgets) {
    this.widgets = widgets;
    const fill = "position: absolute; inset: 0; width: 100%; height: 100%;";
    this.canvas = element("canvas", { style: `${fill} border-radius: 4px; background: #16161a` });
    const words = "box-sizing: border-box; padding: 4px 8px; overflow: auto; overflow-wrap: anywhere; color: #ddd; font: 12px system-ui";
    this.message = element("div", { style: `${fill} ${words}` });
    const style = "position: relative; width: 100%; height: 100%; min-height: 48px; touch-action: none";
    this.element = element("div", { className: "stylus-trim", style }, this.canvas, this.message);
    this.report("");
    const answers = { pointerdown: this.press, pointermove: this.move, pointerup: this.release, pointercancel: this.release };
    for (const [kind, answer] of Object.entries(answers)) this.element.addEventListener(kind, answer.bind(this));
    this.element.addEventListener("dblclick", (event) => {
      event.stopPropagation();
      this.write(0, this.seconds);
    });
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  /** Look at another recording. */
  async open(name) {
    if (name === this.name) return;
    this.name = name;
    this.seconds = this.levels = undefined;
    this.report("");
    this.draw();
    if (!name) return;
    const found = await api
      .fetchApi(`/stylus/overview?audio=${encodeURIComponent(name)}`)
      .then((response) => response.json())
      .catch(() => ({ error: say("unseen") }));
    if (this.name !== name) return; // another was chosen meanwhile
    ({ seconds: this.seconds, levels: this.levels } = found);
    this.report(found.error ?? "");
    this.draw();
  }

  report(message) {
    this.message.textContent = message;
    this.message.hidden = !message; // or it would take the presses of the handles
    this.element.title = message || say("trim"); // a zoomed-out graph shows it, too
  }

  get start() {
    return Math.min(Number(this.widgets.start.value) || 0, this.seconds);
  }

  get end() {
    const duration = Number(this.widgets.duration.value) || 0;
    return duration ? Math.min(this.start + duration, this.seconds) : this.seconds;
  }

  write(start, end) {
    const whole = end >= this.seconds - STEP / 2;
    const values = { start, duration: whole ? 0 : end - start };
    for (const [name, widget] of Object.entries(this.widgets)) {
      const value = Number(values[name].toFixed(2));
      if (widget.value === value) continue;
      widget.value = value;
      widget.callback?.(value);
      widget.value = value; // a callback rounds to the step of the widget's arrows
    }
    this.draw();
  }

  at(event) {
    const box = this.element.getBoundingClientRect();
    const perPixel = this.seconds / box.width;
    return { seconds: (event.clientX - box.left) * perPixel, perPixel };
  }

  /** What a press takes: the middle, or the nearer edge. */
  part({ seconds, perPixel }) {
    const [toStart, toEnd] = [this.start, this.end].map((edge) => Math.abs(seconds - edge));
    const between = seconds > this.start && seconds < this.end && Math.min(toStart, toEnd) > GRIP * perPixel;
    return between ? "middle" : toStart < toEnd ? "start" : "end";
  }

  press(event) {
    if (!this.seconds || event.button !== 0) return;
    event.preventDefault();
    event.stopPropagation();
    const place = this.at(event);
    this.held = { part: this.part(place), from: place.seconds, start: this.start, end: this.end };
    this.element.setPointerCapture(event.pointerId);
    if (this.held.part !== "middle") this.move(event);
  }

  move(event) {
    if (!this.seconds) return;
    const place = this.at(event);
    if (!this.held) {
      this.element.style.cursor = this.part(place) === "middle" ? "grab" : "ew-resize";
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    const { part, from, start, end } = this.held;
    const within = (value, low, high) => Math.min(Math.max(value, low), Math.max(low, high));
    if (part === "start") this.write(within(place.seconds, 0, end - SHORTEST), end);
    else if (part === "end") this.write(start, within(place.seconds, start + SHORTEST, this.seconds));
    else {
      const shift = within(place.seconds - from, -start, this.seconds - end);
      this.write(start + shift, end + shift);
    }
  }

  release(event) {
    if (!this.held) return;
    event.stopPropagation();
    this.held = null;
    app.extensionManager?.workflow?.activeWorkflow?.changeTracker?.checkState?.();
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.element;
    const ratio = window.devicePixelRatio || 1;
    Object.assign(this.canvas, { width: width * ratio, height: height * ratio });
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.font = "11px system-ui, sans-serif";
    if (!this.levels) return;
    const [left, right] = [this.start, this.end].map((seconds) => (seconds / this.seconds) * width);
    const loudest = Math.max(...this.levels, 1e-6);
    for (let x = 0; x < width; x++) {
      const first = Math.floor((x / width) * this.levels.length);
      const last = Math.max(first + 1, Math.floor(((x + 1) / width) * this.levels.length));
      const bar = Math.max(...this.levels.slice(first, last), 0) / loudest;
      const tall = Math.max(1, bar ** LEVEL_POWER * (height - 22));
      pen.fillStyle = x >= left && x <= right ? "#fb8761" : "#4f127b";
      pen.fillRect(x, (height - 14 - tall) / 2 + 14, 1, tall);
    }
    pen.fillStyle = "#fcfdbf";
    for (const x of [left, right]) {
      pen.fillRect(Math.min(Math.max(x - 1, 0), width - 2), 0, 2, height);
      pen.fillRect(Math.min(Math.max(x - 3, 0), width - 6), height / 2 - 8, 6, 16);
    }
    const [start, end, length, whole] = [this.start, this.end, this.end - this.start, this.seconds].map(clock);
    pen.fillStyle = "#ddd";
    pen.fillText(say("part", { start, end, length, whole }), 6, 12, width - 12);
  }
}

app.registerExtension({
  name: "stylusmusicstyletransfer.trim",

  nodeCreated(node) {
    if (node.comfyClass !== "StylusLoadAudioMel") return;
    const widget = (name) => node.widgets.find((widget) => widget.name === name);
    const audio = widget("audio");
    const strip = new Strip({ start: widget("start"), duration: widget("duration") });
    addElement(node, "trim", strip.element, () => HEIGHT + MARGINS);
    const refresh = () => {
      strip.open(audio.value);
      strip.draw();
    };
    for (const watched of [audio, strip.widgets.start, strip.widgets.duration]) after(watched, "callback", refresh);
    for (const event of ["onAdded", "onConfigure"]) after(node, event, refresh);
  },
});
