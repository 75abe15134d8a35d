// The page: a list of files, the viewer with its layers, and the conversation, put together.

import { call, get, Refused } from "./api.js";
import { Chat } from "./chat.js";
import { Files } from "./files.js";
import { viridis } from "./layers.js";
import { Viewer } from "./viewer.js";

const byId = (id) => document.getElementById(id);
const layer = (name) => document.querySelector(`[data-layer=${name}]`);
const KEYS = { t: "tissue", p: "patches", k: "kept", h: "heat" };

let file = null; // what the server says about the file that is open
let known = []; // what is to be known of it, a sentence each
let reads = "bags";

const viewer = new Viewer((said) => note(said, true));
const files = new Files(open);
const chat = new Chat({ onWhy: why, onAnswer: answered, onHide: hideHeat });

/** Say something below the slide, beside what is to be known of the file as long as it is open. */
function note(text = "", wrong = false) {
  byId("note").textContent = wrong ? text : [...known, text].filter(Boolean).join(" ");
  byId("note").className = wrong ? "error" : "quiet";
}

/** Do what may be refused, and say so where it is. */
async function trying(work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Refused)) console.error(error);
    note(error.message, true);
    return null;
  }
}

async function open(name) {
  document.querySelector("nav").classList.remove("open");
  byId("show-files").setAttribute("aria-expanded", "false");
  files.mark(name);
  file = { name, kind: null };
  known = [];
  viewer.close();
  chat.open(null);
  hideHeat();
  note();
  byId("layers").hidden = true;
  byId("about").textContent = "";
  byId("empty").hidden = false;
  byId("empty").textContent = "Opening ...";
  const shown = await trying(() => get(`view/open?file=${encodeURIComponent(name)}`));
  if (file.name !== name) return; // another one was opened meanwhile
  byId("empty").textContent = shown ? "" : "This file cannot be shown.";
  chat.open(shown ? name : null);
  if (!shown) return;
  file = shown;
  byId("empty").hidden = !viewer.missing;
  if (viewer.missing) byId("empty").textContent = noViewer;
  viewer.open(shown);
  byId("about").textContent = about(shown);
  known = [shown.on ? `Shown on ${shown.on}.` : "", ...shown.notes];
  note();
  byId("layers").hidden = viewer.missing;
  layer("tissue").hidden = !shown.tiles;
  layer("patches").hidden = shown.kind === "image" || reads === "images";
  layer("kept").hidden = (shown.kind === "slide" && reads === "images") || (shown.kind === "image" && reads === "bags");
  if (shown.kind === "bag" && !shown.tiles) viewer.layers.shown.add("patches"); // else there is nothing to see
  await refresh();
  byId("question").focus({ preventScroll: true });
}

function about({ kind, size: [w, h], mpp }) {
  const millimetres = (px) => `${((px * mpp) / 1000).toPrecision(3)}`;
  const pixels = `${w.toLocaleString("en")} × ${h.toLocaleString("en")} px`;
  return mpp ? `${pixels}, ${millimetres(w)} × ${millimetres(h)} mm, ${+mpp.toPrecision(3)} µm/px` : pixels;
}

/** Fetch the layers that are shown and not here yet. */
async function refresh() {
  for (const name of ["tissue", "patches", "kept"]) {
    const wanted = viewer.layers.shown.has(name) && !layer(name).hidden;
    if (wanted && viewer.layers[name] === null) await fetchLayer(name);
  }
  for (const name of Object.values(KEYS)) {
    layer(name).setAttribute("aria-pressed", String(viewer.layers.has(name)));
  }
  viewer.draw();
}

async function fetchLayer(name) {
  const of = file;
  const address = `view/${name}?file=${encodeURIComponent(of.name)}`;
  layer(name).setAttribute("aria-busy", "true");
  const found = await trying(async () => {
    if (name !== "kept") return get(address);
    return (await call("view/kept", { json: { file: of.name, messages: chat.latest() } })).json();
  });
  layer(name).setAttribute("aria-busy", "false");
  if (!found || file !== of) return void (found ?? viewer.layers.shown.delete(name));
  if (name === "tissue") {
    viewer.layers.setTissue(found.polygons);
    note(found.notes.join(" "));
  } else if (name === "patches") {
    const { xy, size } = found;
    viewer.layers.patches = Array.from({ length: xy.length / 2 }, (_, i) => [xy[2 * i], xy[2 * i + 1], size, size]);
    note(`${(xy.length / 2).toLocaleString("en")} patches of ${size} px.`);
  } else {
    viewer.layers.kept = found.boxes;
    const of = found.read === null ? "" : ` of ${found.read.toLocaleString("en")} patches that were read`;
    note(`${found.boxes.length.toLocaleString("en")} tokens kept${of} (${found.selector}).`);
  }
}

async function toggle(name) {
  if (!file?.kind || layer(name).hidden) return;
  const { shown } = viewer.layers;
  if (viewer.layers.has(name)) shown.delete(name);
  else shown.add(name);
  if (name === "heat" && !shown.has("heat")) chat.mark(null);
  byId("legend").hidden = !viewer.layers.has("heat");
  await refresh();
}

/** After an answer the slide has patches, and a selector may have looked at the question. */
async function answered() {
  viewer.layers.kept = null;
  hideHeat();
  await refresh();
}

async function why(turn, word, messages) {
  const of = file;
  layer("heat").setAttribute("aria-busy", "true");
  note("Reading the answer again to see where it looked ...");
  const json = { file: of.name, messages, answer: turn.answer, word };
  const found = await trying(async () => (await call("view/why", { json })).json());
  layer("heat").setAttribute("aria-busy", "false");
  if (!found || file !== of) return;
  chat.showWords(turn, found.words);
  chat.mark(turn, word);
  viewer.layers.heat = found;
  viewer.layers.shown.add("heat");
  layer("heat").hidden = byId("legend").hidden = false;
  legend(word === null ? "Attention of the answer" : `Attention of “${found.words[word]}”`, found);
  const share = Math.round(found.elsewhere * 100);
  note(share ? `${share} % of the attention is on tokens that stand for no place, such as that of the whole slide.` : "");
  await refresh();
}

function legend(title, { low, high }) {
  const [name, canvas, from, to] = byId("legend").children;
  const on = canvas.getContext("2d");
  for (let x = 0; x < canvas.width; x++) {
    on.fillStyle = viridis(x / (canvas.width - 1));
    on.fillRect(x, 0, 1, canvas.height);
  }
  name.textContent = title;
  [from.textContent, to.textContent] = percents(low, high);
}

/** Return two shares in percent, with as many digits as tell them apart. */
function percents(...shares) {
  for (let digits = 2; ; digits++) {
    const told = shares.map((share) => `${(share * 100).toPrecision(digits)} %`);
    if (digits > 5 || told[0] !== told[1]) return told;
  }
}

function hideHeat() {
  viewer.layers.heat = null;
  viewer.layers.shown.delete("heat");
  layer("heat").hidden = byId("legend").hidden = true;
  chat?.mark(null);
  viewer.draw();
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, dialog");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") byId("filter").focus();
  else if (event.key in KEYS) toggle(KEYS[event.key]);
  else if (event.key === "0") viewer.home();
  else return;
  event.preventDefault();
});
for (const button of document.querySelectorAll("[data-layer]")) {
  button.addEventListener("click", () => toggle(button.dataset.layer));
}
byId("strength").addEventListener("input", (event) => {
  viewer.layers.strength = event.target.value / 100;
  viewer.draw();
});
byId("show-files").addEventListener("click", () => {
  const open = document.querySelector("nav").classList.toggle("open");
  byId("show-files").setAttribute("aria-expanded", String(open));
});

let noViewer = "";
await trying(async () => {
  const told = await get("view/about");
  ({ reads } = told);
  chat.model = told.model;
  byId("model").textContent = `${told.model.split("/").filter(Boolean).at(-1)}, reads ${reads === "bags" ? "slides and bags" : "images"}`;
  byId("model").title = told.model;
  noViewer = `The slide viewer is not installed: ${told.viewer ?? "reload this page"}.\nQuestions can be asked all the same.`;
  document.title = `${told.model.split("/").filter(Boolean).at(-1)} - pathplugins`;
  files.set(told.files);
});
document.body.dataset.ready = "true";
