// Viewer: a slide, image or blank canvas in OpenSeadragon, with its layers and a scale bar.

import { authorization } from "./api.js";
import { Layers } from "./layers.js";

const BLANK_PX = 512;
const byId = (id) => document.getElementById(id);

export class Viewer {
  constructor(onFailure) {
    const element = byId("viewer");
    this.canvas = document.createElement("canvas");
    this.canvas.className = "layer";
    this.layers = new Layers(this.canvas);
    this.onFailure = onFailure;
    this.mpp = null;
    this.missing = typeof OpenSeadragon === "undefined";
    if (this.missing) return;
    this.osd = OpenSeadragon({
      element,
      drawer: "canvas",
      showNavigationControl: false,
      showNavigator: true,
      navigatorPosition: "BOTTOM_RIGHT",
      navigatorDisplayRegionColor: "#4b3a9b",
      navigatorSizeRatio: 0.17,
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
      maxZoomPixelRatio: 4,
      visibilityRatio: 0.3,
      animationTime: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 0.5,
      loadTilesWithAjax: true,
      ajaxHeaders: authorization(),
      tileRetryMax: 0,
    });
    element.append(this.canvas);
    const draw = () => this.draw();
    for (const event of ["update-viewport", "resize", "animation", "animation-finish", "open"]) this.osd.addHandler(event, draw);
    this.osd.addHandler("canvas-key", (event) => {
      // OpenSeadragon turns and flips the slide with these; the layers lie over a slide as it was scanned
      if ("rRfF".includes(event.originalEvent.key)) event.preventDefaultAction = true;
    });
    this.osd.addHandler("tile-load-failed", (event) => this.#failed(event));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  }

  /** Show what the server says about a file (`view/open`). */
  open(shown) {
    this.close();
    this.mpp = shown.mpp;
    this.failed = false;
    if (this.missing) return;
    this.osd.setAjaxHeaders(authorization());
    this.osd.open({ tileSource: source(shown), loadTilesWithAjax: Boolean(shown.tiles || shown.image) });
  }

  close() {
    this.layers.clear();
    if (!this.missing) this.osd.close();
    this.draw();
  }

  /** Return the slide to its whole. */
  home() {
    if (!this.missing) this.osd.viewport.goHome();
  }

  draw() {
    const item = this.missing ? null : this.osd.world.getItemAt(0);
    if (!item) return this.layers.draw({ x: 0, y: 0 }, 0), (byId("scale").hidden = true);
    const at = (x) => this.osd.viewport.pixelFromPoint(item.imageToViewportCoordinates(x, 0), true);
    const [zero, other] = [at(0), at(1000)];
    const scale = (other.x - zero.x) / 1000;
    this.layers.draw(zero, scale);
    this.#scaleBar(scale);
  }

  #scaleBar(scale) {
    const bar = byId("scale");
    bar.hidden = !this.mpp;
    if (!this.mpp) return;
    const most = (140 / scale) * this.mpp; // microns
    const power = 10 ** Math.floor(Math.log10(most));
    const length = [5, 2, 1].map((each) => each * power).find((each) => each <= most) ?? power;
    bar.firstElementChild.style.width = `${(length / this.mpp) * scale}px`;
    bar.lastElementChild.textContent = length >= 1000 ? `${length / 1000} mm` : `${+length.toPrecision(3)} µm`;
  }

  async #failed(event) {
    if (this.failed) return; // the first tile that cannot be read says enough
    this.failed = true;
    let said = event.message;
    const reply = event.tile && (await fetch(event.tile.getUrl(), { headers: authorization() }).catch(() => null));
    if (reply && !reply.ok) said = (await reply.json().catch(() => null))?.error?.message ?? said;
    this.onFailure(said);
  }
}

/** Return the tile source of OpenSeadragon. */
function source({ tiles, image, size: [width, height] }) {
  if (image) return { type: "image", url: image, buildPyramid: false };
  const maxLevel = Math.ceil(Math.log2(Math.max(width, height, 1)));
  if (!tiles) {
    const blank = document.createElement("canvas");
    blank.width = blank.height = BLANK_PX;
    const on = blank.getContext("2d");
    on.fillStyle = "#fff";
    on.fillRect(0, 0, BLANK_PX, BLANK_PX);
    const url = blank.toDataURL();
    return { width, height, tileSize: BLANK_PX, minLevel: 0, maxLevel, getTileUrl: () => url };
  }
  const { url, size, overlap } = tiles;
  return {
    width, height, tileSize: size, tileOverlap: overlap, maxLevel,
    minLevel: Math.min(8, maxLevel),
    getTileUrl: (level, x, y) => `${url}&level=${level}&column=${x}&row=${y}`,
  };
}
