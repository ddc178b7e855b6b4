// Lays every screen out on one sheet, with the page's own modules; the page of `coverbot play` is open, with its style.
// Leaves `look`, which returns what is wrong with the layout. Times stand still, so that a sheet says the same at each
// drawing.

async ({ language, place, screens, width, now }) => {
  const at = (path) => import(new URL(path, document.baseURI).href);
  const [{ h, newId }, { create, update }, { openForm }] =
    await Promise.all(["dom.js", "messages/message.js", "composing/form.js"].map(at));
  document.documentElement.dataset.language = language;
  document.documentElement.lang = language;
  Date.now = () => now * 1000;
  const context = {
    place, me: place.me, bot: place.bot, menus: place.menus, language, messages: new Map(), act() {}, dismiss() {},
    names: {
      people: new Map([...place.people, place.bot].map((one) => [one.id, one.name])),
      channels: new Map(place.channels.map((one) => [one.id, one.name])),
    },
  };
  const DRAW = {
    message(message) {
      const element = create(message);
      update(element, message, context);
      return h("ol", {}, element);
    },
    form(modal) {
      openForm({ call: "", modal }, context);
      const opened = document.getElementById("form");
      const form = h("div", { role: "group", class: "form" }, ...opened.children);
      opened.close();
      form.setAttribute("aria-labelledby", form.querySelector("h2").id);
      return form;
    },
    choices: (choices) => h("ul", { class: "commands" }, choices.map((one) => h("li", {}, one))),
    commands: (commands) => h("ul", { class: "commands" }, commands.map((one) =>
      h("li", {}, h("b", {}, `/${one.label}`), ` ${one.description}`,
        one.options.length > 0 && h("ul", {}, one.options.map((option) => h("li", {}, h("b", {}, option.label), ` ${option.description}`)))))),
  };
  const sections = screens.map(({ name, kind, shown }) => {
    const id = newId("screen");
    return h("section", { class: "screen", "aria-labelledby": id }, h("h2", { id, lang: "en" }, name), DRAW[kind](shown));
  });
  const sheet = h("main", { class: "sheet" }, h("h1", { lang: "en" }, "Every screen"), ...sections);
  Object.assign(sheet.style, { display: "block", width: `${width}px`, background: "var(--sheet)" });
  Object.assign(document.body.style, { display: "block", height: "auto", overflow: "visible" });
  for (const list of sheet.querySelectorAll("ol")) Object.assign(list.style, { margin: 0, padding: 0, listStyle: "none" });
  for (const one of sheet.querySelectorAll(".form, .screen > h2, .commands")) one.style.margin = "0 12px 8px";
  document.body.replaceChildren(sheet);

  for (const image of sheet.querySelectorAll("img")) {
    image.loading = "eager";
    if (!image.complete) await new Promise((done) => { image.onload = image.onerror = done; });
  }
  for (const audio of sheet.querySelectorAll("audio")) {
    if (audio.readyState === 0 && !audio.error) await new Promise((done) => { audio.onloadedmetadata = audio.onerror = done; });
  }
  await document.fonts.ready;

  // What holds whatever the fonts of a machine are.
  globalThis.look = () => {
    const wrong = [];
    for (const [number, section] of sections.entries()) {
      const say = (what, element) => wrong.push(`${screens[number].name}: ${what}: ${(element.textContent || element.className).slice(0, 60)}`);
      const edge = section.getBoundingClientRect();
      const controls = [...section.querySelectorAll("button, select, input, textarea, a, audio")];
      for (const element of section.querySelectorAll("*")) {
        const box = element.getBoundingClientRect();
        if (element.closest(".asked *")) continue;  // one line that ends where there is no more room
        if (box.width && (box.right > edge.right + 1 || box.left < edge.left - 1)) say("runs out of the screen", element);
        const cut = getComputedStyle(element).overflowX !== "visible" && element.scrollWidth > element.clientWidth + 1;
        if (cut && !element.matches(".asked") && !element.closest("pre, select, textarea, input")) say("is cut off", element);
      }
      for (const [place, one] of controls.entries()) {
        const a = one.getBoundingClientRect();
        if (one.tagName === "BUTTON" && a.width && a.height < 24) say("is too small to press", one);
        for (const other of controls.slice(place + 1)) {
          const b = other.getBoundingClientRect();
          const overlap = Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
          if (overlap && !one.contains(other)) say("lies over another", one);
        }
      }
      for (const image of section.querySelectorAll("img")) {
        if (!image.naturalWidth) say("does not load", image);
        if (!image.alt.trim()) say("has no description", image);
      }
      for (const audio of section.querySelectorAll("audio")) if (!audio.duration) say("does not play", audio);
    }
    const top = sheet.getBoundingClientRect().top;
    const boxes = sections.map((one) => one.getBoundingClientRect()).map((box) => [box.top - top, box.height]);
    return { wrong, boxes };
  };
}
