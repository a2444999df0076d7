// A user's phone: the chat with the account, and below it what the user can do.

import { clock, h, icon } from "./dom.js";
import { avatar, entry } from "./bubbles.js";
import { Composer } from "./composer.js";
import { wechat } from "./feed.js";

const gap = 5 * 60 * 1000; // between messages, before the time is shown again
const kept = 500; // rows in view

export class Phone {
  constructor(model, user, options) {
    this.model = model;
    this.user = user;
    this.options = options;
    this.shown = 0; // time of the newest row
    this.ctx = { model, user, tap: (choice) => this.tap(choice) };
    this.list = h("ol", { class: "rows" });
    this.log = h("div", { class: "chat", role: "log", "aria-live": "polite", "aria-label": "聊天记录", tabindex: "0" }, this.list);
    this.dots = h("li", { class: "row theirs typing", hidden: true }, avatar(null),
      h("div", { class: "said" }, h("div", { class: "bubble dots" }, h("i"), h("i"), h("i"), h("span", { class: "sr", text: "对方正在输入…" }))));
    this.list.append(this.dots);
    this.stuck = true; // to the newest row
    this.log.addEventListener("scroll", () => {
      this.stuck = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 60;
    });
    this.sizes = new ResizeObserver(() => this.stuck && this.bottom());
    this.sizes.observe(this.log);
    this.sizes.observe(this.list);
    this.title = h("span", { class: "title" });
    this.composer = new Composer(model, user, (push) => this.push(push));
    this.follow = h("button", { type: "button", class: "follow", text: "关注公众号", onclick: () => this.push({ event: "subscribe" }) });
    this.el = h("section", { class: "phone", lang: "zh-CN", "aria-label": user.name },
      h("header", { class: "bar" }, h("span", { class: "glyph" }, icon("back")), h("div", { class: "head" }, this.title,
        h("span", { class: "owner", text: user.name })), h("span", { class: "glyph" }, icon("more"))),
      this.log, this.follow, this.composer.el);
    for (const item of user.chat) this.add(item);
    this.refresh();
    model.addEventListener("chat", (this.onChat = (e) => e.detail.user === user && this.add(e.detail.item)));
    model.addEventListener("typing", (this.onTyping = (e) => e.detail === user && this.refresh()));
    model.addEventListener("following", (this.onFollow = (e) => e.detail === user && this.refresh()));
  }

  close() {
    clearTimeout(this.timer);
    this.model.removeEventListener("chat", this.onChat);
    this.model.removeEventListener("typing", this.onTyping);
    this.model.removeEventListener("following", this.onFollow);
    this.sizes.disconnect();
    this.composer.close();
    this.el.remove();
  }

  add(item) {
    const at = Date.parse(item.at);
    if (at - this.shown > gap) this.dots.before(h("li", { class: "when" }, h("time", { datetime: item.at, text: clock(at) })));
    this.shown = at;
    this.dots.before(entry(item, this.ctx));
    while (this.list.children.length > kept) this.list.firstChild.remove();
    if (item.side === "user") this.bottom();
  }

  bottom() {
    this.stuck = true;
    this.log.scrollTop = this.log.scrollHeight;
  }

  refresh() {
    const left = this.user.typing - Date.now();
    const typing = left > 0 && this.user.following;
    clearTimeout(this.timer);
    if (typing) this.timer = setTimeout(() => this.refresh(), left);
    this.dots.hidden = !typing;
    this.title.textContent = typing ? "对方正在输入…" : "我的公众号";
    this.follow.hidden = this.user.following;
    this.composer.el.hidden = !this.user.following;
  }

  push(push) {
    return wechat("push", { openid: this.user.openid, ...push, ...this.options() });
  }

  tap(choice) {
    // Test accounts are not told which link was tapped.
    const menuid = this.model.wechat.kind === "sandbox" ? undefined : choice.id;
    return this.push({ type: "text", text: choice.content, menuid });
  }
}
