// Layers over a slide: tissue, patches, kept tokens, heat. All positions are level-0 pixels.

const VIRIDIS = [
  [68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142],
  [31, 158, 137], [53, 183, 121], [109, 205, 89], [180, 222, 44], [253, 231, 37],
];
const FAINT = 0.35; // how much of the strength the lowest level has
const SMALL_PX = 8; // patches narrower than this on the screen are filled, not outlined

/** Return the colour of a level from 0 to 1. */
export function viridis(level) {
  const place = Math.min(Math.max(level, 0), 1) * (VIRIDIS.length - 1);
  const from = Math.min(Math.floor(place), VIRIDIS.length - 2);
  const mixed = VIRIDIS[from].map((low, i) => Math.round(low + (VIRIDIS[from + 1][i] - low) * (place - from)));
  return `rgb(${mixed})`;
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

export class Layers {
  constructor(canvas) {
    this.canvas = canvas;
    this.shown = new Set();
    this.strength = 0.7;
    this.clear();
  }

  clear() {
    this.tissue = this.patches = this.kept = this.heat = null;
  }

  /** Keep outlines of tissue: polygons of rings of [x, y]. */
  setTissue(polygons) {
    this.tissue = new Path2D();
    for (const ring of polygons.flat()) {
      ring.forEach(([x, y], i) => (i ? this.tissue.lineTo(x, y) : this.tissue.moveTo(x, y)));
      this.tissue.closePath();
    }
  }

  /** Draw what is shown. `zero` is where the corner of the slide lies, `scale` the pixels of the screen per pixel. */
  draw(zero, scale) {
    const { canvas } = this;
    const dense = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(width * dense) || canvas.height !== Math.round(height * dense)) {
      canvas.width = Math.round(width * dense);
      canvas.height = Math.round(height * dense);
    }
    const on = canvas.getContext("2d");
    on.setTransform(1, 0, 0, 1, 0, 0);
    on.clearRect(0, 0, canvas.width, canvas.height);
    if (!scale) return;
    on.setTransform(scale * dense, 0, 0, scale * dense, zero.x * dense, zero.y * dense);
    const view = [-zero.x / scale, -zero.y / scale, (width - zero.x) / scale, (height - zero.y) / scale];
    if (this.has("heat")) this.#heat(on, view);
    if (this.has("tissue")) {
      on.strokeStyle = colour("tissue");
      on.lineWidth = 2.5 / scale;
      on.stroke(this.tissue);
    }
    if (this.has("patches")) this.#boxes(on, view, scale, this.patches, colour("patches"), 1, 0.1);
    if (this.has("kept")) this.#boxes(on, view, scale, this.kept, colour("kept"), 2, 0.22);
  }

  has(name) {
    return this.shown.has(name) && this[name] !== null;
  }

  #boxes(on, view, scale, boxes, stroke, width, tint) {
    const small = boxes.length > 0 && boxes[0][2] * scale < SMALL_PX;
    const seen = boxes.filter(([x, y, w, h]) => isVisible(x, y, w, h, view));
    on.fillStyle = on.strokeStyle = stroke;
    on.globalAlpha = small ? 0.5 : tint;
    for (const [x, y, w, h] of seen) on.fillRect(x, y, w, h); // one by one: several times faster than as one path
    on.globalAlpha = 1;
    if (small) return;
    on.lineWidth = width / scale;
    for (const [x, y, w, h] of seen) on.strokeRect(x, y, w, h);
  }

  #heat(on, view) {
    const { boxes, levels } = this.heat;
    boxes.forEach(([x, y, w, h], i) => {
      if (!isVisible(x, y, w, h, view)) return;
      on.globalAlpha = this.strength * (FAINT + (1 - FAINT) * levels[i]); // the tissue stays visible where it hardly looked
      on.fillStyle = viridis(levels[i]);
      on.fillRect(x, y, w, h);
    });
    on.globalAlpha = 1;
  }
}

const isVisible = (x, y, w, h, [left, top, right, bottom]) => x <= right && y <= bottom && x + w >= left && y + h >= top;
