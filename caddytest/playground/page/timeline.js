// The engineer's side: each push with what became of it, the newest first.

import { clock, h, span } from "./dom.js";
import { avatar } from "./bubbles.js";
import { attempt, describe, summary } from "./describe.js";
import { nameOf } from "./model.js";

const kept = 150; // pushes in view
const names = { wechat: "WeChat", bridge: "Bridge", botpress: "Botpress" };

export class Timeline {
  constructor(model, root, legend) {
    this.model = model;
    this.root = root;
    this.clear();
    model.addEventListener("event", (e) => this.take(e.detail));
    model.addEventListener("cleared", () => this.clear());
    for (const [source, name] of Object.entries(names)) {
      legend.append(h("button", { type: "button", class: "src " + source, "aria-pressed": "true", text: name, onclick: (e) => {
        const hidden = root.classList.toggle("no-" + source);
        e.currentTarget.setAttribute("aria-pressed", String(!hidden));
      } }));
    }
    setInterval(() => this.groups.forEach((g) => g.open && g.draw()), 200);
  }

  clear() {
    this.groups = new Map(); // by serial number of the push
    this.newest = new Map(); // by openid
    this.general = null;
    this.root.replaceChildren(h("p", { class: "note empty", text: "Say something in a phone. Each push appears here, with everything that became of it." }));
  }

  take(e) {
    if (e.source === "wechat") {
      switch (e.kind) {
        case "push":
          return this.begin(e);
        case "request":
          return this.groups.get(e.data.push)?.request(e);
        case "answer":
          return this.groups.get(e.data.push)?.answer(e);
        case "delivery":
          return this.groups.get(e.data.push)?.end(e);
      }
    }
    const row = describe(e);
    if (row) this.groupOf(e).add(e, row);
  }

  begin(e) {
    if (this.groups.size === 0) this.root.querySelector(".empty")?.remove();
    const g = new Group(this.model, e);
    g.id ||= [...this.groups.values()].find((o) => o.openid === e.openid && o.push.key === e.data.key)?.id;
    this.groups.set(e.data.push, g);
    this.newest.set(e.openid, g);
    const first = this.root.querySelector(".group:not(.general)");
    if (first) first.before(g.el);
    else this.root.append(g.el);
    if (this.groups.size > kept) {
      const [key, old] = this.groups.entries().next().value;
      this.groups.delete(key);
      old.el.remove();
    }
    [...this.groups.values()].slice(-4, -3).forEach((old) => !old.touched && (old.el.open = false));
  }

  /** groupOf finds the push an event belongs to: by the push's id, else the user's newest,
      as replies carry no reference; what is nobody's goes into a group of its own. */
  groupOf(e) {
    const id = idIn(e.data ?? {});
    const named = id && this.named(id, e);
    if (named) return named;
    const openid = e.openid && this.newest.has(e.openid) ? e.openid : this.mentioned(e);
    const g = this.newest.get(openid);
    if (g) return g;
    if (!this.general) {
      this.general = new Group(this.model, { at: e.at, data: null });
      this.root.prepend(this.general.el);
    }
    return this.general;
  }

  /** named finds the push of an id. That of an event is the bridge's own: it tells when the
      event was, and stays with the oldest of the user's events of then that has none. */
  named(id, e) {
    const all = [...this.groups.values()];
    const known = all.findLast((g) => g.id === id);
    const at = /^event-(\d+)-/.exec(id)?.[1];
    if (known || !at) return known;
    const openid = e.openid && this.newest.has(e.openid) ? e.openid : this.mentioned(e);
    const kind = /^event:(.+)/.exec(e.data.kind ?? "")?.[1] ?? e.data.payload?.event;
    const first = all.find((g) => !g.id && g.openid === openid && g.push.fields?.CreateTime === at && (!kind || g.push.event === kind));
    if (first) all.forEach((g) => g.openid === openid && g.push.key === first.push.key && (g.id = id));
    return first;
  }

  /** mentioned finds the user in what Botpress is told: its ids end in the openid. */
  mentioned(e) {
    if (e.source !== "botpress") return "";
    const text = `${e.openid ?? ""} ${e.data?.path ?? ""} ${e.data?.body ?? ""}`;
    const m = /wx-wx[0-9a-f]{16}-([\w-]+)/.exec(text);
    return m && this.newest.has(m[1]) ? m[1] : "";
  }
}

/** idIn gives the id of the push that an event speaks of, if it names one. */
function idIn(d) {
  return d.push ?? d.metadata?.wechatMsgId ?? d.payload?.eventId ?? (d.reply_to ||
    /"(?:wechatMsgId|eventId)":\s*"([^"]+)"/.exec(d.body ?? "")?.[1]);
}

/** Group is one push. Without data it is what belongs to no push. */
class Group {
  constructor(model, e) {
    this.model = model;
    this.push = e.data ?? {};
    this.openid = e.openid;
    this.id = this.push.msgid; // of an event: found out
    this.start = Date.parse(e.at);
    this.bars = []; // {row, from, to, kind}
    this.marks = []; // {at, source, text}
    this.open = Boolean(e.data);
    this.steps = h("ol", { class: "steps" });
    this.chip = h("span", { class: "chip warn", text: "under way" });
    this.left = h("span", { class: "chip", hidden: true });
    this.track = h("div", { class: "track", role: "img" });
    const title = e.data
      ? [avatar(model.user(e.openid)), h("span", { class: "who", text: nameOf(e.openid) }), h("span", { class: "what", text: summary(this.push) })]
      : [h("span", { class: "what", text: "Account: tokens, files, settings" })];
    this.el = h("details", { class: "group" + (e.data ? "" : " general"), open: this.open },
      h("summary", { onclick: () => (this.touched = true) }, ...title, this.left, e.data ? this.chip : null, h("time", { datetime: e.at, text: clock(e.at, true) })),
      e.data ? this.track : null, this.steps);
    if (e.data) this.draw();
  }

  row(e, source, row) {
    const what = h("span", { class: "what" });
    const took = h("span", { class: "took" });
    const body = h("div", { class: "raw" });
    const details = h("details", {}, h("summary", {},
      h("span", { class: "t", text: this.push.push ? offset(Date.parse(e.at) - this.start) : clock(e.at) }),
      h("span", { class: "src " + source, text: names[source] }), what, took), body);
    const li = h("li", { class: "step of-" + source }, details);
    const fill = (r) => {
      what.textContent = r.text;
      took.textContent = r.took ?? "";
      li.dataset.tone = r.tone ?? "";
      this.raw = r.raw;
      const show = () => details.open && body.replaceChildren(...r.raw.flatMap(([name, text]) => [h("h4", { text: name }), h("pre", { tabindex: "0", text })]));
      details.ontoggle = show;
      show();
    };
    fill(row);
    // By time: the bridge's decisions come by a way of their own.
    const at = (li.at = Date.parse(e.at));
    let next = null;
    for (let o = this.steps.lastChild; o && o.at > at; o = o.previousSibling) next = o;
    this.steps.insertBefore(li, next);
    return fill;
  }

  add(e, row) {
    this.row(e, e.source, row);
    if (e.kind === "seen" || e.kind === "turn" || (e.kind === "message" && e.data.bot)) {
      this.marks.push({ at: Date.parse(e.at), source: e.source, text: row.text });
      this.draw();
    }
    if (row.left !== undefined && row.left !== null) {
      this.left.hidden = false;
      this.left.textContent = `${row.left} left`;
      this.left.title = "messages that may still be pushed to this user";
    }
  }

  request(e) {
    const fill = this.row(e, "wechat", attempt(e.data, null, this.push));
    this.bars.push({ n: e.data.attempt, from: Date.parse(e.at), request: e.data, fill });
    this.draw();
  }

  answer(e) {
    const bar = this.bars.find((b) => b.n === e.data.attempt);
    if (!bar) return;
    bar.kind = e.data.answer.kind;
    bar.to = bar.from + e.data.answer.took_ms;
    bar.fill(attempt(bar.request, e.data, this.push));
    this.draw();
  }

  end(e) {
    const good = ["success", "empty", "reply"].includes(e.data.outcome);
    this.open = false;
    this.chip.className = "chip " + (good ? "good" : "bad");
    const ms = this.bars.reduce((sum, b) => sum + ((b.to ?? b.from) - b.from), 0);
    this.chip.textContent = `${{ reply: "passive reply" }[e.data.outcome] ?? e.data.outcome} · ${span(ms)}`;
    this.draw();
  }

  /** draw shows attempts and what happened meanwhile to scale. */
  draw() {
    const now = this.open ? Date.now() : 0;
    const last = Math.max(now, ...this.bars.map((b) => b.to ?? b.from), ...this.marks.map((m) => m.at).filter((at) => at - this.start < 60000));
    const whole = [100, 500, 1000, 5000, 15000, 30000].find((s) => last - this.start <= s) ?? 60000;
    const at = (t) => Math.min(100, Math.max(0, ((t - this.start) / whole) * 100)) + "%";
    const kids = this.bars.map((b) => {
      const el = h("span", { class: "bar-of " + (b.kind ?? "waiting"), text: String(b.n) });
      el.style.left = at(b.from);
      el.style.width = `max(14px, calc(${at(b.to ?? Math.max(now, b.from))} - ${at(b.from)}))`;
      return el;
    });
    for (const m of this.marks) {
      const el = h("span", { class: "mark " + m.source, title: m.text });
      el.style.left = at(m.at);
      kids.push(el);
    }
    this.track.replaceChildren(...kids, h("span", { class: "scale", text: span(whole).replace(".00", "") }));
    this.track.setAttribute("aria-label", `${this.bars.length} attempts: ${this.bars.map((b) => `${b.n} ${b.kind ?? "waiting"}`).join(", ")}`);
  }
}

function offset(ms) {
  return ms >= 1000 ? `+${(ms / 1000).toFixed(ms < 9950 ? 2 : 1)} s` : `+${Math.round(ms)} ms`;
}
