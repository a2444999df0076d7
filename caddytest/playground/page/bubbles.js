// One entry of a chat, as WeChat shows it.

import { h, icon, toast } from "./dom.js";
import { parse, web } from "./text.js";

// What a server gets when a user sends a sticker.
const sticker = "【收到不支持的消息类型，暂无法显示】";

/** entry makes the row of a chat item. ctx: {model, user, tap(choice)} */
export function entry(item, ctx) {
  if (item.side === "system") {
    return h("li", { class: "line" + (item.type === "notice" ? " failure" : ""), text: item.text });
  }
  const mine = item.side === "user";
  const who = mine ? ctx.user.name : "公众号";
  const body = mine ? sent(item, ctx) : received(item, ctx);
  const row = h("li", { class: "row " + (mine ? "mine" : "theirs") + (item.type === "news" ? " wide" : "") },
    avatar(mine ? ctx.user : null),
    h("div", { class: "said" }, h("span", { class: "sr", text: who + "：" }), body,
      item.ai ? h("span", { class: "ai", text: "内容由AI生成" }) : null));
  return row;
}

/** avatar is a user's initial, or the account's face. */
export function avatar(user) {
  if (!user) return h("span", { class: "avatar account", "aria-hidden": "true" }, h("img", { src: "icon.svg", alt: "" }));
  const el = h("span", { class: "avatar", "aria-hidden": "true", text: user.name.slice(0, 1).toUpperCase() });
  let n = 0;
  for (const c of user.openid) n = (n * 31 + c.charCodeAt(0)) % 360;
  el.style.setProperty("--hue", String(n));
  return el;
}

function sent(item, ctx) {
  const f = item.fields;
  switch (item.type) {
    case "text":
      if (f.Content === sticker) return h("span", { class: "sticker", role: "img", "aria-label": "动画表情 sticker", text: "🐼" });
      return bubble(h("span", { text: f.Content ?? "" }));
    case "image":
      return picture(ctx.model.local(f.PicUrl ?? ""), "图片 picture");
    case "voice":
      return voice("/pic/" + f.MediaId + "/0", f.Format === "amr");
    case "video":
    case "shortvideo":
      return video("/pic/" + f.MediaId + "/0", "视频 video");
    case "location":
      return place(f.Label ?? "", f.Location_X, f.Location_Y);
    case "link":
      return card({ title: f.Title, description: f.Description, url: f.Url }, ctx);
    default:
      return bubble(h("span", { text: `[${item.type}]` }));
  }
}

function received(item, ctx) {
  const file = item.media_id ? "/pic/" + item.media_id + "/0" : "";
  switch (item.type) {
    case "text":
      return bubble(rich(item.text ?? "", ctx));
    case "image":
      return picture(file, "图片 picture");
    case "voice":
      return voice(file, item.media?.content_type === "audio/amr");
    case "video":
      return video(file, item.text || "视频 video");
    case "news":
      return news(item.articles ?? [], ctx);
    case "msgmenu":
      return bubble(menu(item.menu ?? {}, ctx));
    default:
      return bubble(h("span", { text: `[${item.type}] ${item.text ?? ""}` }));
  }
}

function bubble(...kids) {
  return h("div", { class: "bubble" }, ...kids);
}

/** rich is a text with what can be tapped in it. */
export function rich(text, ctx) {
  const el = h("span", { class: "text" });
  for (const part of parse(text)) {
    if (part.tap) el.append(choice(part.text, part.tap, ctx));
    else if (part.href) el.append(outside(part.text, part.href));
    else el.append(part.text);
  }
  return el;
}

function choice(label, tap, ctx) {
  return h("button", { type: "button", class: "choice", text: label, onclick: () => ctx.tap(tap) });
}

function outside(text, href) {
  return h("a", { href, target: "_blank", rel: "noopener noreferrer", text });
}

function menu(m, ctx) {
  const el = h("span", { class: "text" });
  if (m.head_content) el.append(rich(m.head_content, ctx), "\n");
  for (const o of m.list ?? []) {
    el.append(choice(String(o.content), { id: String(o.id), content: String(o.content) }, ctx), "\n");
  }
  if (m.tail_content) el.append(rich(m.tail_content, ctx));
  return el;
}

function picture(src, alt) {
  if (!src) return bubble(h("span", { text: "[图片]" }));
  const img = h("img", { class: "picture", src, alt, loading: "lazy" });
  return h("a", { class: "frame", href: src, target: "_blank", rel: "noopener", "aria-label": alt }, img);
}

function video(src, title) {
  return h("video", { class: "picture", src, controls: true, preload: "metadata", "aria-label": title, playsinline: true });
}

function voice(src, amr) {
  const audio = h("audio", { src, preload: "metadata" });
  const seconds = h("span", { class: "seconds" });
  audio.addEventListener("loadedmetadata", () => {
    if (Number.isFinite(audio.duration)) seconds.textContent = Math.max(1, Math.round(audio.duration)) + "″";
  });
  const button = h("button", { type: "button", class: "bubble voice", "aria-label": "播放语音 play the voice message" },
    icon("voice"), seconds, audio);
  if (amr) seconds.textContent = "AMR";
  button.addEventListener("click", async () => {
    if (amr) {
      toast("Browsers do not play AMR, the format of WeChat's voice messages.");
      return;
    }
    try {
      if (audio.paused) await audio.play();
      else audio.pause();
    } catch (err) {
      toast("This sound does not play: " + err.message);
    }
  });
  for (const name of ["play", "pause", "ended"]) {
    audio.addEventListener(name, () => button.classList.toggle("playing", name === "play"));
  }
  return button;
}

function place(label, lat, lng) {
  return h("div", { class: "card place" },
    h("strong", { text: label || "位置" }),
    h("span", { class: "digest", text: `${lat}, ${lng}` }),
    h("span", { class: "map", "aria-hidden": "true" }, icon("place")));
}

function news(articles, ctx) {
  if (articles.length === 1) return card(articles[0], ctx, true);
  return h("div", { class: "card stack" }, ...articles.map((a) => card(a, ctx, true)));
}

/** card is an article. Its picture is shown if this page's server has it: the page asks
    no other. */
function card(a, ctx, large = false) {
  const src = a.picurl ? ctx.model.local(a.picurl) : "";
  const href = web(a.url ?? "");
  const inner = [
    large && src ? h("img", { class: "cover", src, alt: "" }) : null,
    large && a.picurl && !src ? h("span", { class: "cover away", text: "picture at " + host(a.picurl) }) : null,
    h("strong", { text: a.title ?? "" }),
    a.description ? h("span", { class: "digest", text: a.description }) : null,
  ];
  return href
    ? h("a", { class: "card", href, target: "_blank", rel: "noopener noreferrer" }, ...inner)
    : h("div", { class: "card" }, ...inner);
}

function host(url) {
  try {
    return new URL(url).host;
  } catch {
    return "an address that cannot be read";
  }
}
