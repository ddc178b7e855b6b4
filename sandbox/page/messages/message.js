// A message as people know it: who, to whom, words, players, pictures, cards, buttons, and what is for one person only.

import { fill, h } from "../dom.js";
import { components } from "./components.js";
import { file, picture } from "./files.js";
import { blocks, inline, link } from "./markdown.js";

const PRIVATE = 1 << 6, THINKING = 1 << 7, LAYOUT = 1 << 15;
const PARTS = ["asked", "head", "words", "files", "embeds", "components", "foot"];

// Returns an element that `update` brings up to date part by part: what plays goes on playing.
export function create(message, context) {
  const parts = Object.fromEntries(PARTS.map((name) => [name, h("div", { class: name })]));
  const element = h("li", { class: "message", id: `message-${message.id}`, tabindex: -1 }, Object.values(parts));
  element.parts = parts;
  return element;
}

export function update(element, message, context) {
  const { names, me, bot } = context;
  const isPrivate = Boolean(message.flags & PRIVATE);
  const thinking = Boolean(message.flags & THINKING);
  const mine = message.mentions.some((person) => person.id === me) || message.mention_everyone;
  element.classList.toggle("private", isPrivate);
  element.classList.toggle("pinging", mine && !isPrivate);
  element.classList.toggle("from-bot", message.author.id === bot.id);
  const { parts } = element;
  const lookedUp = [context.language, [...names.channels]];

  // What is answered may have been edited since.
  const target = context.messages.get(message.message_reference?.message_id) || message.referenced_message;
  fill(parts.asked, [target?.content, message.message_reference, lookedUp], () => asked(message, target, names));
  fill(parts.head, [message.author.id, context.menus, context.language], () => head(message, context));
  fill(parts.words, [message.content, thinking, Boolean(message.edited_timestamp), lookedUp], () => words(message, thinking, names));
  const files = message.flags & LAYOUT ? [] : message.attachments;
  fill(parts.files, files, () => files.map(file));
  fill(parts.embeds, [message.embeds, lookedUp], () => message.embeds.map((one) => embed(one, names)));
  fill(parts.components, [message.components, lookedUp, context.place.people], () => components(message, context));
  fill(parts.foot, isPrivate, () => (isPrivate ? foot(message, context) : []));
  for (const part of Object.values(parts)) part.hidden = !part.hasChildNodes();
}

function asked(message, target, names) {
  if (message.message_reference) {
    if (!target) return [h("span", {}, "↱ a message that is gone")];
    // A preview is words alone: a link must hold no other link.
    const text = h("span", {}, inline(target.content.split("\n")[0].replace(/^(-#|#{1,3}|>) /, ""), names)).textContent || "a message without words";
    return [h("a", { href: `#message-${target.id}` }, "↱ ", h("b", {}, target.author.username), ` ${text}`)];
  }
  const used = message.interaction_metadata;
  if (!used?.name) return [];
  return [h("span", {}, h("b", {}, used.user.username), " used ", h("span", { class: "mention" }, `/${used.name}`))];
}

function head(message, context) {
  const at = new Date(message.timestamp);
  const name = message.author.username;
  return [
    h("span", { class: "portrait", "aria-hidden": "true" }, message.author.bot ? "♪" : name[0].toUpperCase()),
    h("b", { class: "author" }, name),
    message.author.bot && h("span", { class: "tag" }, "bot"),
    h("time", { datetime: at.toISOString(), title: at.toLocaleString() }, at.toLocaleTimeString([], { timeStyle: "short" })),
    context.menus.length > 0 && menu(message, context),
  ];
}

// A message's menu, as a right click opens it.
function menu(message, context) {
  const list = h("div", { role: "menu", "aria-label": "Apps", class: "menu", hidden: true });
  const opener = h("button", {
    type: "button", class: "opener", "aria-haspopup": "menu", "aria-expanded": "false",
    "aria-label": `Menu of the message of ${message.author.username}`, title: "Apps", onclick: () => open(list.hidden),
  }, "⋯");
  function open(wanted) {
    list.hidden = !wanted;
    opener.setAttribute("aria-expanded", String(wanted));
    if (wanted) list.firstChild.focus();
  }
  list.append(...context.menus.map((entry) => h("button", {
    type: "button", role: "menuitem", tabindex: -1,
    onclick: () => { open(false); opener.focus(); context.act(entry.label, { do: "menu", message: message.id, name: entry.name }); },
  }, entry.label)));
  const box = h("span", { class: "menu-box", onkeydown: (event) => {
    if (event.key === "Escape" && !list.hidden) { open(false); opener.focus(); }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && !list.hidden) {
      const items = [...list.children];
      items.at((items.indexOf(document.activeElement) + step) % items.length).focus();
      event.preventDefault();
    }
  }, onfocusout: (event) => { if (!box.contains(event.relatedTarget)) open(false); } }, opener, list);
  return box;
}

function words(message, thinking, names) {
  if (thinking) {
    return [h("p", { class: "thinking" }, h("span", { class: "dots", "aria-hidden": "true" }, "● ● ●"), ` ${message.author.username} is thinking…`)];
  }
  if (!message.content) return [];
  return [...blocks(message.content, names), message.edited_timestamp && h("span", { class: "edited" }, "(edited)")];
}

function embed(one, names) {
  const card = h("article", { class: "embed" },
    one.thumbnail && picture(one.thumbnail, "thumbnail", one.title),
    one.author && h("p", { class: "small" }, one.author.name),
    one.title && h("p", { class: "embed-title" }, one.url ? link(inline(one.title, names), one.url) : inline(one.title, names)),
    one.description && blocks(one.description, names),
    one.fields?.length > 0 && h("dl", {}, one.fields.map((field) =>
      h("div", { class: field.inline ? "inline" : "" }, h("dt", {}, inline(field.name, names)), h("dd", {}, blocks(field.value, names))))),
    one.image && picture(one.image, "artwork", one.title),
    one.footer && h("p", { class: "small" }, one.footer.text));
  if (one.color) card.style.setProperty("--edge", `#${one.color.toString(16).padStart(6, "0")}`);
  return card;
}

function foot(message, context) {
  return [
    `Only you, ${message.interaction_metadata?.user.username || "the one who asked"}, can see this. `,
    h("button", { type: "button", class: "plain", onclick: () => context.dismiss(message.id) }, "Dismiss message"),
  ];
}
