// Where one writes: a message, or a command with its options, each offered while one types.

import { combobox } from "./combobox.js";
import { byId, h, newId } from "../dom.js";

const INTEGER = 4, BOOLEAN = 5, USER = 6, CHANNEL = 7, NUMBER = 10, FILE = 11;

export class Composer {
  // `world` has: place, channel, request(wanted), act(label, wanted).
  constructor(world) {
    this.world = world;
    this.form = byId("composer");
    this.text = byId("text");
    this.command = null;
    this.fields = new Map();
    const offers = combobox(this.text, {
      label: "Commands", search: (text) => this.matching(text), choose: (item) => this.begin(item.value),
    });
    this.form.prepend(offers);
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.send(); });
    this.form.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.command) this.end();
      // Enter in a field sends; a list that is open has taken it before.
      if (event.key === "Enter" && event.target.tagName === "INPUT" && !event.defaultPrevented && !event.isComposing) {
        event.preventDefault();
        this.send();
      }
    });
  }

  matching(text) {
    if (!text.startsWith("/")) return [];
    const wanted = text.slice(1).trim().toLowerCase();
    const rank = (command) => [command.label, command.path].some((name) => name.startsWith(wanted)) ? 0 : 1;
    return this.world.place.commands
      .filter((command) => `${command.label} ${command.path}`.toLowerCase().includes(wanted))
      .sort((one, other) => rank(one) - rank(other) || one.label.localeCompare(other.label))
      .map((command) => ({ label: `/${command.label}`, detail: command.description, value: command }));
  }

  begin(command) {
    this.command = command;
    this.fields.clear();
    this.text.value = "";
    this.text.hidden = true;
    // Files cannot be uploaded here, so what takes one is not offered.
    const fields = command.options.filter((option) => option.type !== FILE).map((option) => this.field(option));
    byId("command").replaceChildren(
      h("p", { class: "command-name" }, h("b", {}, `/${command.label}`), ` ${command.description}`),
      h("button", { type: "button", class: "plain", "aria-label": `Leave /${command.label}`, onclick: () => this.end() }, "✕"),
      h("div", { class: "options" }, fields),
    );
    byId("command").hidden = false;
    byId("send").setAttribute("aria-label", `Send /${command.label}`);
    (byId("command").querySelector("input, select") || byId("send")).focus();
  }

  end() {
    this.command = null;
    byId("command").hidden = true;
    byId("command").replaceChildren();
    this.text.hidden = false;
    byId("send").removeAttribute("aria-label");
    this.text.focus();
  }

  field(option) {
    const id = newId("option");
    const input = this.input(option, id);
    const needed = option.required ? " (required)" : "";
    const place = h("div", { class: "entry" }, input);
    const box = h("div", { class: "option" }, h("label", { for: id }, option.label, h("span", {}, needed)), place,
      h("p", { class: "small", id: `${id}-about` }, option.description));
    input.setAttribute("aria-describedby", `${id}-about`);
    const entry = { option, input, chosen: null };
    this.fields.set(option.name, entry);
    if (option.autocomplete) {
      input.addEventListener("input", () => { entry.chosen = null; });
      place.append(combobox(input, {
        label: option.label,
        search: (typed) => this.offered(option, typed),
        choose: (item) => { entry.chosen = item; input.value = item.label; },
      }));
    }
    return box;
  }

  input(option, id) {
    const choices = this.choices(option);
    if (choices) {
      const first = h("option", { value: "" }, option.required ? "Choose" : "–");
      return h("select", { id }, first, choices.map(([name], number) => h("option", { value: String(number) }, name)));
    }
    const numeric = option.type === INTEGER || option.type === NUMBER;
    return h("input", {
      id, type: numeric ? "number" : "text", required: option.required, autocomplete: "off",
      min: option.min_value, max: option.max_value, step: option.type === INTEGER ? 1 : numeric ? "any" : undefined,
      minlength: option.min_length, maxlength: option.max_length,
    });
  }

  // What an option can be, as [label, value], where that is a short list.
  choices(option) {
    const { place } = this.world;
    if (option.choices.length) return option.choices.map((choice) => [choice.name, choice.value]);
    if (option.type === BOOLEAN) return [["True", true], ["False", false]];
    if (option.type === USER) return place.people.map((person) => [person.name, person.id]);
    if (option.type === CHANNEL) return place.channels.filter((one) => one.kind !== "dm").map((one) => [`#${one.name}`, one.id]);
    return null;
  }

  value({ option, input, chosen }) {
    const choices = this.choices(option);
    if (choices) return choices[Number(input.value)][1];
    if (option.type === INTEGER || option.type === NUMBER) return Number(input.value);
    return chosen ? chosen.value : input.value;
  }

  filled(except) {
    return [...this.fields.values()]
      .filter((entry) => entry.input.value !== "" && entry.option.name !== except)
      .map((entry) => ({ name: entry.option.name, type: entry.option.type, value: this.value(entry) }));
  }

  async offered(option, typed) {
    const answer = await this.world.request({
      do: "type", channel: this.world.channel, command: this.command.path, option: option.name, typed,
      options: this.filled(option.name),
    });
    return (answer.choices || []).map((choice) => ({ label: choice.name, value: choice.value }));
  }

  send() {
    if (!this.command) {
      const text = this.text.value.trim();
      if (text) this.world.act("The message", { do: "say", channel: this.world.channel, text });
      this.text.value = "";
      return;
    }
    if (!this.form.reportValidity()) return;
    const missing = [...this.fields.values()].find((entry) => entry.option.required && entry.input.value === "");
    if (missing) { missing.input.focus(); return; }
    const { label, path } = this.command;
    this.world.act(`/${label}`, { do: "use", channel: this.world.channel, command: path, options: this.filled() });
    this.end();
  }
}
