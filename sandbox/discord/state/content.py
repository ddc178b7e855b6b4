"""What messages are made of: files, buttons, embeds, and the words in them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

UNSEEN = frozenset({"id", "custom_id", "type", "nonce", "url", "icon_url", "proxy_url", "proxy_icon_url", "filename"})
"""Texts under these keys are for programs."""

_WRAPPERS = {1, 2}
"""The types of options that are a subcommand, or a group of them."""


@dataclass(eq=False)
class Attachment:
    """A file uploaded with a message; `url` serves its bytes while the message exists."""

    id: int
    filename: str
    content_type: str
    data: bytes = field(repr=False)
    url: str
    description: str | None = None
    title: str | None = None

    @property
    def size(self) -> int:
        """Return the size in bytes."""
        return len(self.data)


@dataclass(frozen=True)
class Button:
    """A button under a message; a link has a `url` and no `custom_id`."""

    label: str | None
    custom_id: str | None
    url: str | None
    disabled: bool
    style: int


@dataclass(frozen=True)
class Revision:
    """A message as it stood from `at` (`time.monotonic()` seconds) until its next edit; `files` are names."""

    content: str
    embeds: list[Json]
    components: list[Json]
    files: list[str]
    at: float = field(default_factory=time.monotonic)

    @property
    def words(self) -> str:
        """Return all that can be read in it, a line each."""
        return "\n".join([self.content, *texts(self.embeds), *texts(self.components)])


def walk_components(components: Iterable[Json]) -> Iterator[Json]:
    """Yield every component, whatever it is nested in."""
    for item in components:
        yield item
        yield from walk_components(item.get("components") or ())
        accessory = item.get("accessory") or item.get("component")
        if accessory:
            yield from walk_components([accessory])


def media_of(component: Json) -> list[Json]:
    """Return what a thumbnail, a gallery or a file of the second version of components shows."""
    shown = [component.get("media"), component.get("file"), *(one.get("media") for one in component.get("items") or ())]
    return [media for media in shown if isinstance(media, dict) and "url" in media]


def buttons(components: Iterable[Json]) -> list[Button]:
    """Return every button, row by row."""
    return [
        Button(item.get("label"), item.get("custom_id"), item.get("url"), bool(item.get("disabled")), item["style"])
        for item in walk_components(components)
        if item["type"] == 2
    ]


def embed_urls(embeds: Iterable[Json]) -> set[str]:
    """Return every address that an embed shows a picture from."""
    urls: set[str] = set()
    for embed in embeds:
        for part, key in (("image", "url"), ("thumbnail", "url"), ("author", "icon_url"), ("footer", "icon_url")):
            url = (embed.get(part) or {}).get(key)
            if url:
                urls.add(url)
    return urls


def texts(body: Any) -> Iterator[str]:
    """Yield every text that people can read in a body, whatever it is nested in."""
    if isinstance(body, str):
        yield body
    elif isinstance(body, dict):
        for key, value in body.items():
            if key not in UNSEEN:
                yield from texts(value)
    elif isinstance(body, list):
        for value in body:
            yield from texts(value)


def full_name(used: Json) -> str:
    """Return a used command's name with that of its subcommand, as people read it over the answer."""
    inner = next((one for one in used.get("options") or () if one["type"] in _WRAPPERS), None)
    return f"{used['name']} {full_name(inner)}" if inner else str(used["name"])


def without(data: Json, names: Iterable[str]) -> Json:
    """Return an event's data without some keys, those of an object within it as "object.key"."""
    for name in names:
        *path, key = name.split(".")
        place: Any = data
        for step in path:
            place = place.get(step, {})
        place.pop(key, None)
    return data
