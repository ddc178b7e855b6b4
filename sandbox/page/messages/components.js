// What can be pressed and chosen under a message, and the layouts of Components V2.

import { h } from "../dom.js";
import { file, picture } from "./files.js";
import { blocks, link } from "./markdown.js";
import { field, MENUS, offered } from "./menus.js";

const STYLES = { 1: "primary", 2: "secondary", 3: "success", 4: "danger" };
const KINDS = {
  1: (one, at) => h("div", { class: "row" }, each(one.components, at)),
  2: button,
  ...Object.fromEntries(MENUS.map((type) => [type, menu])),
  9: (one, at) => h("div", { class: "section" }, h("div", {}, each(one.components, at)), draw(one.accessory, at)),
  10: (one, at) => h("div", { class: "text" }, blocks(one.content, at.context.names)),
  11: (one) => picture({ ...one.media, description: one.description }, "thumbnail"),
  12: (one) => h("div", { class: "gallery" }, one.items.map((item) => picture({ ...item.media, description: item.description }, "artwork"))),
  13: (one, at) => file(uploaded(one.file.url, at.message)),
  14: (one) => (one.divider === false ? h("div", { class: "space" }) : h("hr")),
  17: container,
};

export const components = (message, context) => each(message.components, { message, context });

const each = (list, at) => (list || []).map((one) => draw(one, at));

function draw(one, at) {
  if (!one) return null;
  return KINDS[one.type] ? KINDS[one.type](one, at) : h("p", { class: "small" }, `(component ${one.type} is not shown here)`);
}

function container(one, at) {
  const box = h("div", { class: "container" }, each(one.components, at));
  if (typeof one.accent_color === "number") box.style.setProperty("--edge", `#${one.accent_color.toString(16).padStart(6, "0")}`);
  return box;
}

function uploaded(url, message) {
  const known = message.attachments.find((one) => one.url === url);
  return known || { url, filename: decodeURIComponent(url.split("/").at(-1)), size: 0, content_type: "" };
}

function button(one, { message, context }) {
  const label = [one.emoji?.name, one.label].filter(Boolean).join(" ");
  if (one.url) return h("span", { class: "button link" }, link([label], one.url));
  return h("button", {
    type: "button", class: `button ${STYLES[one.style] || "secondary"}`, disabled: Boolean(one.disabled),
    "aria-label": one.label ? undefined : name(one.emoji?.name),
    onclick: () => context.act(label, { do: "press", message: message.id, custom_id: one.custom_id }),
  }, one.emoji && one.label ? [h("span", { "aria-hidden": "true" }, `${one.emoji.name} `), one.label] : label);
}

// Signs say little to a screen reader.
const name = (sign) => ({ "◀": "Back", "▶": "Next", "♥": "Like", "❤": "Like", "❤️": "Like" })[sign] || sign;

function menu(one, { message, context }) {
  const label = one.placeholder || "Choose";
  const send = (values) => context.act(label, { do: "select", message: message.id, custom_id: one.custom_id, values });
  if ((one.max_values ?? 1) > 1) return many(one, label, send, context.place);
  const [select, values] = field(one, context.place, label, {
    "aria-label": label, disabled: Boolean(one.disabled), class: "select", onchange: () => send(values()),
  });
  return select;
}

function many(one, label, send, place) {
  const choices = offered(one, place);
  const boxes = choices.map(({ value, chosen }) => h("input", { type: "checkbox", value, checked: chosen }));
  const least = one.min_values ?? 1;
  const sender = h("button", { type: "button", class: "button secondary", onclick: () => send(values()) }, "Send the choice");
  const values = () => boxes.filter((box) => box.checked).map((box) => box.value);
  const check = () => { sender.disabled = values().length < least || values().length > one.max_values; };
  check();
  return h("fieldset", { class: "many", onchange: check, disabled: Boolean(one.disabled) }, h("legend", {}, label),
    choices.map((choice, number) => h("label", {}, boxes[number], ` ${choice.label}`)), sender);
}
