// The connection to the playground: what happens comes by server-sent events, what is to be
// done goes out as JSON.

import { toast } from "./dom.js";

/** listen keeps the model fed. The browser reconnects by itself and says what it had. */
export function listen(model, onLive) {
  const source = new EventSource("events");
  source.addEventListener("hello", (e) => {
    model.hello(JSON.parse(e.data));
    onLive(true);
  });
  source.addEventListener("message", (e) => model.take(JSON.parse(e.data)));
  source.addEventListener("error", () => onLive(false));
}

async function call(method, path, body) {
  try {
    const answer = await fetch("control/" + path, {
      method,
      headers: { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const out = await answer.json();
    if (!answer.ok) throw new Error(out.error ?? `status ${answer.status}`);
    return out;
  } catch (err) {
    toast("Not done: " + err.message);
    return null;
  }
}

export const wechat = (path, body = {}) => call("POST", "wechat/" + path, body);
export const botpress = (path, body = {}) => call("POST", "botpress/" + path, body);
export const remove = (path) => call("DELETE", path);

/** base64 reads a file. */
export async function base64(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let s = "";
  for (let i = 0; i < bytes.length; i += 0x8000) s += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(s);
}
