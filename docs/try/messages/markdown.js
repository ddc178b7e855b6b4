// What people see of a message's words: bold, italics, code, quotes, links, mentions, and times that run.

import { h } from "../dom.js";

const INLINE = new RegExp(
  [
    "\\\\(?<escaped>[!-/:-@[-`{-~])",
    "`(?<code>[^`]+)`",
    "\\*\\*(?<bold>(?:\\\\.|[^\\\\])+?)\\*\\*",
    "__(?<under>(?:\\\\.|[^\\\\])+?)__",
    "~~(?<struck>(?:\\\\.|[^\\\\])+?)~~",
    "\\*(?<slanted>(?:\\\\.|[^\\\\*])+?)\\*",
    "\\b_(?<slanted2>(?:\\\\.|[^\\\\_])+?)_\\b",
    "<t:(?<time>-?\\d{1,13})(?::(?<style>[tTdDfFsSR]))?>",
    "<@!?(?<user>\\d+)>",
    "<#(?<channel>\\d+)>",
    "</(?<command>[^:>]+):\\d+>",
    "<a?:(?<emoji>\\w+):\\d+>",
    "\\[(?<label>[^\\]\\n]+)\\]\\(<?(?<target>https?://[^\\s)>]+)>?\\)",
    "<?(?<bare>https?://[^\\s<>]+)>?",
  ].join("|"),
  "gsu",
);
const MARKS = { bold: "strong", under: "u", struck: "s", slanted: "em", slanted2: "em" };

// `names` says what ids mean: { people: Map, channels: Map }.
export function inline(text, names) {
  const nodes = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    if (match.index > at) nodes.push(text.slice(at, match.index));
    at = match.index + match[0].length;
    nodes.push(piece(match.groups, names));
  }
  nodes.push(text.slice(at));
  return nodes.filter((node) => node !== "");
}

function piece(found, names) {
  if (found.escaped !== undefined) return found.escaped;
  if (found.code !== undefined) return h("code", {}, found.code);
  for (const [name, tag] of Object.entries(MARKS)) {
    if (found[name] !== undefined) return h(tag, {}, inline(found[name], names));
  }
  if (found.time !== undefined) return time(Number(found.time), found.style || "f");
  if (found.user !== undefined) {
    return h("span", { class: "mention" }, `@${names.people.get(found.user) || "unknown"}`);
  }
  if (found.channel !== undefined) {
    return h("span", { class: "mention" }, `#${names.channels.get(found.channel) || "unknown"}`);
  }
  if (found.command !== undefined) return h("span", { class: "mention" }, `/${found.command}`);
  if (found.emoji !== undefined) return `:${found.emoji}:`;
  return link(found.label ? inline(found.label, names) : found.bare, found.target || found.bare);
}

// A link to a message stays in the page; any other opens beside it.
export function link(label, target) {
  const message = /^https:\/\/discord\.com\/channels\/\d+\/\d+\/(\d+)$/.exec(target);
  if (message) return h("a", { href: `#message-${message[1]}` }, typeof label === "string" ? "the message" : label);
  const address = /^https?:\/\//.test(target) ? target : undefined;
  return h("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, label);
}

export function blocks(text, names) {
  const nodes = [];
  for (const [number, part] of text.split(/```(?:\w+\n)?([\s\S]*?)```/).entries()) {
    if (number % 2) nodes.push(h("pre", { tabindex: 0 }, h("code", {}, part)));
    else if (part.trim() || part === text) nodes.push(...lines(part.replace(/^\n|\n$/g, ""), names));
  }
  return nodes;
}

function lines(text, names) {
  return text.split("\n").map((line) => {
    const head = /^(#{1,3}) (.*)$/.exec(line);
    if (head) return h("p", { class: `head-${head[1].length}` }, inline(head[2], names));
    if (line.startsWith("-# ")) return h("p", { class: "small" }, inline(line.slice(3), names));
    if (line.startsWith("> ")) return h("blockquote", {}, inline(line.slice(2), names));
    const item = /^\s*[-*] (.*)$/.exec(line);
    if (item) return h("p", { class: "item" }, inline(item[1], names));
    return h("p", {}, line ? inline(line, names) : h("br"));
  });
}

const FORMS = {
  t: { timeStyle: "short" },
  T: { timeStyle: "medium" },
  d: { dateStyle: "short" },
  D: { dateStyle: "long" },
  f: { dateStyle: "long", timeStyle: "short" },
  F: { dateStyle: "full", timeStyle: "short" },
  s: { dateStyle: "short", timeStyle: "short" },
  S: { dateStyle: "short", timeStyle: "medium" },
};
const UNITS = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

function time(seconds, style) {
  const moment = new Date(seconds * 1000);
  if (Number.isNaN(moment.getTime())) return "(no time)";
  const element = h("time", { datetime: moment.toISOString(), title: moment.toLocaleString(), "data-style": style });
  show(element, Date.now());
  return element;
}

function show(element, now) {
  const language = document.documentElement.dataset.language || "en";
  const moment = new Date(element.dateTime);
  const text = element.dataset.style === "R"
    ? relative((moment - now) / 1000, language)
    : new Intl.DateTimeFormat(language, FORMS[element.dataset.style]).format(moment);
  if (element.textContent !== text) element.textContent = text;
}

function relative(seconds, language) {
  const [unit, length] = UNITS.find(([, length]) => Math.abs(seconds) >= length) || UNITS.at(-1);
  return new Intl.RelativeTimeFormat(language).format(Math.trunc(seconds / length), unit);
}

// Lets every time in the page run.
export function tick() {
  for (const element of document.querySelectorAll("time[data-style]")) show(element, Date.now());
}
