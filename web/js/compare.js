import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { addElement, after, clock, element } from "./page.js";
import { say, translate } from "./words.js";

// The player of Compare: every clip runs at once from one clock, and switching only turns another one up. What a run
// found comes as `stylus_compare`, the figure's file, and `audio`: for each clip its file, its gain and its place in the figure.

const FADE = 0.008; // seconds; a switch without a click
const NARROW = 380; // pixels of width: less is a node as ComfyUI places it, more somebody chose
const MARGIN = 20; // pixels that the classic renderer leaves beside a widget
const [TICKS, TITLE, ABOVE] = [44, 56, 8]; // pixels of the figure: a plot's labels below it, its title above it and the gap between

const ICONS = { play: "\u25ba", pause: "\u275a\u275a", loading: "\u2026" };

const STYLE = `
.stylus-compare { display: flex; flex-direction: column; gap: 6px; font: 12px system-ui, sans-serif; width: 100%; }
.stylus-compare .bar { display: flex; flex-wrap: wrap; gap: 4px; align-items: center; flex: none; }
.stylus-compare button, .stylus-compare .save { padding: 3px 9px; border: 1px solid var(--border-color, #555); border-radius: 4px; cursor: pointer;
  background: var(--comfy-input-bg, #222); color: var(--input-text, #ddd); font: inherit; text-decoration: none; }
.stylus-compare button[aria-pressed="true"] { background: #b5367a; border-color: #b5367a; color: #fff; }
.stylus-compare :focus-visible { outline: 2px solid #fec287; }
.stylus-compare .clock { margin-left: auto; color: var(--descrip-text, #999); font-variant-numeric: tabular-nums; }
.stylus-compare .figure { position: relative; width: 100%; flex: none; cursor: crosshair; touch-action: none; container-type: inline-size; }
.stylus-compare .figure img { display: block; width: 100%; height: auto; border-radius: 4px; user-select: none; pointer-events: none; }
.stylus-compare .title { position: absolute; display: flex; align-items: end; background: #fff; color: #000; font-size: 2.8cqw; line-height: 1.3; }
.stylus-compare .playhead { position: absolute; outline: 1px solid #fff; box-shadow: 0 0 4px 1px #000; pointer-events: none; }
.stylus-compare .heard { position: absolute; box-sizing: border-box; border: 2px solid #b5367a; pointer-events: none; }
.stylus-compare .hint { padding: 14px; text-align: center; color: var(--descrip-text, #999); }
`;

class Player {
  /** @param onResize called when the shape of the figure has changed */
  constructor(onResize) {
    this.onResize = onResize;
    this.element = element("div", { className: "stylus-compare", tabIndex: -1, onkeydown: (event) => this.key(event) });
    this.show();
  }

  /** What a run found, or nothing. */
  show(found) {
    this.pause();
    const figure = found?.stylus_compare[0];
    this.tracks = (found?.audio ?? []).map((track) => ({ ...track }));
    this.size = figure?.size;
    this.seconds = this.tracks[0]?.seconds;
    this.position = 0; // seconds, while nothing plays
    this.heard = this.tracks.length - 1; // the last result
    this.element.replaceChildren(element("style", { textContent: STYLE }));
    if (!figure) {
      this.element.append(element("div", { className: "hint", textContent: say("run") }));
      return;
    }
    const button = (className, textContent, title, onclick) => element("button", { className, type: "button", textContent, title, onclick });
    this.play = button("play", "", say("keys"), () => (this.playing ? this.pause() : this.start()));
    this.buttons = this.tracks.map(({ name, title }, index) =>
      button("track", translate(name), `${translate(title)}\n${say("hear", { number: index + 1 })}`, () => this.hear(index)),
    );
    this.loop = button("loop", say("loop"), say("again"), () => (this.loop.ariaPressed = String(this.loop.ariaPressed !== "true")));
    this.loop.ariaPressed = "false";
    this.save = element("a", { className: "save", textContent: say("save"), title: say("download") });
    this.clock = element("span", { className: "clock" });
    const bar = element("div", { className: "bar" }, this.play, ...this.buttons, this.loop, this.save, this.clock);

    const style = `aspect-ratio: ${this.size[0]} / ${this.size[1]}`;
    const image = element("img", { src: fileUrl(figure.filename), alt: say("figure"), draggable: false, style });
    this.outline = element("div", { className: "heard" });
    this.playhead = element("div", { className: "playhead" });
    this.figure = element("div", { className: "figure" }, image, ...this.titles(), this.outline, this.playhead);
    this.figure.onpointerdown = (event) => this.seek(event, true);
    this.figure.onpointermove = (event) => event.buttons === 1 && this.seek(event, false);
    this.element.append(bar, this.figure);
    this.draw();
    this.onResize();
  }

  /** The figure's titles in another language than its English, over those that are drawn. */
  titles() {
    if (translate("content") === "content") return [];
    return this.tracks.map(({ title, seconds, plot: [left, top, right] }, index) => {
      const cut = seconds > 1.01 * this.seconds ? ` ${say("first", { seconds: clock(this.seconds), whole: clock(seconds) })}` : "";
      const cover = element("div", { className: "title", textContent: translate(title) + cut });
      this.place(cover, [left, index ? this.tracks[index - 1].plot[3] + TICKS : top - TITLE, right, top - ABOVE]);
      return cover;
    });
  }

  /** Lay a part over a box of the figure's pixels. */
  place(part, [left, top, right, bottom]) {
    const [width, height] = this.size;
    const inset = [top / height, 1 - right / width, 1 - bottom / height, left / width];
    part.style.inset = inset.map((share) => `${100 * share}%`).join(" ");
  }

  get now() {
    return this.playing ? this.context.currentTime - this.began : this.position;
  }

  async start() {
    this.context ??= new AudioContext();
    const token = (this.wanted = {});
    this.showState("loading");
    try {
      await Promise.all([this.context.resume(), ...this.tracks.map((track) => this.load(track))]);
    } catch (error) {
      this.showState("play");
      this.clock.textContent = say("unplayable", { reason: error.message });
      return;
    }
    if (this.wanted !== token) return; // paused, or another run, in the meantime
    this.playing = true;
    this.began = this.context.currentTime - this.position;
    for (const [index, track] of this.tracks.entries()) {
      track.volume = new GainNode(this.context, { gain: index === this.heard ? track.gain : 0 });
      track.source = new AudioBufferSourceNode(this.context, { buffer: track.buffer });
      track.source.connect(track.volume).connect(this.context.destination);
      track.source.start(0, this.position);
    }
    this.follow();
  }

  pause() {
    this.wanted = null;
    if (!this.playing) return;
    this.position = Math.min(this.now, this.seconds);
    this.playing = false;
    for (const track of this.tracks) track.source.stop();
    this.draw();
  }

  showState(state) {
    if (this.play.ariaLabel === say(state)) return; // or the button would be drawn anew in every frame
    Object.assign(this.play, { ariaLabel: say(state), textContent: ICONS[state] });
  }

  async load(track) {
    if (track.buffer) return;
    const response = await fetch(fileUrl(track.filename));
    if (!response.ok) throw new Error(say("gone"));
    track.buffer = await this.context.decodeAudioData(await response.arrayBuffer());
  }

  hear(index) {
    this.heard = index;
    if (this.playing)
      for (const [other, track] of this.tracks.entries())
        track.volume.gain.setTargetAtTime(other === index ? track.gain : 0, this.context.currentTime, FADE);
    this.draw();
  }

  /** Go where the figure was pressed; a press on a clip's panel also makes it the one that is heard. */
  seek(event, choose) {
    event.preventDefault();
    event.stopPropagation();
    this.element.focus({ preventScroll: true });
    const box = this.figure.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * this.size[0];
    const y = ((event.clientY - box.top) / box.height) * this.size[1];
    const [left, , right] = this.tracks[0].plot;
    if (choose) {
      const index = this.tracks.findIndex(({ plot }) => y >= plot[1] && y <= plot[3]);
      if (index >= 0) this.hear(index);
      this.figure.setPointerCapture(event.pointerId);
    }
    this.jump(((x - left) / (right - left)) * this.seconds);
  }

  jump(seconds) {
    const playing = this.playing;
    this.pause();
    this.position = Math.min(this.seconds, Math.max(0, seconds));
    this.draw();
    if (playing) this.start();
  }

  key(event) {
    if (!this.tracks.length) return;
    const number = Number(event.key);
    const seconds = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (number >= 1 && number <= this.tracks.length) this.hear(number - 1);
    else if (event.key === " ") this.play.click();
    else if (seconds) this.jump(this.now + seconds);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  follow() {
    if (!this.playing) return;
    if (this.now >= this.seconds) {
      this.pause();
      this.position = 0;
      if (this.loop.ariaPressed === "true") this.start();
    }
    this.draw();
    requestAnimationFrame(() => this.follow());
  }

  draw() {
    const [left, top, right] = this.tracks[0].plot;
    const now = left + ((right - left) * Math.min(this.now, this.seconds)) / this.seconds;
    this.place(this.playhead, [now, top, now, this.tracks.at(-1).plot[3]]);
    this.place(this.outline, this.tracks[this.heard].plot);
    for (const [index, button] of this.buttons.entries()) button.ariaPressed = String(index === this.heard);
    const { name, filename } = this.tracks[this.heard];
    Object.assign(this.save, { href: fileUrl(filename), download: `${name}.${filename.split(".").pop()}` });
    this.showState(this.playing ? "pause" : "play");
    this.clock.textContent = `${this.now.toFixed(1)} / ${this.seconds.toFixed(1)} s`;
  }

  close() {
    this.pause();
    this.context?.close();
    this.context = undefined;
  }
}

const fileUrl = (name) => api.apiURL(`/view?filename=${encodeURIComponent(name)}&type=temp`);

app.registerExtension({
  name: "stylusmusicstyletransfer.compare",

  nodeCreated(node) {
    if (node.comfyClass !== "StylusCompare") return;
    const fit = () => {
      const width = player.size && node.size[0] < NARROW ? 640 : node.size[0];
      node.setSize([width, node.computeSize()[1]]);
      node.graph?.setDirtyCanvas(true, true);
    };
    const player = new Player(fit);
    const height = () => {
      if (!player.size) return 60;
      const bar = player.element.querySelector(".bar")?.offsetHeight || 28;
      return bar + 10 + ((node.size[0] - MARGIN) * player.size[1]) / player.size[0];
    };
    addElement(node, "compare", player.element, height);
    const show = (output) => output?.stylus_compare && player.show(output);
    after(node, "onExecuted", show);
    after(node, "onAdded", () => show(app.nodeOutputs?.[String(node.id)])); // of an earlier run, when the workflow's tab is opened again
    after(node, "onConfigure", fit); // the workflow may have been saved with another number of results, or with none
    after(node, "onRemoved", () => player.close());
  },
});
