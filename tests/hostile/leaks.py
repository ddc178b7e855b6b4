"""Search everything that leaves the program for secrets, whole or in part, plain or encoded."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tests.end_to_end.world import World

PART = 12
"""So many characters of a secret in a row are a leak: nothing that is random and public agrees with it so far."""

_PREFIX = "aW50ZXJhY3Rpb246"
"""The Base64 of "interaction:", with which every interaction token begins."""

_TAG_BYTES = 64 * 1024
"""What the bot writes into a file stands at its beginning."""


@dataclass
class Places:
    """What was said, by where it was said."""

    said: dict[str, list[str]] = field(default_factory=dict)

    def add(self, place: str, words: object) -> None:
        """Note something that was said somewhere; what is no text is noted as JSON, text inside it unescaped too."""
        texts = self.said.setdefault(place, [])
        if isinstance(words, bytes):
            texts.append(words.decode("latin-1"))
        elif isinstance(words, str):
            texts.append(words)
        else:
            texts.append(json.dumps(words, default=str))
            texts.extend(_strings(words))

    def holding(self, secrets: Mapping[str, str]) -> list[str]:
        """Return which secret stands where."""
        parts = {part: name for name, secret in secrets.items() for form in forms(secret) for part in parts_of(form)}
        found = {
            f"{parts[part]} in {place}"
            for place, texts in self.said.items()
            for text in texts
            for part in parts_of(text)
            if part in parts
        }
        return sorted(found)


def forms(secret: str) -> Iterator[str]:
    """Yield what a secret may look like when it is written down."""
    secret = secret.removeprefix(_PREFIX)
    yield secret
    yield quote(secret, safe="")
    yield secret.encode().hex()
    for shift in range(3):
        # Wherever it stands in what is encoded; the ends depend on the neighbours.
        encoded = base64.b64encode(b"." * shift + secret.encode()).decode()
        yield encoded[4 if shift else 0 : -4]


def parts_of(text: str) -> Iterator[str]:
    """Yield every piece of so many characters that counts as a leak."""
    return (text[start : start + PART] for start in range(len(text) - PART + 1))


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _strings(key)
            yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)


def gather(world: World, answers: Iterable[tuple[int, str]]) -> Places:
    """Note everything that a world has heard from its bot, and what its listener answered."""
    places = Places()
    places.add("log", world.bot.log)
    for request in world.discord.requests:
        body: Any = request.body
        places.add("requests to Discord", body)
        # Its own address holds the token of the interaction that is answered; no other does.
        if not request.path.startswith(("/webhooks/", "/interactions/")):
            places.add("requests to Discord", request.path)
    for channel in world.channels:
        for message in channel.history.values():
            places.add("messages", [message.content, *message.edits])
            places.add("messages", message.embeds)
            places.add("messages", message.components)
            for file in message.files:
                places.add("files", file.filename)
                places.add("files", file.data[:_TAG_BYTES])
    for call in world.discord.state.calls.values():
        places.add("messages", [reply.content for reply in call.replies])
        places.add("choices", call.choices)
    for submission in world.vidgo.submissions:
        places.add("requests to VidGo", submission.input)
    for record in world.vidgo.requests:
        places.add("requests to VidGo", f"{record.path}?{record.query}")
    for _, text in answers:
        places.add("answers", text)
    return places
