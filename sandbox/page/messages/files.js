// Files of messages: songs that play, films, pictures, and whatever else can only be saved.

import { h } from "../dom.js";
import { link } from "./markdown.js";

export function file(one) {
  const kind = one.content_type || "";
  if (kind.startsWith("image/") && !kind.includes("svg")) {
    return h("a", { href: one.url, target: "_blank", rel: "noopener" }, h("img", { src: one.url, alt: one.description || one.filename }));
  }
  const name = one.title ? `${one.title}${one.filename.slice(one.filename.lastIndexOf("."))}` : one.filename;
  const size = `${(one.size / 1000).toLocaleString("en", { maximumFractionDigits: 0 })} KB`;
  const title = h("figcaption", {}, h("a", { href: one.url, download: one.filename }, name), h("span", {}, ` ${size}`));
  if (kind.startsWith("audio/")) {
    return h("figure", { class: "player" }, title, h("audio", { controls: true, preload: "metadata", src: one.url, "aria-label": name }));
  }
  if (kind.startsWith("video/")) {
    return h("figure", { class: "player" }, title, h("video", { controls: true, preload: "metadata", src: one.url, "aria-label": name }));
  }
  return h("figure", { class: "player" }, title);
}

// A picture from elsewhere is not fetched: nothing leaves this machine.
export function picture(media, name, title) {
  const about = media.description || `Artwork${title ? ` of ${title.replace(/\\(.)/g, "$1")}` : ""}`;
  if (media.url.startsWith("files/")) return h("img", { src: media.url, class: name, alt: about, loading: "lazy" });
  return h("p", { class: "small" }, "Picture: ", link(media.url, media.url));
}
