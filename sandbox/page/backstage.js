// Beside the channel: whether the bot lives, the count, what VidGo does, mischief, and each request as it passes.

import { byId, fill, h } from "./dom.js";

const SHOWN_EVENTS = 200;
const COUNTS = {
  asked: "commands and buttons that the bot took, before everybody",
  ordered: "orders that VidGo took",
  paid: "orders that VidGo charged",
  posted: "messages of the bot with a song",
};
const PERMISSIONS = ["send_messages", "attach_files", "embed_links", "read_message_history", "view_channel"];
const WIRES = { discord: "Discord", vidgo: "VidGo", callback: "Callback", stage: "Here" };

export class Backstage {
  constructor(world) {
    this.world = world;
    this.stage = null;
    const mischief = (what) => (event) => this.do(what, event.target.value);
    byId("kill").addEventListener("click", () => this.do("kill"));
    byId("start").addEventListener("click", () => this.do("start"));
    byId("callbacks").addEventListener("change", mischief("callbacks"));
    byId("vidgo").addEventListener("change", mischief("vidgo"));
    byId("credits").addEventListener("click", () => this.do("credits", this.stage.settings.credits === 0));
  }

  do(what, value) {
    this.world.act("The mischief", { do: "mischief", what, value });
  }

  show(stage) {
    this.stage = stage;
    this.showLife(stage);
    fill(byId("counts"), stage.counts, () => Object.entries(COUNTS).map(([name, about]) =>
      h("div", { title: about }, h("dt", {}, name), h("dd", { id: `count-${name}` }, String(stage.counts[name])))));
    fill(byId("tasks"), stage.tasks, () => stage.tasks.length ? stage.tasks.map(task) : [h("li", {}, "Nothing was ordered yet.")]);
    byId("callbacks").value = stage.settings.callbacks;
    byId("vidgo").value = stage.settings.vidgo;
    byId("balance").textContent = `${stage.settings.credits} credits`;
    byId("credits").textContent = stage.settings.credits === 0 ? "Give credits" : "No more credits";
    this.showPermissions();
  }

  showLife({ life, reason }) {
    const dead = byId("dead");
    const text = life === "dead" ? `The bot is dead: ${reason}.` : "";
    if (dead.textContent !== text) dead.textContent = text;
    dead.hidden = life !== "dead";
    byId("life").textContent = { starting: "The bot starts…", alive: "The bot is alive.", dead: "The bot is dead." }[life];
    byId("life").dataset.life = life;
    // A button that is pressed keeps the focus where its other half takes over.
    const focused = document.activeElement;
    byId("kill").disabled = life === "dead";
    byId("start").disabled = life !== "dead";
    if (focused === byId("kill") && life === "dead") byId("start").focus();
    if (focused === byId("start") && life !== "dead") byId("kill").focus();
  }

  showPermissions() {
    const { place, channel } = this.world;
    const here = place?.channels.find((one) => one.id === channel);
    const granted = this.stage?.settings.permissions[here?.rights];
    fill(byId("permissions"), [here?.rights, here?.name, granted], () => granted ? [
      h("legend", {}, `What the bot may in #${place.channels.find((one) => one.id === here.rights).name}`),
      PERMISSIONS.map((name) => h("label", {}, h("input", {
        type: "checkbox", id: `permission-${name}`, checked: granted.includes(name),
        onchange: (event) => this.do("permission", { channel: here.rights, name, granted: event.target.checked }),
      }), ` ${name.replaceAll("_", " ")}`)),
    ] : [h("legend", {}, "A direct conversation has no permissions")]);
  }

  happened(events) {
    const list = byId("events");
    const atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 20;
    list.append(...events.map((event) => h("li", { class: event.wire },
      h("span", { class: "wire" }, WIRES[event.wire]), ` ${event.text} `, event.answer && h("b", { class: mood(event.answer) }, event.answer))));
    while (list.children.length > SHOWN_EVENTS) list.firstChild.remove();
    if (atEnd) list.scrollTop = list.scrollHeight;
  }
}

const mood = (answer) => (/^[23]\d\d$/.test(answer) ? "good" : /^\d+$/.test(answer) || answer.startsWith("no") ? "bad" : "");

function task(one) {
  const paid = one.paid ? `, ${one.paid} ${one.paid === 1 ? "credit" : "credits"}` : "";
  return h("li", {}, h("b", {}, one.title || one.model), ` ${one.status}${paid}${rung(one.callbacks)}`,
    h("span", { class: "small" }, ` ${one.model}`));
}

// How often VidGo called the bot back, and what came of it.
function rung(callbacks) {
  const answered = callbacks.filter(Boolean).map((status) => `callback ${status}`);
  const lost = callbacks.length - answered.length;
  return [lost ? `, ${lost} unanswered` : "", ...answered.map((text) => `, ${text}`)].join("");
}
