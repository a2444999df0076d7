import { clock, h, toast } from "./dom.js";
import { avatar } from "./bubbles.js";
import { botpress, listen, wechat } from "./feed.js";
import { Model, nameOf } from "./model.js";
import { Phone } from "./phone.js";
import { switches } from "./switches.js";
import { Timeline } from "./timeline.js";

const $ = (id) => document.getElementById(id);
const model = new Model();
const names = ["oAlice", "oBob", "oCarol", "oDavid", "oErin", "oFrank", "oGrace", "oHeidi"];
const phones = new Map(); // by openid
const extra = switches(model, $("switches"));
new Timeline(model, $("groups"), $("legend"));

// What the page keeps in the browser: how it looks, and who is in view.
const store = {
  get(key, fallback) {
    try {
      return JSON.parse(localStorage.getItem("playground." + key)) ?? fallback;
    } catch {
      return fallback;
    }
  },
  set(key, value) {
    try {
      localStorage.setItem("playground." + key, JSON.stringify(value));
    } catch {
      // It is only for next time.
    }
  },
};

let shown = store.get("shown", ["oAlice"]).filter((s) => typeof s === "string" && s);
if (shown.length === 0) shown = ["oAlice"];

function arrange() {
  for (const [openid, phone] of phones) {
    if (shown.includes(openid)) continue;
    phone.close();
    phones.delete(openid);
  }
  for (const openid of shown) {
    if (phones.has(openid)) continue;
    const phone = new Phone(model, model.user(openid), extra);
    phones.set(openid, phone);
    $("phones").append(phone.el);
    phone.bottom();
  }
  store.set("shown", shown);
  tabs();
}

function tabs() {
  const known = [...new Set([...shown, ...model.users.keys()])];
  const chips = known.map((openid) => {
    const user = model.user(openid);
    return h("button", { type: "button", class: "user", "aria-pressed": String(shown.includes(openid)), title: openid, onclick: () => toggle(openid) },
      avatar(user), h("span", { text: user.name }));
  });
  const add = h("button", { type: "button", class: "user add", "aria-label": "Add a user", title: "Add a user", text: "+", onclick: () => {
    const next = names.find((n) => !known.includes(n)) ?? "o" + crypto.randomUUID().replaceAll("-", "").slice(0, 26);
    toggle(next);
  } });
  $("users").replaceChildren(...chips, add);
}

const narrow = matchMedia("(max-width: 760px)");

function toggle(openid) {
  if (narrow.matches) shown = [openid];
  else if (!shown.includes(openid)) shown = [...shown, openid];
  else if (shown.length > 1) shown = shown.filter((s) => s !== openid);
  arrange();
}

model.addEventListener("user", () => queueMicrotask(tabs));
model.addEventListener("cleared", () => {
  for (const phone of phones.values()) phone.close();
  phones.clear();
  queueMicrotask(arrange);
});
model.addEventListener("hello", () => {
  $("bridge-note").hidden = model.bridge;
});

const themes = ["auto", "light", "dark"];

function theme(name) {
  const value = themes.includes(name) ? name : "auto";
  document.documentElement.dataset.theme = value;
  $("theme").textContent = value[0].toUpperCase() + value.slice(1);
  $("theme").setAttribute("aria-label", "Colours: " + value);
  store.set("theme", value);
}

$("theme").addEventListener("click", () => theme(themes[(themes.indexOf(document.documentElement.dataset.theme) + 1) % themes.length]));

function view(name) {
  document.body.dataset.view = name;
  for (const b of document.querySelectorAll(".views button")) b.setAttribute("aria-pressed", String(b.dataset.view === name));
}

for (const b of document.querySelectorAll(".views button")) b.addEventListener("click", () => view(b.dataset.view));

$("export").addEventListener("click", () => {
  const out = { exported: new Date().toISOString(), note: "caddy-wechat playground: simulated accounts, all that happened", wechat: model.wechat, botpress: model.botpress, menu: model.menu, events: model.all };
  const url = URL.createObjectURL(new Blob([JSON.stringify(out, null, 2)], { type: "application/json" }));
  h("a", { href: url, download: `playground-${clock(Date.now()).replace(":", "")}.json` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
  toast(`${model.all.length} events saved.`);
});

$("reset").addEventListener("click", async () => {
  await botpress("reset");
  await wechat("reset");
});

theme(store.get("theme", "auto"));
arrange();
listen(model, (live) => {
  $("live").textContent = live ? "live" : "not connected";
  $("live").classList.toggle("on", live);
});
// For tests and the curious.
globalThis.playground = { model, nameOf };
