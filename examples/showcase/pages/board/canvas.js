// The strokes on the canvas, and the pointers above it. Points are in the board's units, whatever size it has here.

import { element, hue } from "/shared/people.js";

const THICKNESS = 5;
const SVG = "http://www.w3.org/2000/svg";
const ARROW = "M2 1.5 13.5 7 8 8.6 5.6 14z";

export class Canvas {
  #board;
  #canvas;
  #pointers = new Map();
  #frame = 0;
  /** How many units there are; told by the server. */
  size = { width: 1600, height: 1000 };
  /** What is drawn: strokes with `color` and `points`. */
  strokes = () => [];

  constructor(board) {
    this.#board = board;
    this.#canvas = board.querySelector("canvas");
    new ResizeObserver(() => this.draw()).observe(this.#canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** The point of the board under the mouse. */
  pointAt({ clientX, clientY }) {
    const box = this.#canvas.getBoundingClientRect();
    return this.clamp([
      ((clientX - box.left) / box.width) * this.size.width,
      ((clientY - box.top) / box.height) * this.size.height,
    ]);
  }

  clamp([x, y]) {
    const within = (value, most) => Math.min(most, Math.max(0, Math.round(value)));
    return [within(x, this.size.width), within(y, this.size.height)];
  }

  /** Draws in the next frame, however often it is asked. */
  draw() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#drawNow();
    });
  }

  #drawNow() {
    const ratio = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (width === 0) return;
    this.#canvas.width = Math.round(width * ratio);
    this.#canvas.height = Math.round(height * ratio);
    const style = getComputedStyle(this.#canvas);
    const context = this.#canvas.getContext("2d");
    context.scale((width * ratio) / this.size.width, (height * ratio) / this.size.height);
    context.lineWidth = THICKNESS;
    context.lineCap = context.lineJoin = "round";
    for (const { color, points } of this.strokes()) {
      context.strokeStyle = style.getPropertyValue(`--color-${color}`).trim();
      context.beginPath();
      context.moveTo(...points[0]);
      // A line to the same point is a dot.
      for (const point of points.length > 1 ? points.slice(1) : points) context.lineTo(...point);
      context.stroke();
    }
    for (const pointer of this.#pointers.values()) this.#place(pointer);
  }

  /** Shows where somebody points; `name` is what is written beside it. */
  showPointer(id, name, at) {
    const pointer = this.#pointers.get(id) ?? this.#addPointer(id);
    pointer.at = at;
    pointer.label.dataset.name = name;
    pointer.label.style.setProperty("--hue", hue(name));
    pointer.label.querySelector("span").textContent = name;
    this.#place(pointer);
  }

  /** Takes away the pointers of all but those with these ids. */
  keepPointers(ids) {
    for (const [id, { label }] of this.#pointers) {
      if (ids.has(id)) continue;
      label.remove();
      this.#pointers.delete(id);
    }
  }

  #addPointer(id) {
    const label = element("div", "pointer");
    const arrow = document.createElementNS(SVG, "svg");
    arrow.setAttribute("viewBox", "0 0 16 16");
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", ARROW);
    path.setAttribute("fill", "currentColor");
    arrow.append(path);
    label.append(arrow, element("span"));
    this.#board.querySelector("#pointers").append(label);
    const pointer = { label };
    this.#pointers.set(id, pointer);
    return pointer;
  }

  #place({ label, at: [x, y] }) {
    const { clientWidth, clientHeight } = this.#canvas;
    const left = (x / this.size.width) * clientWidth;
    label.classList.toggle("left", left > clientWidth * 0.8);
    label.style.transform = `translate(${left}px, ${(y / this.size.height) * clientHeight}px)`;
  }
}
