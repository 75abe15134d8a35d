// Chat: a conversation about the open file; an answer, and each of its words, can be asked where it looked.

import { pieces, Refused } from "./api.js";

const byId = (id) => document.getElementById(id);

/** One question with its answer, or what the server said instead. */
class Turn {
  constructor(question) {
    this.question = question;
    this.answer = "";
    this.error = null;
    this.words = null;
  }
}

export class Chat {
  /** `onWhy(turn, word, before)` shows where an answer looked, `onAnswer()` is called after each answer. */
  constructor({ onWhy, onAnswer, onHide }) {
    this.conversations = new Map();
    this.onWhy = onWhy;
    this.onAnswer = onAnswer;
    this.onHide = onHide;
    this.stopper = null;
    byId("ask").addEventListener("submit", (event) => (event.preventDefault(), this.ask()));
    byId("question").addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.ask();
    });
    byId("question").addEventListener("input", () => this.#state());
    byId("stop").addEventListener("click", () => this.stop());
    byId("anew").addEventListener("click", () => this.anew());
    this.open(null);
  }

  /** Go on with the conversation about a file; each file has its own. */
  open(file) {
    this.stop();
    this.file = file;
    this.looked = null;
    if (file !== null && !this.conversations.has(file)) this.conversations.set(file, []);
    byId("turns").dataset.empty = file === null ? "" : "Ask a question about this file. Each is answered in the light of those before.";
    byId("turns").replaceChildren(...this.turns.map((turn) => this.#element(turn)));
    byId("turns").scrollTop = byId("turns").scrollHeight;
    this.#state();
  }

  get turns() {
    return this.conversations.get(this.file) ?? [];
  }

  anew() {
    this.stop();
    this.conversations.set(this.file, []);
    this.open(this.file);
    this.onHide();
    byId("question").focus();
  }

  stop() {
    this.stopper?.abort();
  }

  /** Return the messages of the conversation up to the question of a turn. */
  messages(turn) {
    const before = this.turns.slice(0, this.turns.indexOf(turn)).filter((each) => each.answer);
    const turns = before.flatMap((each) => [
      { role: "user", content: each.question },
      { role: "assistant", content: each.answer },
    ]);
    return [...turns, { role: "user", content: turn.question }];
  }

  /** Return the messages up to the latest answer; none where there is none. */
  latest() {
    const turn = this.turns.findLast((each) => each.answer);
    return turn ? this.messages(turn) : [];
  }

  async ask() {
    const question = byId("question").value.trim();
    if (!question || this.file === null || this.stopper) return;
    const [file, turn] = [this.file, new Turn(question)];
    this.turns.push(turn);
    byId("question").value = "";
    const row = this.#element(turn);
    byId("turns").append(row);
    this.stopper = new AbortController();
    this.#state();
    const told = row.querySelector(".told");
    told.classList.add("waiting");
    try {
      const request = { model: this.model, messages: withFile(this.messages(turn), file) };
      for await (const piece of pieces(request, this.stopper.signal)) {
        turn.answer += piece;
        told.textContent = turn.answer;
        row.scrollIntoView({ block: "nearest" });
      }
    } catch (error) {
      if (error.name !== "AbortError") {
        if (!(error instanceof Refused)) console.error(error);
        turn.error = error.message;
      } else if (!turn.answer) turn.error = "Stopped.";
    }
    this.stopper = null;
    if (this.file === file && this.turns.includes(turn)) {
      row.replaceWith(this.#element(turn));
      byId("turns").lastElementChild.scrollIntoView({ block: "nearest" });
    }
    this.#state();
    if (turn.answer && this.file === file) this.onAnswer();
  }

  /** Mark the answer, and the word, whose look is shown; none with null. */
  mark(turn, word = null) {
    this.looked = turn === null ? null : { turn, word };
    for (const each of this.turns) {
      const row = each.row;
      const mine = each === turn;
      row?.querySelector(".after button")?.setAttribute("aria-pressed", String(mine && word === null));
      row?.querySelectorAll(".told button").forEach((button, i) => button.setAttribute("aria-pressed", String(mine && word === i)));
    }
  }

  /** Make a button of each word of an answer. */
  showWords(turn, words) {
    if (turn.words) return;
    turn.words = words;
    const old = turn.row;
    old.replaceWith(this.#element(turn));
  }

  #element(turn) {
    const row = document.createElement("li");
    const [asked, told] = [document.createElement("p"), document.createElement("p")];
    turn.row = row;
    asked.className = "asked";
    asked.textContent = turn.question;
    told.className = "told";
    if (turn.words) told.append(...this.#words(turn));
    else told.textContent = turn.answer;
    row.append(asked, told);
    if (turn.error) {
      const wrong = document.createElement("p");
      wrong.className = "told error";
      wrong.setAttribute("role", "alert");
      wrong.textContent = turn.error;
      row.append(wrong);
    }
    if (turn.answer && !(this.stopper && turn === this.turns.at(-1))) row.append(this.#after(turn));
    return row;
  }

  #after(turn) {
    const after = document.createElement("div");
    const button = document.createElement("button");
    after.className = "after";
    button.type = "button";
    button.textContent = "Where did it look?";
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => this.#why(turn, null));
    after.append(button);
    if (turn.words) {
      const hint = document.createElement("span");
      hint.className = "quiet";
      hint.textContent = "or click a word";
      after.append(hint);
    }
    return after;
  }

  #words(turn) {
    let from = 0;
    const parts = [];
    turn.words.forEach((word, i) => {
      const at = turn.answer.indexOf(word, from);
      if (at > from) parts.push(turn.answer.slice(from, at));
      from = Math.max(at, from) + (at < 0 ? 0 : word.length);
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = word;
      button.title = `Where it looked for “${word}”`;
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("click", () => this.#why(turn, i));
      parts.push(button);
    });
    return [...parts, turn.answer.slice(from)];
  }

  #why(turn, word) {
    const same = this.looked?.turn === turn && this.looked.word === word;
    if (same) return this.mark(null), this.onHide();
    this.onWhy(turn, word, this.messages(turn));
  }

  #state() {
    const busy = this.stopper !== null;
    byId("question").disabled = this.file === null;
    byId("send").disabled = this.file === null || busy || !byId("question").value.trim();
    byId("send").hidden = busy;
    byId("stop").hidden = !busy;
    byId("anew").hidden = !this.turns.length;
  }
}

/** Put the file into the first message, where the image of a conversation is. */
function withFile([first, ...others], file) {
  const content = [{ type: "image_url", image_url: { url: file } }, { type: "text", text: first.content }];
  return [{ ...first, content }, ...others];
}
