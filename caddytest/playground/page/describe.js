// Events in words: one line each, a verdict (good, warn, bad or none), and the raw bytes.

import { span } from "./dom.js";
import { summary } from "./model.js";

const bridge = {
  "push taken": "takes the push",
  "push duplicate": "knows this push already",
  "push ignored": "ignores the push",
  "push refused": "refuses the push",
  "push dead": "keeps the push as a dead letter",
  "append ok": "has it in the journal, on disk",
  "append failed": "cannot write the journal",
  "window opened": "holds the request, for a passive reply",
  "window answered": "answers the held request with a reply",
  "window success": "answers the held request “success”",
  "window thinking": "answers the held request with the notice",
  "window silent": "stays silent: WeChat is to ask again",
  "window same_again": "gives the same answer again",
  "window closed": "finds the request gone",
  "bot delivered": "has given it to the bot",
  "bot found": "finds it at the bot already",
  "bot retry": "will try the bot again",
  "bot held": "waits for the bot",
  "bot dead": "keeps it as a dead letter: the bot will not take it",
  "reply received": "has a reply of the bot",
  "reply found": "found a reply by listing",
  "reply dead": "keeps the reply as a dead letter",
  "reply duplicate": "knows this reply already",
  "send ok": "sent",
  "send retry": "will send again",
  "send refused": "was refused",
  "send doubtful": "does not know whether it was sent",
  "typing on": "shows typing",
  "typing off": "ends typing",
  "typing failed": "cannot show typing",
  "media fetched": "fetched a file of the bot",
  "media uploaded": "uploaded a file to WeChat",
  "media reused": "uses a file WeChat still has",
  "media failed": "cannot use a file",
  "media downloaded": "downloaded the user's file",
  "hold held": "holds the account",
  "hold released": "goes on",
  "account passive_only": "learns: this account may not push",
  "account may_push": "learns: this account may push",
};

const bad = ["failed", "refused", "dead", "held", "dropped"];
const warn = ["retry", "doubtful", "silent", "duplicate", "parked", "thinking", "passive_only", "closed", "lost", "same_again"];

function verdict(...words) {
  if (words.some((w) => bad.includes(w))) return "bad";
  return words.some((w) => warn.includes(w)) ? "warn" : "";
}

const pretty = (v) => JSON.stringify(v, null, 2);

function json(text) {
  try {
    return pretty(JSON.parse(text));
  } catch {
    return text;
  }
}

/** attempt puts one of the three attempts in words; answer is absent while it lasts. */
export function attempt(request, answer, push) {
  const encrypted = request.url.includes("msg_signature=");
  const raw = [
    ["Request, as sent", `${request.method} ${request.url}\n\n${request.body}`],
    [encrypted ? "Request, decrypted" : "Its XML", push?.xml ?? ""],
  ];
  const name = `attempt ${request.attempt}`;
  if (!answer) return { text: `${name}: signed${encrypted ? " and encrypted" : ""}, waiting`, tone: "warn", raw };
  const a = answer.answer;
  raw.push(["Answer, as received", a.status ? `status ${a.status}\n\n${a.body ?? ""}` : (a.error ?? "")]);
  if (answer.plain) raw.push(["Answer, decrypted", answer.plain]);
  if (a.error) raw.push(["Judged", a.error]);
  const said = {
    success: "answered “success”", empty: "answered with nothing, which is well", reply: "answered with a passive reply",
    illegal: "answered what WeChat does not take", timeout: "not answered in time", refused: "no connection", cancelled: "cancelled",
  }[a.kind] ?? a.kind;
  const tone = { success: "good", empty: "good", reply: "good", illegal: "bad", refused: "bad" }[a.kind] ?? "warn";
  return { text: `${name}: ${said}`, took: span(a.took_ms), tone, raw };
}

/** describe puts an event in words, or gives null for one that is shown otherwise. */
export function describe(e) {
  const d = e.data ?? {};
  const of = { wechat: ofWeChat, botpress: ofBotpress, bridge: ofBridge }[e.source];
  const out = of?.(e, d);
  if (out && !out.raw) out.raw = [["Event", pretty(d)]];
  return out;
}

function ofWeChat(e, d) {
  switch (e.kind) {
    case "seen":
      return { text: seen(d), tone: d.road === "system" ? "bad" : "good",
        raw: [["What the server sent", d.raw ? (d.road === "push" ? json(d.raw) : d.raw) : "nothing: WeChat's own line"], ["Event", pretty({ ...d, raw: undefined })]] };
    case "call":
      return { text: `${d.path.replace("/cgi-bin/", "")} ${answer(d)}`, took: span(d.took_ms), tone: d.status === 0 || d.code ? "bad" : "",
        raw: [["Request", `${d.method} ${d.path}\n\n${json(d.body ?? "")}`], ["Answer", d.status ? json(d.answer ?? "") : "the connection was cut"]] };
    case "menu":
      return { text: d ? "the menu was changed" : "the menu was removed" };
    case "state":
      return { text: `settings: mode ${e.data.mode}, account ${e.data.kind}${e.data.down ? ", API down" : ""}` };
    default:
      return null;
  }
}

function answer(d) {
  if (d.status === 0) return "→ connection cut";
  return "→ " + (d.code ? `error ${d.code}` : "ok") + (d.fault ? " (injected)" : "");
}

function seen(d) {
  const road = { passive: "in the answer", push: "pushed", system: "WeChat's own" }[d.road];
  const text = d.type === "text" || d.type === "notice" ? d.text : `[${d.type}] ${d.text ?? ""}`;
  return `the user sees (${road}): ${text}`;
}

function ofBotpress(e, d) {
  switch (e.kind) {
    case "turn":
      return { text: `the bot gets: ${words(d.payload)}` };
    case "message":
      return d.bot ? { text: `the bot says: ${words(d.payload)}` } : null;
    case "webhook":
      if (!d.bot) return null;
      return { text: `webhook ${d.type} → ${d.status || d.error || d.fault}`, took: span(d.took / 1e6), tone: d.status === 200 ? "" : "bad",
        raw: [["Body", json(d.body ?? "")], ["Event", pretty({ ...d, body: undefined })]] };
    case "call":
      return { text: `${d.method} ${d.path.replace(/^\/[^/]+/, "")} → ${d.status || "connection cut"}`, took: span(d.took_ms), tone: d.status >= 400 || !d.status ? "bad" : "",
        raw: [["Request", `${d.method} ${d.path}\n\n${json(d.body ?? "")}`], ["Answer", json(d.answer ?? "")]] };
    case "state":
      return { text: `settings: ${d.down ? "down" : "up"}, thinks ${d.think} s` };
    default:
      return null;
  }
}

function words(p) {
  if (!p) return "";
  if (p.text && p.type === "text") return p.text;
  if (p.event) return `event ${p.event} ${p.eventKey ?? ""}`;
  return `[${p.type}] ${p.text ?? p.title ?? ""}`;
}

function ofBridge(e, d) {
  if (e.kind === "live") return null;
  if (e.kind === "lost") return { text: `${d.count} decisions were not told`, tone: "warn" };
  let text = bridge[`${d.stage} ${d.outcome}`] ?? `${d.stage} ${d.outcome ?? ""}`;
  if (d.stage === "plan") text = `decides: ${d.road ?? d.outcome}`;
  else if (d.stage === "send" && d.road) text += `, ${d.road}`;
  if (d.kind && (d.stage === "send" || d.stage === "media")) text += ` (${d.kind})`;
  if (d.attempt > 1) text += `, attempt ${d.attempt}`;
  if (d.code) text += `, error ${d.code}`;
  if (d.reason) text += `: ${d.reason}`;
  if (d.error) text += `: ${d.error}`;
  if (d.remedy) text += `. ${d.remedy}`;
  return {
    text, took: d.took ? span(d.took * 1000) : "", left: d.allowance_left,
    tone: verdict(d.outcome, d.road) || (d.stage === "append" || d.road ? "good" : ""),
  };
}

export { summary };
