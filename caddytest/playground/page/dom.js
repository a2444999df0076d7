// Elements are built one by one and filled by textContent: what users and bots write never
// becomes markup.

/** h makes an element. Names starting with "on" are listeners; class and text are short for
    className and textContent; booleans add or leave out; everything else is an attribute. */
export function h(tag, props = {}, ...kids) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
    else if (name === "class") el.className = value;
    else if (name === "text") el.textContent = value;
    else el.setAttribute(name, value === true ? "" : value);
  }
  el.append(...kids.filter((k) => k !== null && k !== undefined && k !== false));
  return el;
}

const paths = {
  back: "M15 5l-7 7 7 7",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  voice: "M7 9a4 4 0 0 1 0 6M11 6.500a8 8 0 0 1 0 11M15 4a12 12 0 0 1 0 16",
  keyboard: "M3 7h18v10H3zM6.500 10.500h.01M10 10.500h.01M14 10.500h.01M17.500 10.500h.01M8 14h8",
  smile: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM8.500 14.200a4.200 4.200 0 0 0 7 0M9 9.800h.01M15 9.800h.01",
  plus: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7.500v9M7.500 12h9",
  picture: "M4 5h16v14H4zM4 16l4.500-4.500 4 4 2.500-2.500 5 5M15.500 9.500h.01",
  video: "M3 7h12v10H3zM15 11l6-3.500v9L15 13z",
  sound: "M9 18V6l10-2v12M9 18a2.500 2.500 0 1 1-2.500-2.500A2.500 2.500 0 0 1 9 18zM19 16a2.500 2.500 0 1 1-2.500-2.500A2.500 2.500 0 0 1 19 16z",
  place: "M12 21s-7-6.300-7-11.500a7 7 0 0 1 14 0C19 14.700 12 21 12 21zM12 7.500a2 2 0 1 0 0 4 2 2 0 0 0 0-4z",
  link: "M10 14a4.500 4.500 0 0 0 6.500.3l3-3a4.500 4.500 0 0 0-6.400-6.400l-1.300 1.300M14 10a4.500 4.500 0 0 0-6.500-.3l-3 3a4.500 4.500 0 0 0 6.400 6.400l1.300-1.300",
  scan: "M4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4M4 12h16",
  sticker: "M12 3a9 9 0 1 0 9 9c-5 0-9-4-9-9zM12 3l9 9",
  leave: "M14 8V5H4v14h10v-3M9 12h12M17.500 8.500 21 12l-3.500 3.500",
  play: "M8 5.500v13l11-6.500z",
  menu: "M5 7h14M5 12h14M5 17h14",
};

/** icon is a drawing that screen readers pass over. */
export function icon(name) {
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon icon-" + name);
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(ns, "path");
  path.setAttribute("d", paths[name] ?? "");
  svg.append(path);
  return svg;
}

let toastTimer;

/** toast shows a line for some seconds, and says it. */
export function toast(text) {
  const el = document.getElementById("toast");
  el.textContent = text;
  el.classList.add("shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => el.classList.remove("shown"), 4000);
}

export function clock(at, exact = false) {
  const d = new Date(at);
  const two = (n) => String(n).padStart(2, "0");
  const hm = `${two(d.getHours())}:${two(d.getMinutes())}`;
  return exact ? `${hm}:${two(d.getSeconds())}.${String(d.getMilliseconds()).padStart(3, "0")}` : hm;
}

/** span says how long something took. */
export function span(ms) {
  if (ms < 10) return ms.toFixed(1) + " ms";
  return ms < 1000 ? Math.round(ms) + " ms" : (ms / 1000).toFixed(2) + " s";
}
