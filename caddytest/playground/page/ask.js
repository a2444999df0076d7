import { h } from "./dom.js";

/** ask shows a form, and gives what was filled in, or null. */
export function ask(title, fields) {
  return new Promise((resolve) => {
    const form = h("form", { method: "dialog" }, h("h2", { text: title }));
    for (const f of fields) {
      form.append(h("label", {}, h("span", { text: f.label }),
        h("input", { name: f.name, value: f.value ?? "", type: f.type ?? "text", step: f.type === "number" ? "any" : undefined, required: true })));
    }
    form.append(h("div", { class: "buttons" },
      h("button", { type: "button", text: "Cancel", onclick: () => dialog.close() }),
      h("button", { type: "submit", class: "primary", text: "Send" })));
    const dialog = h("dialog", { "aria-label": title }, form);
    let out = null;
    form.addEventListener("submit", () => {
      out = Object.fromEntries(new FormData(form));
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(out);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
