// A form that the bot opens (a modal).

import { byId, h, newId } from "./dom.js";
import { blocks } from "./markdown.js";

const ROW = 1, MENU = 3, TEXT_INPUT = 4, TEXT = 10, LABEL = 18;
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
  if (one.type === ROW) return one.components.map((inner) => field(inner, inner.label, "", fields));
  if (one.type === LABEL) return field(one.component, one.label, one.description, fields);
  if (one.type === TEXT) return h("div", { class: "text" }, blocks(one.content, context.names));
  return h("p", { class: "small" }, `(component ${one.type} is not shown here)`);
}

function field(one, label, description, fields) {
  const id = newId("field");
  const input = entry(one, id);
  if (!input) return h("p", { class: "small" }, `${label || ""} (component ${one.type} is not shown here)`);
  fields.push([one.custom_id, () => (one.type === MENU ? [...input.selectedOptions].map((option) => option.value) : input.value)]);
  return h("div", { class: "option" }, h("label", { for: id }, label || one.placeholder || one.custom_id,
    one.required === false ? null : h("span", {}, " (required)")), description && h("p", { class: "small" }, description), input);
}

function entry(one, id) {
  const needed = one.required !== false;
  if (one.type === MENU) {
    return h("select", { id, required: needed, multiple: (one.max_values ?? 1) > 1 },
      one.options.map((option) => h("option", { value: option.value, selected: Boolean(option.default) }, option.label)));
  }
  if (one.type !== TEXT_INPUT) return null;
  const about = { id, required: needed, minlength: one.min_length, maxlength: one.max_length ?? 4000, placeholder: one.placeholder };
  if (one.style === PARAGRAPH) return h("textarea", { ...about, rows: 5 }, one.value || "");
  return h("input", { ...about, type: "text", value: one.value, autocomplete: "off" });
}
