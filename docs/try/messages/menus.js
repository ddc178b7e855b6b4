// What a menu offers: texts of its own, or the server's people and channels.

import { h } from "../dom.js";

export const TEXTS = 3, PEOPLE = 5, ROLES = 6, MENTIONABLE = 7, CHANNELS = 8;
export const MENUS = [TEXTS, PEOPLE, ROLES, MENTIONABLE, CHANNELS];

// Returns [{ value, label, chosen }].
export function offered(one, place) {
  if (one.type === TEXTS) {
    return one.options.map((option) => ({
      value: option.value, chosen: Boolean(option.default),
      label: option.label + (option.description ? ` – ${option.description}` : ""),
    }));
  }
  const things = {
    [PEOPLE]: place.people, [MENTIONABLE]: place.people, [ROLES]: [],
    [CHANNELS]: place.channels.filter((channel) => channel.kind !== "dm").map(({ id, name }) => ({ id, name: `#${name}` })),
  }[one.type];
  const defaults = (one.default_values || []).map((entry) => entry.id);
  return things.map(({ id, name }) => ({ value: id, label: name, chosen: defaults.includes(id) }));
}

// Returns a field for a menu's choice and what reads it; `first` stands there where nothing is chosen.
export function field(one, place, first, attributes) {
  const choices = offered(one, place);
  const several = (one.max_values ?? 1) > 1;
  const least = one.min_values ?? 1;
  const options = choices.map(({ value, label, chosen }) => h("option", { value, selected: chosen }, label));
  const none = !several && (least === 0 || !choices.some((choice) => choice.chosen));
  const empty = none && h("option", { value: "", disabled: least > 0, selected: !choices.some((choice) => choice.chosen) }, first);
  const select = h("select", { ...attributes, multiple: several }, empty, options);
  return [select, () => [...select.selectedOptions].map((option) => option.value).filter(Boolean)];
}
