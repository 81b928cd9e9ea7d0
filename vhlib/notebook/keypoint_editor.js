// The page's half of KeypointEditor: points over a photo, moved by mouse, touch or keys.
//
// model.scene   what stays: box (left, top, right, bottom of the photo's part), names, colors, ...
// model.asked   {serial, xy}, written here: where the points are now
// model.answer  {serial, projected, picture, picture_type, picture_box, text}, written by Python
//
// All positions are pixels of the whole photo.

const REACH = { mouse: 20, pen: 20, touch: 30 }; // how far from a point it can still be grabbed, CSS px
const SLOW_MS = 1500; // after this a page says that it waits
const PATIENCE_MS = 5000; // after this a question counts as lost, and the next move asks again
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const WAITING = "Waiting for Python. If its kernel was stopped, run this cell again.";
const HELP = "Drag a point, or move to it with Tab and push it with the arrow keys (Shift: further; Escape: back).";

function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function drawing(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

class Editor {
  constructor(model, parent) {
    Object.assign(this, { model, scene: model.get("scene"), held: null, asking: 0, stale: false });
    const [left, top, right, bottom] = this.scene.box;
    this.size = [right - left, bottom - top];
    this.build(parent);
    this.listeners = { "change:asked": () => this.follow(), "change:answer": () => this.answered() };
    for (const [event, listener] of Object.entries(this.listeners)) model.on(event, listener);
    this.follow();
    this.show(model.get("answer"));
  }

  build(parent) {
    const { alt, box, edges, used, names } = this.scene;
    const view = { viewBox: `${box[0]} ${box[1]} ${this.size[0]} ${this.size[1]}`, "aria-hidden": true };
    const line = (kind) => drawing("line", { class: kind });
    this.photo = this.picture("photo", this.model.get("photo"), "image/jpeg");
    this.photo.alt = alt;
    this.overlay = element("img", { className: "overlay", alt: "", hidden: true });
    this.fit = edges.map(() => [line("casing"), line("fit")]);
    this.gaps = names.map(() => line("gap"));
    this.seen = edges.map(([a, b]) => (used[a] && used[b] ? line("seen") : null));
    const lines = [...this.seen.filter(Boolean), ...this.fit.map((pair) => pair[0])];
    lines.push(...this.fit.map((pair) => pair[1]), ...this.gaps);
    this.points = names.map((_, index) => this.point(index));
    this.stage = element("div", { className: "stage" }, this.photo, this.overlay);
    this.stage.append(drawing("svg", view, ...lines), ...this.points.filter(Boolean));
    this.stage.style.aspectRatio = `${this.size[0]} / ${this.size[1]}`;
    this.stage.style.setProperty("--aspect", this.size[0] / this.size[1]);
    this.reset = element("button", { className: "reset", type: "button", textContent: "Reset" });
    this.words = element("output", { className: "words" });
    this.clock = element("span", { className: "clock" });
    this.note = element("p", { className: "note", textContent: HELP, role: "status" });
    this.root = element("div", { className: "vhlib-keypoint-editor" }, this.stage);
    this.root.append(element("div", { className: "bar" }, this.reset, this.words, this.clock), this.note);
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", "Movable keypoints");
    this.root.dataset.lmSuppressShortcuts = "true"; // or JupyterLab takes the arrow keys
    this.listen();
    parent.append(this.root);
  }

  point(index) {
    const { names, colors, used, shown } = this.scene;
    if (!shown[index]) return null;
    const label = element("span", { className: "label", textContent: names[index] });
    if (!used[index]) label.textContent += " (not used)";
    const button = element("button", { type: "button", className: "point" }, label);
    button.classList.toggle("hollow", !used[index]);
    button.dataset.index = index;
    button.style.setProperty("--color", colors[index]);
    button.setAttribute("aria-roledescription", "movable point");
    return button;
  }

  listen() {
    const { stage } = this;
    stage.addEventListener("pointerdown", (event) => this.grab(event));
    stage.addEventListener("pointermove", (event) => this.drag(event));
    stage.addEventListener("pointerleave", () => this.mark(null));
    for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, (event) => this.drop(event));
    stage.addEventListener("keydown", (event) => this.push(event));
    stage.addEventListener("dragstart", (event) => event.preventDefault()); // of the photo itself
    this.reset.addEventListener("click", () => this.moveAll(this.scene.start));
  }

  // ---- moving points

  place(event) { // where the pointer is, in pixels of the photo, and how many of those a CSS pixel is
    const frame = this.stage.getBoundingClientRect();
    const scale = this.size[0] / frame.width;
    const x = this.scene.box[0] + (event.clientX - frame.left) * scale;
    const y = this.scene.box[1] + (event.clientY - frame.top) * scale;
    return { x, y, scale };
  }

  nearest(event) { // points crowd in a face: the nearest one counts, not the uppermost
    const { x, y, scale } = this.place(event);
    const reach = (REACH[event.pointerType] ?? REACH.mouse) * scale;
    let [best, distance] = [null, reach];
    this.points.forEach((point, index) => {
      const away = Math.hypot(this.xy[index][0] - x, this.xy[index][1] - y);
      if (point && away < distance) [best, distance] = [index, away];
    });
    return best;
  }

  grab(event) {
    const index = this.nearest(event);
    if (index === null || this.held || event.button !== 0) return;
    event.preventDefault();
    const { x, y } = this.place(event);
    const [pointX, pointY] = this.xy[index];
    this.held = { index, pointer: event.pointerId, offset: [pointX - x, pointY - y] };
    this.stage.setPointerCapture(event.pointerId);
    this.points[index].focus({ preventScroll: true });
    this.mark(index);
  }

  drag(event) {
    if (!this.held) return this.mark(event.pointerType === "touch" ? null : this.nearest(event));
    if (event.pointerId !== this.held.pointer) return;
    const { x, y } = this.place(event);
    const { index, offset } = this.held;
    this.move(index, [x + offset[0], y + offset[1]]);
  }

  drop(event) {
    if (this.held?.pointer !== event.pointerId) return;
    this.held = null;
    this.mark(null);
  }

  mark(index) { // the point that a press would grab wears its name
    this.points.forEach((point, other) => point?.classList.toggle("near", other === index));
    this.stage.classList.toggle("grabbing", this.held !== null);
  }

  push(event) {
    const index = Number(event.target.dataset?.index ?? NaN);
    const step = STEPS[event.key];
    if (Number.isNaN(index) || !(step || event.key === "Escape") || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    if (!step) return this.move(index, this.scene.start[index]);
    const far = (event.shiftKey ? 0.02 : 0.004) * this.size[1];
    const [x, y] = this.xy[index];
    this.move(index, [x + far * step[0], y + far * step[1]]);
  }

  move(index, [x, y]) {
    const [left, top, right, bottom] = this.scene.box;
    const inside = [Math.min(Math.max(x, left), right), Math.min(Math.max(y, top), bottom)];
    this.moveAll(this.xy.map((xy, other) => (other === index ? inside : xy)));
  }

  moveAll(xy) {
    this.xy = xy;
    this.draw();
    this.ask();
  }

  // ---- asking Python: one question at a time, the latest positions win

  ask() {
    const waited = performance.now() - this.since;
    this.stale = this.asking > 0 && waited < PATIENCE_MS;
    if (this.stale) return;
    this.asking = this.model.get("asked").serial + 1;
    this.since = performance.now();
    this.root.setAttribute("aria-busy", true);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.say(WAITING), SLOW_MS);
    this.model.set("asked", { serial: this.asking, xy: this.xy });
    this.model.save_changes();
  }

  answered() {
    const answer = this.model.get("answer");
    if (this.asking && answer.serial >= this.asking) {
      this.clock.textContent = `${Math.round(performance.now() - this.since)} ms from move to answer`;
      this.asking = 0;
      clearTimeout(this.timer);
      this.say(HELP);
      if (this.stale) this.ask();
    }
    this.show(answer);
  }

  follow() { // another view of the same editor moved a point
    if (this.held) return;
    this.xy = this.model.get("asked").xy;
    this.draw();
  }

  // ---- drawing

  async show(answer) {
    this.showing = answer;
    let picture = null;
    if (answer.picture) {
      picture = this.picture("overlay", answer.picture, answer.picture_type);
      await picture.decode().catch(() => {}); // body and skeleton change together
      if (this.showing !== answer) return;
    }
    this.put(picture ?? element("img", { className: "overlay", alt: "", hidden: true }), answer.picture_box);
    this.projected = answer.projected;
    this.words.textContent = answer.text;
    this.root.setAttribute("aria-busy", this.asking > 0);
    this.draw();
  }

  put(picture, box) {
    if (box) {
      const [left, top] = this.share(box), [right, bottom] = this.share(box.slice(2));
      const percent = { left, top, width: right - left, height: bottom - top };
      for (const [side, value] of Object.entries(percent)) picture.style[side] = `${value}%`;
    }
    this.overlay.replaceWith(picture);
    this.overlay = picture;
  }

  picture(className, data, type) {
    const address = URL.createObjectURL(new Blob([data], { type }));
    const image = element("img", { className, alt: "", draggable: false, src: address });
    const revoke = () => URL.revokeObjectURL(address);
    image.addEventListener("load", revoke, { once: true });
    image.addEventListener("error", revoke, { once: true });
    return image;
  }

  share([x, y]) { // of the box's width and height, percent
    return [(100 * (x - this.scene.box[0])) / this.size[0], (100 * (y - this.scene.box[1])) / this.size[1]];
  }

  draw() {
    const { edges, names, used } = this.scene;
    const { xy, projected } = this;
    edges.forEach(([a, b], index) => {
      if (this.seen[index]) join(this.seen[index], xy[a], xy[b]);
      for (const line of this.fit[index]) join(line, projected?.[a], projected?.[b]);
    });
    this.gaps.forEach((gap, index) => join(gap, used[index] ? xy[index] : null, projected?.[index]));
    this.points.forEach((point, index) => {
      if (!point) return;
      const [left, top] = this.share(xy[index]);
      point.style.left = `${left}%`;
      point.style.top = `${top}%`;
      point.classList.toggle("leftward", left > 70);
      const [x, y] = xy[index].map(Math.round);
      const confidence = this.scene.confidence[index].toFixed(2);
      point.setAttribute("aria-label", `${names[index]}, ${x} right, ${y} down, confidence ${confidence}`);
    });
  }

  say(words) {
    this.note.textContent = words;
  }

  close() {
    for (const [event, listener] of Object.entries(this.listeners)) this.model.off(event, listener);
    clearTimeout(this.timer);
    this.showing = null;
    this.root.remove();
  }
}

function join(line, from, to) {
  line.style.display = from && to ? "" : "none";
  if (!from || !to) return;
  const ends = { x1: from[0], y1: from[1], x2: to[0], y2: to[1] };
  for (const [name, value] of Object.entries(ends)) line.setAttribute(name, value);
}

export default {
  render({ model, el }) {
    const editor = new Editor(model, el);
    return () => editor.close();
  },
};
