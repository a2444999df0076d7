// What can be made to go wrong, and what kind of account this is.

import { h, toast } from "./dom.js";
import { botpress, remove, wechat } from "./feed.js";

const sampleMenu = { button: [
  { type: "click", name: "帮助", key: "help" },
  { type: "click", name: "选择", key: "choice" },
  { name: "更多", sub_button: [
    { type: "click", name: "卡片", key: "card" },
    { type: "click", name: "图片", key: "image" },
    { type: "view", name: "官网", url: "https://caddyserver.com/" },
    { type: "location_select", name: "发送位置", key: "here" }] }] };

const codes = [
  [48001, "not allowed to push"], [45015, "reply window over"], [45047, "too many messages"], [45011, "too often"], [-1, "system busy"],
  [40001, "token not valid"], [42001, "token expired"], [40164, "address not on the list"], [40003, "no such user"],
  [43004, "does not follow"], [40007, "media gone"], [45002, "text too long"]];

const send = "/cgi-bin/message/custom/send";
const losses = {
  answer: ["answer to the next push", () => toast("The answer to the next push will be lost.")],
  send: ["after WeChat sent a message", () => wechat("faults", { path: send, cut_after: true, times: 1 })],
  before: ["before WeChat sends a message", () => wechat("faults", { path: send, cut: true, times: 1 })],
  bot: ["after the bot took a message", () => botpress("faults", { op: "createMessage", resetAfter: true, times: 1 })],
  hook: ["in the bot's webhook", () => botpress("webhook/faults", { mode: "cut", times: 1 })],
};

/** switches fills the board, and returns a function that gives what is to be added to the
    next push. */
export function switches(model, board) {
  let duplicates = 0;
  let lose = 0;
  const refresh = [];

  const choice = (title, hint, options, current, set) => {
    const buttons = options.map(([value, text]) => h("button", { type: "button", text, "aria-pressed": "false", onclick: () => set(value) }));
    refresh.push(() => buttons.forEach((b, i) => b.setAttribute("aria-pressed", String(options[i][0] === current()))));
    board.append(h("div", { class: "switch" }, h("span", { class: "name", text: title, title: hint }), h("div", { class: "segments", role: "group", "aria-label": title }, ...buttons)));
  };
  const act = (title, ...kids) => board.append(h("div", { class: "switch" }, h("span", { class: "name", text: title }), h("div", { class: "acts" }, ...kids)));
  const select = (label, options) => h("select", { "aria-label": label }, ...options.map(([value, text]) => h("option", { value, text })));
  const button = (text, onclick) => h("button", { type: "button", class: "act", text, onclick });

  choice("Mode", "how pushes are encrypted", [["plain", "plain"], ["compatible", "compatible"], ["safe", "safe"]],
    () => model.wechat.mode, (mode) => wechat("mode", { mode }));
  choice("Account", "what WeChat lets it do", [["individual", "unverified"], ["verified", "verified"], ["sandbox", "sandbox"]],
    () => model.wechat.kind, (kind) => wechat("kind", { kind }));
  choice("Bot thinks", "before it answers", [[0, "at once"], [3, "3 s"], [8, "8 s"], [12, "12 s"], [20, "20 s"]],
    () => model.botpress.think ?? 0, (s) => botpress("think", { time: s + "s" }));
  choice("Botpress", "its API", [[false, "up"], [true, "down"]], () => model.botpress.down ?? false, (down) => botpress("down", { down }));
  choice("WeChat's API", "its API", [[false, "up"], [true, "down"]], () => model.wechat.down ?? false, (down) => wechat("down", { down }));
  choice("Duplicates", "of each push, at the same moment", [[0, "none"], [1, "one"], [3, "three"]], () => duplicates, (n) => {
    duplicates = n;
    update();
  });
  choice("Menu", "the account's own", [[false, "none"], [true, "sample"]], () => Boolean(model.menu),
    (on) => (on ? wechat("menu", sampleMenu) : remove("wechat/menu")));

  const code = select("error code", codes.map(([n, text]) => [n, `${n} ${text}`]));
  const fault = (times) => wechat("faults", { path: send, code: Number(code.value), times });
  act("WeChat says", code, button("once", () => fault(1)), button("always", () => fault(0)));
  const loss = select("where the network is lost", Object.entries(losses).map(([k, v]) => [k, v[0]]));
  act("Network lost", loss, button("once", () => {
    if (loss.value === "answer") lose = 1;
    losses[loss.value][1]();
    update();
  }));
  act("Reply window", button("ends now", async () => (await wechat("windows", {})) && toast("WeChat takes no more pushed messages until the user acts again.")));
  const ended = button("end all faults", async () => {
    lose = 0;
    await remove("wechat/faults");
    await remove("botpress/faults");
    update();
  });
  const list = h("span", { class: "faults" });
  act("In force", list, ended);
  refresh.push(() => {
    const all = (model.wechat.faults ?? []).map((f) => (f.code ? `error ${f.code}` : f.cut ? "cut before" : f.cut_after ? "cut after" : "fault") + (f.times ? "" : ", always"));
    if (lose) all.push("next answer lost");
    if (model.botpress.faults) all.push(`${model.botpress.faults} at Botpress`);
    list.textContent = all.join(" · ") || "nothing";
    ended.disabled = all.length === 0;
  });

  const update = () => {
    refresh.forEach((f) => f());
    // A real bot is not ours to switch.
    for (const b of board.querySelectorAll('[aria-label="Bot thinks"] button, [aria-label="Botpress"] button')) b.disabled = Boolean(model.realBot);
  };
  model.addEventListener("state", update);
  model.addEventListener("menu", update);
  model.addEventListener("event", (e) => {
    const { source, kind, data } = e.detail;
    if (source === "wechat" && kind === "call" && data.fault && model.wechat.faults) {
      // One that hits a number of calls is used up by them; the simulator knows best.
      fetch("control/wechat/state").then((r) => r.json()).then((s) => {
        model.wechat = s;
        update();
      }, () => {});
    }
  });
  update();
  return () => {
    const extra = {};
    if (duplicates) extra.duplicates = duplicates;
    if (lose) extra.lose_answers = lose;
    lose = 0;
    update();
    return extra;
  };
}
