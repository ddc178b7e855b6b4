"""The bot's commands as sentences name them: so that they can be pressed, once Discord has told their ids."""

from __future__ import annotations

from collections.abc import Mapping

from bot.words.text import Raw

_ids: dict[str, int] = {}
"""The id of each slash command at Discord, which is the same in every language and for everybody."""


def know(ids: Mapping[str, int]) -> None:
    """Name commands by these ids from here on."""
    _ids.clear()
    _ids.update(ids)


def mention(name: str) -> Raw:
    """Return what names a command so that it can be pressed, or typed while Discord has told no id of it."""
    number = _ids.get(name.partition(" ")[0])
    return Raw(f"`/{name}`" if number is None else f"</{name}:{number}>")
