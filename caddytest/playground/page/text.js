// What WeChat makes of a text: <a> elements and bare addresses can be tapped, all else is
// shown as it is.

const pattern = /<a\s[^<>]*?href\s*=\s*(?:"([^"<>]*)"|'([^'<>]*)')[^<>]*>([^<>]*)<\/a>|https?:\/\/[\w\-.~:/?#[\]@!$&'()*+,;=%]+/gi;

/** parse cuts a text into parts: {text}, {text, href} or {text, tap: {id, content}}. */
export function parse(text) {
  const parts = [];
  let end = 0;
  for (const m of text.matchAll(pattern)) {
    const part = m[3] === undefined ? bare(m[0]) : anchor(m[1] ?? m[2], m[3], m[0]);
    if (m.index > end) parts.push({ text: text.slice(end, m.index) });
    parts.push(part);
    end = m.index + (m[3] === undefined ? part.text.length : m[0].length);
  }
  if (end < text.length) parts.push({ text: text.slice(end) });
  return parts;
}

/** bare is an address in the text; the sentence's own punctuation is none of it. */
function bare(found) {
  const text = found.replace(/[.,;:!?'")\]]+$/, "");
  const href = web(text);
  return href ? { text, href } : { text };
}

function anchor(href, label, whole) {
  const tap = menuTap(href);
  if (tap) return { text: label, tap };
  const safe = web(href);
  return safe ? { text: label, href: safe } : { text: /^weixin:/i.test(href) ? label : whole };
}

/** web gives the address if it is one of the web, in a form that can be linked to. */
export function web(href) {
  try {
    const url = new URL(href);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : "";
  } catch {
    return "";
  }
}

/** menuTap reads weixin://bizmsgmenu?msgmenucontent=...&msgmenuid=... */
export function menuTap(href) {
  const m = /^weixin:\/\/bizmsgmenu\?(.*)$/i.exec(href.trim());
  if (!m) return null;
  const values = {};
  for (const pair of m[1].split("&")) {
    const at = pair.indexOf("=");
    if (at > 0) values[pair.slice(0, at)] = decode(pair.slice(at + 1));
  }
  return values.msgmenucontent ? { id: values.msgmenuid ?? "", content: values.msgmenucontent } : null;
}

function decode(s) {
  try {
    return decodeURIComponent(s);
  } catch {
    return s;
  }
}
