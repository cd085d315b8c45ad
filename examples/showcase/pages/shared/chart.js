// Lines over time on a canvas, drawn anew whenever they are shown.

const LEFT = 8;
const BOTTOM = 24;
const TOP = 14;

/** A chart; its colours are the page's. */
export class Chart {
  #canvas;
  #last;
  #frame = 0;

  constructor(canvas) {
    this.#canvas = canvas;
    new ResizeObserver(() => this.#request()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#request());
  }

  /**
   * Shows `series`, each with a `color` (the name of a custom property) and `points` ([x, y], in the order of x).
   * `x` and `y` are what the axes reach from and to; `lines` are the values that get a line, and `label` names them.
   * `seconds` is how far apart the marks below are. With `log` the y axis is logarithmic; `dots` marks each point.
   */
  show(options) {
    this.#last = options;
    this.#request();
  }

  #request() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      if (this.#last) this.#draw(this.#last);
    });
  }

  #draw({ series, x: [x0, x1], y: [y0, y1], lines, label, seconds = 10, log = false, dots = false }) {
    const ratio = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (width === 0 || height === 0) return;
    this.#canvas.width = Math.round(width * ratio);
    this.#canvas.height = Math.round(height * ratio);
    const style = getComputedStyle(this.#canvas);
    const color = (name) => style.getPropertyValue(name).trim();
    const context = this.#canvas.getContext("2d");
    context.scale(ratio, ratio);
    context.font = "11px ui-sans-serif, system-ui, sans-serif";
    const right = 12 + Math.max(...lines.map((value) => context.measureText(label(value)).width));
    const bottom = height - BOTTOM;
    const scale = log ? (value) => Math.log(Math.max(value, y0)) : (value) => value;
    const atX = (value) => LEFT + ((value - x0) / (x1 - x0)) * (width - LEFT - right);
    const atY = (value) => bottom - ((scale(value) - scale(y0)) / (scale(y1) - scale(y0))) * (bottom - TOP);

    context.strokeStyle = color("--line");
    context.fillStyle = color("--muted");
    context.lineWidth = 1;
    context.textAlign = "left";
    for (const value of lines) {
      const y = Math.round(atY(value)) + 0.5;
      context.beginPath();
      context.moveTo(LEFT, y);
      context.lineTo(width - right, y);
      context.stroke();
      context.fillText(label(value), width - right + 7, y + 4);
    }
    context.textAlign = "center";
    for (let ago = 0; ago <= (x1 - x0) / 1000; ago += seconds) {
      const x = atX(x1 - ago * 1000);
      const text = ago === 0 ? "now" : `−${ago} s`;
      const half = context.measureText(text).width / 2;
      if (x - half >= 0) context.fillText(text, Math.min(x, width - half), height - 6);
    }

    context.save();
    context.beginPath();
    context.rect(LEFT, 0, width - LEFT - right + 4, height);
    context.clip();
    context.lineWidth = 2;
    context.lineJoin = "round";
    for (const { color: name, points } of series) {
      if (points.length === 0) continue;
      context.strokeStyle = context.fillStyle = color(name);
      context.beginPath();
      for (const [x, y] of points) context.lineTo(atX(x), atY(y));
      context.globalAlpha = dots ? 0.55 : 1;
      context.stroke();
      context.globalAlpha = 1;
      for (const [x, y] of dots ? points : points.slice(-1)) {
        context.beginPath();
        context.arc(atX(x), atY(y), dots ? 2.5 : 3.5, 0, 2 * Math.PI);
        context.fill();
      }
    }
    context.restore();
  }
}
