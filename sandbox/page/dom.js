// Elements made from plain values. Text from elsewhere only ever becomes text; the page's policy forbids anything else.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const byId = (id) => document.getElementById(id);

let count = 0;
export const newId = (prefix) => `${prefix}-${++count}`;

// Replaces what is inside an element only where it changed, so that what is focused or plays stays.
export function fill(element, key, children) {
  const text = JSON.stringify(key);
  if (element.filledWith === text) return;
  element.filledWith = text;
  element.replaceChildren(...children().flat(Infinity).filter(Boolean));
}
