// Files: the list of what lies below the roots of the server.

const MOST = 300; // shown at once
const byId = (id) => document.getElementById(id);

export class Files {
  constructor(onOpen) {
    this.files = [];
    this.onOpen = onOpen;
    this.current = null;
    byId("filter").addEventListener("input", () => this.show());
    byId("list").addEventListener("keydown", (event) => this.#move(event));
    byId("filter").addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown" || event.key === "Enter") {
        byId("list").querySelector("button")?.focus();
        event.preventDefault();
      }
    });
  }

  set(files) {
    this.files = files;
    this.show();
  }

  mark(name) {
    this.current = name;
    for (const button of byId("list").querySelectorAll("button")) {
      button.setAttribute("aria-current", String(button.dataset.name === name));
    }
  }

  show() {
    const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = this.files.filter(({ name }) => words.every((word) => name.toLowerCase().includes(word)));
    const rows = [];
    let folder = null;
    for (const { name, kind } of found.slice(0, MOST)) {
      const cut = name.lastIndexOf("/");
      if (name.slice(0, cut) !== folder) {
        folder = name.slice(0, cut);
        const head = document.createElement("li");
        head.className = "folder";
        head.textContent = folder;
        rows.push(head);
      }
      rows.push(this.#row(name, name.slice(cut + 1), kind));
    }
    byId("list").replaceChildren(...rows);
    const left = found.length - MOST;
    byId("more").textContent = left > 0 ? `${left} more: type a part of the name.` : found.length ? "" : this.#none();
  }

  #none() {
    return this.files.length ? "No file of that name." : "No slide, bag or image below the roots of this server.";
  }

  #row(name, label, kind) {
    const row = document.createElement("li");
    const button = document.createElement("button");
    const [text, tag] = [document.createElement("span"), document.createElement("small")];
    button.type = "button";
    button.dataset.name = name;
    button.setAttribute("aria-current", String(name === this.current));
    text.textContent = label;
    tag.textContent = kind;
    button.append(text, tag);
    button.addEventListener("click", () => this.onOpen(name));
    row.append(button);
    return row;
  }

  #move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const buttons = [...byId("list").querySelectorAll("button")];
    const next = buttons.indexOf(document.activeElement) + step;
    (next < 0 ? byId("filter") : buttons[Math.min(next, buttons.length - 1)])?.focus();
    event.preventDefault();
  }
}
