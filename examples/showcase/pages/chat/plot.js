// The round-trip plot: the samples of the last minute as a line on a canvas.

const SPAN = 60_000;
const LEAST_SPAN = 10_000;

/** Keeps the samples and draws them; nothing is drawn while the page is hidden. */
export class Plot {
  #canvas;
  #samples = [];
  #frame = 0;

  constructor(canvas) {
    this.#canvas = canvas;
    new ResizeObserver(() => this.#request()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#request());
  }

  /** Adds one round trip of `ms` milliseconds. */
  add(ms) {
    const now = performance.now();
    this.#samples.push({ at: now, ms });
    while (this.#samples[0].at < now - SPAN) this.#samples.shift();
    this.#request();
  }

  /** How many samples the last minute has. */
  get count() {
    return this.#samples.length;
  }

  /** The value below which `share` (0 to 1) of the last minute's samples lie; undefined while there is none. */
  quantile(share) {
    const sorted = this.#samples.map(({ ms }) => ms).sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  }

  #request() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  #draw() {
    const ratio = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (width === 0 || height === 0) return;
    this.#canvas.width = Math.round(width * ratio);
    this.#canvas.height = Math.round(height * ratio);
    const style = getComputedStyle(this.#canvas);
    const accent = style.getPropertyValue("--accent").trim();
    const line = style.getPropertyValue("--line").trim();
    const muted = style.getPropertyValue("--muted").trim();
    const context = this.#canvas.getContext("2d");
    context.scale(ratio, ratio);

    const top = niceCeiling(Math.max(1, ...this.#samples.map(({ ms }) => ms)) * 1.1);
    const bottom = height - 1.5;
    const room = height - 14;
    const y = (ms) => bottom - (ms / top) * room;

    context.strokeStyle = line;
    context.lineWidth = 1;
    context.fillStyle = muted;
    context.font = "10.5px ui-sans-serif, system-ui, sans-serif";
    context.textAlign = "right";
    const steps = height > 60 ? 2 : 1;
    for (let step = 0; step <= steps; step += 1) {
      const ms = (top / steps) * step;
      const at = Math.round(y(ms)) + 0.5;
      context.beginPath();
      context.moveTo(0, at);
      context.lineTo(width, at);
      context.stroke();
      if (step > 0) context.fillText(`${ms} ms`, width, at - 3.5);
    }

    if (this.#samples.length < 2) return;
    const newest = this.#samples.at(-1).at;
    const span = Math.max(LEAST_SPAN, newest - this.#samples[0].at);
    const points = this.#samples.map(({ at, ms }) => [width - 4 - ((newest - at) / span) * (width - 4), y(ms)]);
    const path = new Path2D();
    path.moveTo(...points[0]);
    for (let i = 1; i < points.length; i += 1) {
      const [x0, y0] = points[i - 1];
      const [x1, y1] = points[i];
      const middle = (x0 + x1) / 2;
      path.bezierCurveTo(middle, y0, middle, y1, x1, y1);
    }
    const area = new Path2D(path);
    area.lineTo(points.at(-1)[0], bottom);
    area.lineTo(points[0][0], bottom);
    area.closePath();
    const fill = context.createLinearGradient(0, height - room, 0, bottom);
    fill.addColorStop(0, `color-mix(in srgb, ${accent} 30%, transparent)`);
    fill.addColorStop(1, `color-mix(in srgb, ${accent} 3%, transparent)`);
    context.fillStyle = fill;
    context.fill(area);
    context.strokeStyle = accent;
    context.lineWidth = 1.75;
    context.lineJoin = "round";
    context.stroke(path);
    context.fillStyle = accent;
    context.beginPath();
    context.arc(...points.at(-1), 3, 0, 2 * Math.PI);
    context.fill();
  }
}

/** The least of 1, 2, 4, 10, 20, 40, … that is not below `value`: its half is a round number too. */
function niceCeiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 10].map((step) => step * power).find((step) => step >= value);
}
