// A form that the bot opens (a modal).

import { byId, h, newId } from "../dom.js";
import { blocks } from "../messages/markdown.js";
import { field as menu, MENUS } from "../messages/menus.js";

const ROW = 1, TEXT_INPUT = 4, TEXT = 10, LABEL = 18, CHECKBOX = 23;
const PARAGRAPH = 2;

export function openForm({ call, modal }, context) {
  const dialog = byId("form");
  const fields = [];
  const parts = modal.components.map((one) => part(one, fields, context));
  const title = newId("form");
  dialog.setAttribute("aria-labelledby", title);
  dialog.replaceChildren(h("form", { method: "dialog", onsubmit: (event) => {
    event.preventDefault();
    const values = Object.fromEntries(fields.map(([name, value]) => [name, value()]));
    dialog.close();
    context.act(modal.title, { do: "submit", call, values });
  } },
  h("h2", { id: title }, modal.title), parts,
  h("div", { class: "row" },
    h("button", { type: "submit", class: "button primary" }, "Submit"),
    h("button", { type: "button", class: "button secondary", onclick: () => dialog.close() }, "Cancel"))));
  dialog.showModal();
}

function part(one, fields, context) {
  if (one.type === ROW) return one.components.map((inner) => field(inner, inner.label, "", fields, context));
  if (one.type === LABEL) return field(one.component, one.label, one.description, fields, context);
  if (one.type === TEXT) return h("div", { class: "text" }, blocks(one.content, context.names));
  return h("p", { class: "small" }, `(component ${one.type} is not shown here)`);
}

function field(one, label, description, fields, context) {
  const id = newId("field");
  const [input, value] = entry(one, id, context);
  if (!input) return h("p", { class: "small" }, `${label || ""} (component ${one.type} is not shown here)`);
  fields.push([one.custom_id, value]);
  return h("div", { class: "option" }, h("label", { for: id }, label || one.placeholder || one.custom_id,
    one.required === false || one.type === CHECKBOX ? null : h("span", {}, " (required)")), description && h("p", { class: "small" }, description), input);
}

function entry(one, id, context) {
  const required = one.required !== false;
  if (MENUS.includes(one.type)) return menu(one, context.place, one.placeholder || "–", { id, required });
  if (one.type === CHECKBOX) {
    const box = h("input", { id, type: "checkbox", checked: one.default });
    return [box, () => box.checked];
  }
  if (one.type !== TEXT_INPUT) return [];
  const about = { id, required, minlength: one.min_length, maxlength: one.max_length ?? 4000, placeholder: one.placeholder };
  const input = one.style === PARAGRAPH
    ? h("textarea", { ...about, rows: 5 }, one.value || "")
    : h("input", { ...about, type: "text", value: one.value, autocomplete: "off" });
  return [input, () => input.value];
}
