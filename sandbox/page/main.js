// The page: what arrives over the WebSocket is shown, what a person does is sent. It knows nothing by itself.

import { Backstage } from "./backstage.js";
import { Composer } from "./composing/composer.js";
import { byId, fill, h } from "./dom.js";
import { openForm } from "./composing/form.js";
import { tick } from "./messages/markdown.js";
import { create, update } from "./messages/message.js";
import { connect } from "./wire.js";

const world = {
  place: null, channel: null, messages: new Map(), dismissed: new Set(), unread: new Set(), names: null, wire: null,
  waiting: new Map(), number: 0, request, act,
};
const shown = new Map();
const composer = new Composer(world);
const backstage = new Backstage(world);

// Sends something, and promises what became of it.
function request(wanted) {
  const number = ++world.number;
  return new Promise((resolve) => {
    world.waiting.set(number, resolve);
    const refused = world.wire.send({ ...wanted, number });
    if (refused) TAKE.answer({ number, failed: refused });
  });
}

// Does what a person does, and says where that comes to nothing.
async function act(label, wanted) {
  const slow = setTimeout(() => say(`${label}: sending…`), 300);
  const answer = await request(wanted);
  clearTimeout(slow);
  say(answer.failed ? `${label}: ${answer.failed}` : "", Boolean(answer.failed));
  if (answer.modal) openForm(answer, context());
}

function say(text, failed = false) {
  byId("said").textContent = text;
  byId("said").classList.toggle("failed", failed);
}

function context() {
  const { place, names, messages } = world;
  return { place, names, messages, me: place.me, bot: place.bot, menus: place.menus, language: place.language, act, dismiss };
}

function dismiss(id) {
  world.dismissed.add(id);
  drop(id);
  byId("messages").focus();
}

const TAKE = {
  place(place) {
    const other = world.place?.me !== place.me;
    world.place = place;
    document.documentElement.dataset.language = place.language;
    world.names = {
      people: new Map([...place.people, place.bot].map((one) => [one.id, one.name])),
      channels: new Map(place.channels.map((one) => [one.id, one.name])),
    };
    if (other && composer.command) composer.end();
    world.messages = new Map(place.messages.map((message) => [message.id, message]));
    if (!place.channels.some((one) => one.id === world.channel)) world.channel = place.channels[0].id;
    choices(byId("person"), place.people.map((one) => [one.id, one.name]), place.me);
    const named = new Intl.DisplayNames(["en"], { type: "language", style: "short" });
    choices(byId("language"), place.languages.map((code) => [code, named.of(code)]), place.language);
    byId("server").textContent = place.server;
    showChannel();
  },
  message({ message }) {
    world.messages.set(message.id, message);
    if (message.channel_id === world.channel) [message, ...answers(message)].forEach(showMessage);
    else if (!world.unread.has(message.channel_id)) { world.unread.add(message.channel_id); showChannels(); }
  },
  gone({ id }) {
    world.messages.delete(id);
    drop(id);
  },
  stage(stage) { backstage.show(stage); },
  happened({ events }) { backstage.happened(events); },
  told({ text }) { say(text); },
  answer(answer) {
    world.waiting.get(answer.number)?.(answer);
    world.waiting.delete(answer.number);
  },
};

function choices(select, pairs, value) {
  fill(select, pairs, () => pairs.map(([key, name]) => h("option", { value: key }, name)));
  select.value = value;
}

function showChannels() {
  const { place, channel, unread } = world;
  fill(byId("channels"), [place.channels, channel, [...unread]], () => place.channels.map((one) => h("li", {}, h("button", {
    type: "button", class: one.kind, "aria-current": one.id === channel ? "true" : undefined,
    onclick: () => { world.channel = one.id; showChannel(); },
  }, title(one), unread.has(one.id) && h("span", { class: "unread" }, " new")))));
}

const title = (one) => ({ dm: `@ ${one.name}`, thread: `↳ ${one.name}` })[one.kind] || `# ${one.name}`;

function showChannel() {
  world.unread.delete(world.channel);
  showChannels();
  const here = world.place.channels.find((one) => one.id === world.channel);
  byId("channel-name").textContent = title(here);
  byId("messages").setAttribute("aria-label", `Messages in ${title(here)}`);
  byId("text").placeholder = `Message ${title(here)}, or / for a command`;
  const wanted = [...world.messages.values()].filter((one) => one.channel_id === world.channel);
  for (const id of [...shown.keys()]) if (!wanted.some((one) => one.id === id)) drop(id);
  wanted.sort((one, other) => (BigInt(one.id) < BigInt(other.id) ? -1 : 1));
  wanted.forEach((message) => showMessage(message));
  backstage.showPermissions();
}

// The messages whose first line shows the beginning of this one.
const answers = ({ id }) => [...world.messages.values()].filter((one) => shown.has(one.id) && one.message_reference?.message_id === id);

function showMessage(message) {
  if (world.dismissed.has(message.id)) return;
  const list = byId("messages");
  const atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 80;
  let element = shown.get(message.id);
  if (!element) {
    element = create(message);
    shown.set(message.id, element);
    byId("list").append(element);
  }
  update(element, message, context());
  byId("empty").hidden = true;
  if (atEnd) list.scrollTop = list.scrollHeight;
}

function drop(id) {
  shown.get(id)?.remove();
  shown.delete(id);
  byId("empty").hidden = shown.size > 0;
}

byId("person").addEventListener("change", (event) => act("The change", { do: "be", person: event.target.value }));
byId("language").addEventListener("change", (event) => act("The change", { do: "speak", language: event.target.value }));
for (const tab of document.querySelectorAll("#tabs button")) {
  tab.addEventListener("click", () => {
    document.body.dataset.view = tab.value;
    for (const one of document.querySelectorAll("#tabs button")) one.setAttribute("aria-pressed", String(one === tab));
  });
}
// A picture that loads makes the list longer; whoever reads its end shall go on reading its end.
byId("messages").addEventListener("load", () => {
  const list = byId("messages");
  if (list.scrollHeight - list.scrollTop - list.clientHeight < 700) list.scrollTop = list.scrollHeight;
}, true);
setInterval(tick, 1000);
world.wire = connect({
  opened() { byId("cut").hidden = true; byId("events").replaceChildren(); },
  took({ type, ...frame }) { TAKE[type](frame); },
  closed() {
    byId("cut").hidden = false;
    for (const number of [...world.waiting.keys()]) TAKE.answer({ number, failed: "The page is cut off." });
  },
});
