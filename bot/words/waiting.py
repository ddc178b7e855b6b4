"""What members read while they wait: acknowledgements, what they turn into, and lines of `/music status`."""

from __future__ import annotations

from bot.vidgo import CoverArt, CoverAudio, ExtendMusic
from bot.words.text import Raw, Text
from storage.schema import TaskStatus
from storage.tasks import Task


def _when(at: float) -> Raw:
    return Raw(f"<t:{int(at)}:R>")


def acknowledgement(task: Task, subject: str, *, joined: bool, expected_at: float) -> Text:
    when = _when(expected_at)
    if task.model == CoverArt.model and task.status.is_final:
        return Text("**{title}** was covered before. Here it comes again.", title=subject)
    if task.status.is_final:
        return Text("Here comes **{title}**.", title=subject)
    if task.model == CoverArt.model and joined:
        return Text(
            "**{title}** is being covered already; you get it too. I expect it {when}.", title=subject, when=when
        )
    if task.model == CoverArt.model:
        return Text("Covering **{title}**. I expect it {when}.", title=subject, when=when)
    if task.model == CoverAudio.model and joined:
        return Text(
            "**{title}** is being performed in that style already; you get it too. I expect it {when}.",
            title=subject,
            when=when,
        )
    if task.model == CoverAudio.model:
        return Text("Performing **{title}** anew in another style. I expect it {when}.", title=subject, when=when)
    if task.model == ExtendMusic.model:
        return Text("Extending **{title}**. I expect it {when}.", title=subject, when=when)
    return Text("Making **{title}**. I expect it {when}.", title=subject, when=when)


def held_up(subject: str) -> Text:
    return Text("VidGo is busy. **{title}** is in my queue, and I order it as soon as VidGo has room.", title=subject)


def status_line(task: Task, expected_at: float) -> Text:
    if task.status.is_final:
        return Text("- **{title}**: being posted", title=task.title)
    if task.status is TaskStatus.QUEUED:
        return Text("- **{title}**: in my queue, as VidGo is busy", title=task.title)
    if task.late_at is not None:
        return Text("- **{title}**: takes longer than usual", title=task.title)
    return Text("- **{title}**: I expect it {when}", title=task.title, when=_when(expected_at))


def not_yet(title: str) -> Text:
    return Text(
        "**{title}** is finished, but I cannot get its file yet. I keep trying, and post it as soon as I have it.",
        title=title,
    )


def still_not(title: str) -> Text:
    return Text(
        "**{title}** is finished, but I still cannot get its file. VidGo keeps files for about a day: until then I "
        "keep trying, and post it as soon as I have it.",
        title=title,
    )


def done(title: str, guild_id: int | None, channel_id: int, message_id: int) -> Text:
    return Text("**{title}** is done: {link}", title=title, link=_jump(guild_id, channel_id, message_id))


def done_elsewhere(title: str) -> Text:
    return Text(
        "**{title}** is done. I may no longer post here, so whoever asked for it got it privately.", title=title
    )


def not_posted(title: str) -> Text:
    return Text("**{title}** is done, but I could not post it. Use the command again where I may post.", title=title)


def ended(title: str, guild_id: int | None, channel_id: int, message_id: int | None) -> Text:
    if message_id is None:
        return Text("**{title}** could not be made.", title=title)
    return Text("**{title}** could not be made: {link}", title=title, link=_jump(guild_id, channel_id, message_id))


def cancelled(title: str) -> Text:
    return Text("**{title}** will not be posted. VidGo may still charge for it.", title=title)


def _jump(guild_id: int | None, channel_id: int, message_id: int) -> Raw:
    return Raw(f"https://discord.com/channels/{guild_id or '@me'}/{channel_id}/{message_id}")
