// Requests to the server: with the API key it wants, and with its own words where it refuses.

let key = sessionStorage.getItem("pathplugins-key") ?? "";
let asking = null;

export const authorization = () => (key ? { Authorization: `Bearer ${key}` } : {});

/** What the server refused, in its words. */
export class Refused extends Error {}

/** Return the reply of the server; it asks for the key where the server wants one. */
export async function call(path, { json, ...options } = {}) {
  const body = json === undefined ? {} : { method: "POST", body: JSON.stringify(json) };
  const type = json === undefined ? {} : { "Content-Type": "application/json" };
  for (let tried = Boolean(key); ; tried = true) {
    const used = key;
    let reply;
    try {
      reply = await fetch(path, { ...options, ...body, headers: { ...type, ...authorization() } });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refused("The server does not answer. Is it still running?");
    }
    if (reply.ok) return reply;
    if (reply.status !== 401) throw new Refused(await said(reply));
    if (used === key) await askForKey(tried);
  }
}

export const get = async (path) => (await call(path)).json();

/** Yield the pieces of an answer as the server streams them. */
export async function* pieces(json, signal) {
  const reply = await call("v1/chat/completions", { json: { ...json, stream: true }, signal });
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Refused("The answer broke off: the server closed the connection.");
    const lines = (rest + value).split(/\r?\n/);
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data:")) continue;
      const data = line.slice(5).trim();
      if (data === "[DONE]") return;
      const event = JSON.parse(data);
      if (event.error) throw new Refused(event.error.message ?? String(event.error));
      const text = event.choices?.[0]?.delta?.content;
      if (text) yield text;
    }
  }
}

async function said(reply) {
  const text = await reply.text();
  try {
    const told = JSON.parse(text);
    return told.error?.message ?? (typeof told.detail === "string" ? told.detail : text);
  } catch {
    return text || `${reply.status} ${reply.statusText}`;
  }
}

/** Show the dialog once, however many requests wait for the key. */
function askForKey(wrong) {
  asking ??= new Promise((resolve) => {
    const dialog = document.getElementById("key");
    const field = document.getElementById("key-text");
    document.getElementById("key-wrong").hidden = !wrong;
    field.value = "";
    dialog.oncancel = (event) => event.preventDefault();
    dialog.onclose = () => {
      key = field.value.trim();
      sessionStorage.setItem("pathplugins-key", key);
      asking = null;
      resolve();
    };
    dialog.showModal();
  });
  return asking;
}
