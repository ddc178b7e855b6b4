// A field that offers while one types, as the ARIA pattern "combobox with a list" has it.

import { h, newId } from "../dom.js";

const PAUSE = 120;  // milliseconds without a key before it is asked

// `search(text)` returns or promises [{ label, detail, value }]; `choose(item)` is called with one of them.
export function combobox(input, { search, choose, label }) {
  const list = h("ul", { role: "listbox", id: newId("list"), "aria-label": label, class: "offers", hidden: true });
  let items = [], at = -1, asked = 0, timer = null;
  // Whether what is shown is of older words, and how often Enter was pressed meanwhile: to take, and to send.
  let isBehind = false, entered = 0;
  for (const [name, value] of Object.entries({
    role: "combobox", "aria-autocomplete": "list", "aria-controls": list.id, "aria-expanded": "false", autocomplete: "off",
  })) input.setAttribute(name, value);

  function show(found) {
    items = found;
    list.replaceChildren(...items.map((item, number) => h("li", {
      role: "option", id: `${list.id}-${number}`, "aria-selected": "false",
      onpointerdown: (event) => { event.preventDefault(); take(number); },
    }, h("b", {}, item.label), item.detail && h("span", {}, ` ${item.detail}`))));
    list.hidden = items.length === 0;
    input.setAttribute("aria-expanded", String(!list.hidden));
    mark(items.length ? 0 : -1);
  }

  function mark(number) {
    at = number;
    for (const [place, option] of [...list.children].entries()) option.setAttribute("aria-selected", String(place === at));
    if (at >= 0) {
      input.setAttribute("aria-activedescendant", list.children[at].id);
      list.children[at].scrollIntoView({ block: "nearest" });
    } else input.removeAttribute("aria-activedescendant");
  }

  function close() {
    clearTimeout(timer);
    asked += 1;
    isBehind = false;
    entered = 0;
    show([]);
  }

  function take(number) {
    const item = items[number];
    close();
    choose(item);
  }

  async function ask() {
    const mine = ++asked;
    const found = await search(input.value);
    if (mine !== asked || document.activeElement !== input) return;
    const times = entered;
    isBehind = false;
    entered = 0;
    show(found);
    if (!times) return;
    const isSent = times > 1 || !items.length;
    if (items.length) take(at);
    if (isSent) input.form.requestSubmit();
  }

  function later() {
    clearTimeout(timer);
    asked += 1;
    timer = setTimeout(ask, PAUSE);
  }

  input.addEventListener("input", () => { isBehind = true; entered = 0; later(); });
  input.addEventListener("focus", later);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Enter" && isBehind) {
      // Whoever types quickly means what will be offered for the words as they are now.
      event.preventDefault();
      entered += 1;
      if (entered === 1) {
        clearTimeout(timer);
        ask();
      }
      return;
    }
    if (list.hidden) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) mark((at + step + items.length) % items.length);
    else if (event.key === "Enter" || (event.key === "Tab" && !event.shiftKey)) take(at);
    else if (event.key === "Escape") { close(); event.stopPropagation(); }
    else return;
    event.preventDefault();
  });
  return list;
}
