"""What members read while they wait: acknowledgements, what they turn into, and lines of `/music status`.

A promise is never about a time that may pass: it says since when, and how long it usually takes.
"""

from __future__ import annotations

from bot.vidgo import CoverArt, CoverAudio, ExtendMusic
from bot.words.commands import mention
from bot.words.text import Raw, Text
from storage.schema import TaskStatus
from storage.tasks import Task

_UNCERTAIN = ("address", "duplicate", "no_files", "nonsense", "unknown")
"""Ends after which VidGo may have made it all the same."""


def _since(task: Task) -> Raw:
    """Let Discord's client count up by itself."""
    return Raw(f"<t:{int(task.submitted_at or task.created_at)}:R>")


def _duration(seconds: float) -> Text:
    """Say about how long something takes: in half minutes, or in minutes from three on."""
    minutes = max(round(seconds / 30), 1) / 2
    if minutes < 1:
        return Text("half a minute")
    if minutes == 1:
        return Text("a minute")
    if minutes == 1.5:
        return Text("1½ minutes")
    if minutes == 2.5:
        return Text("2½ minutes")
    return Text("{minutes} minutes", minutes=round(minutes))


def acknowledgement(task: Task, subject: str, *, joined: bool, usual: float) -> Text:
    if task.model == CoverArt.model and task.status.is_final and joined:
        return Text("**{title}** was covered before. Here it comes again.", title=subject)
    if task.status.is_final:
        return Text("Here comes **{title}**.", title=subject)
    since, duration = _since(task), _duration(usual)
    if task.model == CoverArt.model and joined:
        return Text(
            "**{title}** is being covered already; you get it too – started {since}, usually takes about {duration}.",
            title=subject,
            since=since,
            duration=duration,
        )
    if task.model == CoverArt.model:
        return Text(
            "Covering **{title}** – started {since}, usually takes about {duration}.",
            title=subject,
            since=since,
            duration=duration,
        )
    if joined:
        return Text(
            "**{title}** is being made already; you get it too – started {since}, usually takes about {duration}.",
            title=subject,
            since=since,
            duration=duration,
        )
    if task.model == CoverAudio.model:
        return Text(
            "Covering **{title}** in the style *{style}* – started {since}, usually takes about {duration}.",
            title=str(task.request.get("title") or subject),
            style=str(task.request.get("style") or ""),
            since=since,
            duration=duration,
        )
    if task.model == ExtendMusic.model:
        return Text(
            "Extending **{title}** – started {since}, usually takes about {duration}.",
            title=subject,
            since=since,
            duration=duration,
        )
    return Text(
        "Making **{title}** – started {since}, usually takes about {duration}.",
        title=subject,
        since=since,
        duration=duration,
    )


def plain() -> Text:
    """Acknowledge without any word of the member's, which Discord may have refused."""
    return Text("I have your order and will post the result here.")


def held_up(subject: str, ahead: int) -> Text:
    """Say that VidGo has not taken a task yet, for want of room or out of reach; `ahead` others come first."""
    if ahead:
        return Text(
            "VidGo has not taken **{title}** yet; it is {place} in line.", title=subject, place=Raw(f"#{ahead + 1}")
        )
    return Text("VidGo has not taken **{title}** yet; it is next in line.", title=subject)


def unanswered(subject: str) -> Text:
    """Acknowledge a task that VidGo may have taken."""
    return Text(
        "VidGo has not confirmed the order for **{title}** yet. I will tell you here what comes of it.", title=subject
    )


def late(task: Task) -> Text:
    return Text(
        "**{title}** needs longer than most, still on it – started {since}.", title=task.title, since=_since(task)
    )


def not_yet(title: str) -> Text:
    """Say that a file has not come; why is left open, because it may only be slow."""
    return Text(
        "**{title}** is finished, but I do not have its file yet. I keep trying, and post it as soon as I have it.",
        title=title,
    )


def still_not(title: str) -> Text:
    return Text(
        "**{title}** is finished, but I still cannot get its file. VidGo keeps files for about a day: until then I "
        "keep trying, and post it as soon as I have it.",
        title=title,
    )


def done(title: str, guild_id: int | None, channel_id: int, message_id: int) -> Text:
    return Text("-# **{title}** is done: {link}", title=title, link=jump(guild_id, channel_id, message_id))


def done_without_it(title: str, guild_id: int | None, channel_id: int, message_id: int) -> Text:
    return Text(
        "-# **{title}** is finished, but could not be posted: {link}",
        title=title,
        link=jump(guild_id, channel_id, message_id),
    )


def done_elsewhere(title: str) -> Text:
    return Text(
        "-# **{title}** is done. It could not be posted here, so whoever asked for it got it privately.", title=title
    )


def not_posted(title: str) -> Text:
    return Text(
        "**{title}** is done, but I could not post it. It is in your {library}: post it from there where I may post.",
        title=title,
        library=mention("music library"),
    )


def ended(task: Task, guild_id: int | None, channel_id: int, message_id: int | None) -> Text:
    link = None if message_id is None else jump(guild_id, channel_id, message_id)
    if task.status is TaskStatus.GIVEN_UP or task.error_kind in _UNCERTAIN:
        if link is None:
            return Text("**{title}** has not come.", title=task.title)
        return Text("**{title}** has not come: {link}", title=task.title, link=link)
    if link is None:
        return Text("**{title}** could not be made.", title=task.title)
    return Text("**{title}** could not be made: {link}", title=task.title, link=link)


def cancelled(task: Task) -> Text:
    if task.error_kind == "cancelled":
        return Text("**{title}** will not be posted. No credits were used.", title=task.title)
    return Text("**{title}** will not be posted. It may use credits all the same.", title=task.title)


def jump(guild_id: int | None, channel_id: int, message_id: int) -> Raw:
    return Raw(f"https://discord.com/channels/{guild_id or '@me'}/{channel_id}/{message_id}")
