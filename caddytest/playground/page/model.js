// What has happened, as far as the page needs to know: users with their chats, pushes with
// what became of them. It is made of the events alone, so a reload makes it again.

export class Model extends EventTarget {
  constructor() {
    super();
    this.clear();
  }

  clear() {
    this.users = new Map();
    this.pushes = new Map(); // by serial number
    this.keys = new Set(); // of messages that are in a chat
    this.all = []; // every event, for the export
    this.wechat = {};
    this.botpress = {};
    this.menu = null;
    this.files = [];
  }

  user(openid) {
    let u = this.users.get(openid);
    if (!u) {
      u = { openid, name: nameOf(openid), following: true, chat: [], typing: 0, last: null };
      this.users.set(openid, u);
      this.tell("user", u);
    }
    return u;
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  hello(h) {
    if (this.epoch && this.epoch !== h.epoch) {
      this.clear();
      this.tell("cleared");
    }
    this.epoch = h.epoch;
    Object.assign(this, { wechat: h.wechat, botpress: h.botpress, menu: h.menu, files: h.files, realBot: h.real_bot, bridge: h.bridge });
    this.tell("hello");
    this.tell("menu");
    this.tell("state");
  }

  /** local makes an address of a file that the simulators serve one of this page's own. */
  local(url) {
    for (const base of this.files) {
      if (base && url.startsWith(base + "/")) return url.slice(base.length);
    }
    return url.startsWith(location.origin + "/") ? url.slice(location.origin.length) : "";
  }

  take(e) {
    if (e.kind === "reset") {
      if (e.source === "wechat") {
        const kept = [this.wechat, this.botpress, this.menu, this.files];
        this.clear();
        [this.wechat, this.botpress, , this.files] = kept;
        this.tell("cleared");
        this.tell("menu");
      }
      return;
    }
    this.all.push(e);
    if (this.all.length > 30000) this.all.splice(0, 5000);
    if (e.source === "wechat") this.takeWeChat(e);
    else if (e.source === "botpress" && e.kind === "state") {
      this.botpress = e.data;
      this.tell("state");
    } else if (e.source === "bridge" && !this.bridge) {
      this.bridge = true;
      this.tell("hello");
    }
    this.tell("event", e);
  }

  takeWeChat(e) {
    const d = e.data;
    switch (e.kind) {
      case "push":
        this.pushes.set(d.push, { at: e.at, openid: e.openid, ...d });
        this.takePush(e, d);
        break;
      case "seen":
        this.add(e.openid, { at: e.at, side: d.road === "system" ? "system" : "account", ...d });
        this.typing(this.user(e.openid), 0);
        break;
      case "typing":
        this.typing(this.user(e.openid), d.on ? Date.parse(e.at) + d.seconds * 1000 : 0);
        break;
      case "menu":
        this.menu = d ?? null;
        this.tell("menu");
        break;
      case "state":
        this.wechat = d;
        this.tell("state");
        break;
    }
  }

  typing(u, until) {
    u.typing = until;
    this.tell("typing", u);
  }

  takePush(e, d) {
    const u = this.user(e.openid);
    const f = d.fields ?? {};
    const following = d.event !== "unsubscribe";
    if (u.following !== following) {
      u.following = following;
      this.tell("following", u);
    }
    const key = e.openid + "\n" + d.key;
    if (this.keys.has(key)) return; // a duplicate on purpose
    this.keys.add(key);
    if (d.type !== "event") {
      this.add(e.openid, { at: e.at, side: "user", type: d.type, fields: f });
      return;
    }
    const line = eventLine(d, f);
    if (line) this.add(e.openid, { at: e.at, side: "system", text: line });
  }

  add(openid, item) {
    const u = this.user(openid);
    u.chat.push(item);
    u.last = item;
    this.tell("chat", { user: u, item });
  }
}

function eventLine(d, f) {
  const key = f.EventKey ?? "";
  switch (d.event) {
    case "subscribe":
      return key.startsWith("qrscene_") ? `扫码关注了公众号（${key.slice(8)}）` : "你已关注该公众号";
    case "unsubscribe":
      return "你已取消关注该公众号";
    case "SCAN":
      return `扫描了二维码（${key}）`;
    case "CLICK":
      return `点击了菜单（${key}）`;
    case "VIEW":
      return `打开了菜单链接 ${key}`;
    case "LOCATION":
      return "";
    default:
      return `${d.event}${key ? `（${key}）` : ""}`;
  }
}

export function nameOf(openid) {
  return /^o[A-Z]/.test(openid) && openid.length < 20 ? openid.slice(1) : openid.slice(0, 8);
}

/** summary is one line of what a push was. */
export function summary(p) {
  const f = p.fields ?? {};
  switch (p.type) {
    case "text":
      return f.Content ?? "";
    case "image":
      return "[图片] picture";
    case "voice":
      return "[语音] voice";
    case "video":
    case "shortvideo":
      return "[视频] video";
    case "location":
      return "[位置] " + (f.Label || `${f.Location_X}, ${f.Location_Y}`);
    case "link":
      return "[链接] " + (f.Title ?? "");
    case "event":
      return p.event + (f.EventKey ? " " + f.EventKey : "");
    default:
      return p.type;
  }
}
