"""How songs look in Discord: embeds, buttons and choices, with the custom ids that `cogs` understands."""

from __future__ import annotations

from typing import Any

import discord

from bot.vidgo import CoverArt
from bot.words import forms
from bot.words.sentences import labels
from bot.words.text import clean
from storage.notifications import Notification
from storage.songs.files import File
from storage.songs.library import Song
from storage.tasks import Task

CHOICE_LIMIT = 100
CUSTOM_ID_LIMIT = 100
CONTENT_LIMIT = 2000
COLOUR = 0x5B8DEF


def fitting(content: str) -> str:
    """Cut a message at Discord's limit, at the end of a line where it has several."""
    if len(content) <= CONTENT_LIMIT:
        return content
    cut = content[: CONTENT_LIMIT - 1]
    lines, newline, _ = cut.rpartition("\n")
    return f"{lines.rstrip()}\n…" if newline else f"{cut.rstrip()}…"


def track_value(song: Song | File) -> str:
    """Return what stands for a song in options and custom ids: its task's id, with the variant's number if not 0."""
    return song.task_id if song.position == 0 else f"{song.task_id}.{song.position}"


def choice(song: Song) -> str:
    """Name a song in an autocompletion, within Discord's 100 characters."""
    number = variant(song)
    length = f" · {in_minutes(song.duration)}" if song.duration else ""
    return clean(song.title, CHOICE_LIMIT - len(number + length)) + number + length


def remove_id(notification_id: str) -> str:
    """Return the custom id of the *Remove* button, by which a posted message is known again after a crash."""
    return f"remove:{notification_id}"


def notification_in(custom_id: str | None) -> str | None:
    """Return the notification that a *Remove* button's custom id names, None where it is another's."""
    kind, _, notification_id = (custom_id or "").partition(":")
    return notification_id if kind == "remove" else None


def stop_id(notification_id: str) -> str:
    """Return the custom id of the *Don't post* button, by which an acknowledgement is known again after a crash."""
    return f"stop:{notification_id}"


def stop_button(notification_id: str) -> discord.ui.Button[Any]:
    """Make the *Don't post* button."""
    return discord.ui.Button(label=str(labels.stop()), custom_id=stop_id(notification_id))


def waiting_buttons(notification_id: str) -> discord.ui.View:
    """Make the buttons under an acknowledgement."""
    return finished([stop_button(notification_id)])


def remove_button(notification_id: str) -> discord.ui.Button[Any]:
    """Make the *Remove* button."""
    return discord.ui.Button(emoji="🗑️", label=str(labels.remove()), custom_id=remove_id(notification_id))


def songs_button() -> discord.ui.Button[Any]:
    """Make the button that opens the library of whoever presses: beside *Remove*, which never stands alone."""
    return discord.ui.Button(emoji="🎵", label=str(labels.songs()), custom_id="library")


def cover_button(track: str) -> discord.ui.Button[Any]:
    """Make the *Cover* button."""
    return discord.ui.Button(
        emoji="🎨", label=str(labels.cover()), custom_id=f"cover:{track}", style=discord.ButtonStyle.primary
    )


def refusal_view(row: Notification, task: Task | None, support_url: str | None) -> discord.ui.View | None:
    """Make the buttons under what came to nothing: to try it again, to change what was typed, and to get help."""
    buttons = _once_more(row, task)
    if support_url is not None:
        buttons.append(discord.ui.Button(label=str(labels.support()), url=support_url))
    return finished(buttons) if buttons else None


def failed_buttons(row: Notification, task: Task) -> discord.ui.View:
    """Make the buttons under a public message that says why there is no result."""
    return finished([*(_once_more(row, task) or [songs_button()]), remove_button(row.id)])


def _once_more(row: Notification, task: Task | None) -> list[discord.ui.Button[Any]]:
    has_words = row.draft is not None and row.draft.making.has_words
    can_be_covered = task is not None and task.model == CoverArt.model
    buttons = [forms.retry_button(row.id)] if has_words or can_be_covered else []
    return [*buttons, forms.change_button(row.id)] if has_words else buttons


def support_view(url: str | None) -> discord.ui.View | None:
    """Make the button that leads to where members get help, where there is such a place."""
    return None if url is None else finished([discord.ui.Button(label=str(labels.support()), url=url)])


def forget_button(user_id: int) -> discord.ui.Button[Any]:
    """Make the confirmation before everything about a member is forgotten."""
    return discord.ui.Button(
        label=str(labels.forget()), custom_id=f"forget:{user_id}", style=discord.ButtonStyle.danger
    )


def keep_button(user_id: int) -> discord.ui.Button[Any]:
    """Make the button beside it, by which everything stays."""
    return discord.ui.Button(label=str(labels.cancel()), custom_id=f"forget:{user_id}:cancel")


def forget_confirmation(user_id: int) -> discord.ui.View:
    """Make the buttons under the question whether everything shall be forgotten."""
    return finished([keep_button(user_id), forget_button(user_id)])


def finished(buttons: list[discord.ui.Button[Any]]) -> discord.ui.View:
    """Make a view that discord.py does not keep in memory: the buttons work through their custom ids alone."""
    view = discord.ui.View(timeout=None)
    for button in buttons:
        view.add_item(button)
    view.stop()
    return view


def in_direct_message(view: discord.ui.View) -> discord.ui.View:
    """Return what is left of a message's buttons where no song can be ordered, so that many would only refuse."""
    left = [item for item in view.children if isinstance(item, discord.ui.Button) and _works_anywhere(item)]
    return finished(left if len(left) > 1 else [songs_button(), *left])


def _works_anywhere(button: discord.ui.Button[Any]) -> bool:
    return button.url is not None or str(button.custom_id).partition(":")[0] in ("library", "like", "keep", "remove")


def variant(song: Song) -> str:
    """Return what tells a variant of a song from the first one."""
    return f" ({song.position + 1})" if song.position else ""


def in_minutes(seconds: float) -> str:
    """Return a duration in minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
