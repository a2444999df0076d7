// What a user can do: write, record, send files and places, tap the menu.

import { h, icon, toast } from "./dom.js";
import { ask } from "./ask.js";
import { base64 } from "./feed.js";
import { recorder } from "./record.js";

const emoji = ["😀", "😄", "😂", "🤣", "😊", "😍", "😘", "😎", "🤔", "😅", "😭", "😡", "😱", "😴", "🤗", "🙄", "👍", "👎", "👏", "🙏", "💪", "👌", "✌️", "🤝", "❤️", "💔", "🌹", "🎉", "🎁", "🔥", "☀️", "🌧️", "🐶", "🐱", "🐼", "🍚", "🍜", "☕", "🧧", "👨‍👩‍👧"];
const largest = 20 << 20; // of a file

export class Composer {
  constructor(model, user, push) {
    this.model = model;
    this.user = user;
    this.push = push;
    this.text = h("textarea", { rows: "1", "aria-label": "输入消息 message", enterkeyhint: "send", autocomplete: "off",
      oninput: () => this.grow(), onkeydown: (e) => this.key(e), onbeforeinput: (e) => this.line1(e), onpaste: (e) => this.paste(e), onfocus: () => this.panel("") });
    this.speak = h("button", { type: "button", class: "speak", hidden: true, text: "按住 说话" });
    this.send = h("button", { type: "button", class: "send", text: "发送", hidden: true, onclick: () => this.say() });
    this.more = this.glyph("plus", "更多 more", () => this.panel(this.open === "more" ? "" : "more"));
    this.smile = this.glyph("smile", "表情 emoji", () => this.panel(this.open === "emoji" ? "" : "emoji"));
    this.voice = this.glyph("voice", "语音 voice", () => this.speaking(this.speak.hidden));
    this.swap = this.glyph("menu", "菜单 menu", () => this.menuMode(true));
    this.line = h("div", { class: "line-in" }, this.swap, this.voice, this.text, this.speak, this.smile, this.more, this.send);
    this.menu = h("div", { class: "menu", role: "group", "aria-label": "菜单" });
    this.drawer = h("div", { class: "drawer", hidden: true });
    this.el = h("footer", { class: "input" }, this.line, this.menu, this.drawer);
    recorder(this.speak, (file) => this.file("voice", file));
    model.addEventListener("menu", (this.onMenu = () => this.showMenu()));
    this.showMenu();
    this.grow();
  }

  close() {
    this.model.removeEventListener("menu", this.onMenu);
  }

  glyph(name, label, onclick) {
    return h("button", { type: "button", class: "glyph", "aria-label": label, title: label, onclick }, icon(name));
  }

  /** line1 keeps the Enter that sends from leaving a line break behind. */
  line1(e) {
    if (e.inputType === "insertLineBreak" && !this.shift && !e.isComposing) e.preventDefault();
  }

  key(e) {
    this.shift = e.shiftKey;
    if (e.key === "Enter" && !e.shiftKey && !e.isComposing) {
      e.preventDefault();
      this.say();
    } else if (e.key === "Escape") this.panel("");
  }

  grow() {
    const full = this.text.value.trim() !== "";
    this.send.hidden = !full;
    this.more.hidden = full;
    this.text.style.height = "auto";
    if (this.text.scrollHeight) this.text.style.height = Math.min(this.text.scrollHeight, 120) + "px";
  }

  async say() {
    const text = this.text.value.trim();
    if (!text) return;
    this.text.value = "";
    this.grow();
    if (!(await this.push({ type: "text", text })) && !this.text.value) {
      this.text.value = text;
      this.grow();
    }
  }

  paste(e) {
    const file = [...(e.clipboardData?.files ?? [])].find((f) => f.type.startsWith("image/"));
    if (!file) return;
    e.preventDefault();
    this.file("image", file);
  }

  async file(type, file) {
    if (file.size > largest) toast("Not sent: larger than 20 MiB.");
    else if (file.size > 0) await this.push({ type, file: await base64(file) });
  }

  choose(type, accept) {
    const input = h("input", { type: "file", accept, "aria-label": type });
    input.addEventListener("change", () => input.files[0] && this.file(type, input.files[0]));
    input.click();
  }

  speaking(on) {
    this.speak.hidden = !on;
    this.text.hidden = on;
    this.voice.replaceChildren(icon(on ? "keyboard" : "voice"));
    this.panel("");
    (on ? this.speak : this.text).focus();
  }

  panel(name) {
    this.open = name;
    this.drawer.hidden = !name;
    this.more.setAttribute("aria-expanded", String(name === "more"));
    this.smile.setAttribute("aria-expanded", String(name === "emoji"));
    if (name === "emoji") this.drawer.replaceChildren(this.emojiGrid());
    if (name === "more") this.drawer.replaceChildren(this.moreGrid());
  }

  emojiGrid() {
    return h("div", { class: "emoji", role: "group", "aria-label": "表情" }, ...emoji.map((e) =>
      h("button", { type: "button", text: e, "aria-label": e, onclick: () => {
        this.text.setRangeText(e, this.text.selectionStart, this.text.selectionEnd, "end");
        this.grow();
      } })));
  }

  moreGrid() {
    const item = (name, chinese, english, onclick) =>
      h("button", { type: "button", onclick: () => { this.panel(""); onclick(); } },
        h("span", { class: "tile" }, icon(name)), h("span", { text: chinese }), h("small", { lang: "en", text: english }));
    return h("div", { class: "grid", role: "group", "aria-label": "更多" },
      item("picture", "照片", "Picture", () => this.choose("image", "image/png,image/jpeg,image/gif,image/webp")),
      item("video", "视频", "Video", () => this.choose("video", "video/*")),
      item("sound", "语音", "Voice file", () => this.choose("voice", "audio/*,.amr")),
      item("place", "位置", "Location", () => this.place()),
      item("link", "链接", "Link", () => this.link()),
      item("scan", "扫一扫", "Scan", () => this.scan()),
      item("sticker", "动画表情", "Sticker", () => this.push({ type: "sticker" })),
      item("leave", "取消关注", "Unfollow", () => this.push({ event: "unsubscribe" })));
  }

  async place() {
    const v = await ask("位置 Location", [
      { name: "label", label: "Name", value: "北京市东城区天安门" },
      { name: "lat", label: "Latitude", value: "39.9087", type: "number" },
      { name: "lng", label: "Longitude", value: "116.3975", type: "number" }]);
    if (v) this.push({ type: "location", label: v.label, lat: Number(v.lat), lng: Number(v.lng) });
  }

  async link() {
    const v = await ask("链接 Link", [
      { name: "title", label: "Title", value: "公众号开发指南" },
      { name: "description", label: "Description", value: "从零开始" },
      { name: "url", label: "Address", value: "https://example.com/", type: "url" }]);
    if (v) this.push({ type: "link", ...v });
  }

  async scan() {
    const v = await ask("扫一扫 Scan a QR code of the account", [{ name: "key", label: "Scene", value: "poster-7" }]);
    if (v) this.push({ event: "SCAN", key: v.key });
  }

  showMenu() {
    const buttons = this.model.menu?.button ?? [];
    this.swap.hidden = buttons.length === 0;
    this.menu.replaceChildren(this.glyph("keyboard", "键盘 keyboard", () => this.menuMode(false)),
      ...buttons.map((b) => this.menuButton(b)));
    this.menuMode(buttons.length > 0);
  }

  menuMode(on) {
    this.menu.hidden = !on;
    this.line.hidden = on;
    this.panel("");
  }

  menuButton(b) {
    const kids = b.sub_button ?? [];
    if (kids.length === 0) return h("button", { type: "button", class: "item", text: b.name, onclick: () => this.tapMenu(b) });
    const list = h("div", { class: "sub", hidden: true }, ...kids.map((k) =>
      h("button", { type: "button", text: k.name, onclick: () => { toggle(false); this.tapMenu(k); } })));
    const top = h("button", { type: "button", class: "item", "aria-expanded": "false", onclick: () => toggle(list.hidden) },
      icon("menu"), b.name);
    const toggle = (on) => {
      list.hidden = !on;
      top.setAttribute("aria-expanded", String(on));
    };
    return h("div", { class: "with-sub" }, list, top);
  }

  tapMenu(b) {
    switch (b.type) {
      case "click":
        return this.push({ event: "CLICK", key: b.key });
      case "view":
        return this.push({ event: "VIEW", key: b.url });
      case "location_select":
        this.push({ event: b.type, key: b.key });
        return this.place();
      case "pic_sysphoto":
      case "pic_photo_or_album":
      case "pic_weixin":
        this.push({ event: b.type, key: b.key });
        return this.choose("image", "image/*");
      case "scancode_push":
      case "scancode_waitmsg":
        return this.push({ event: b.type, key: b.key });
      default:
        return toast("This button opens something that is not simulated: " + b.type);
    }
  }
}
