"""What is posted in the channel, and the owner may read too."""

from __future__ import annotations

from bot.vidgo import CoverArt, CoverAudio, ExtendMusic
from bot.words.commands import mention
from bot.words.text import Raw, Text
from storage.tasks import Task


def result(task: Task, title: str, *, artwork_only: bool, user_id: int) -> Text:
    if task.recording is not None and task.user_id == user_id and not artwork_only:
        return Text("here is a new version of your recording **{title}**.", title=task.recording)
    if task.model == CoverAudio.model:
        # Translators: sentences in lower case follow a mention of the member, as in "@ada here is your song …".
        return Text("here is a new version: **{title}**.", title=title)
    if task.model == ExtendMusic.model:
        return Text("here is **{title}**, extended.", title=title)
    if task.model != CoverArt.model:
        return Text("here is your song **{title}**.", title=title)
    if artwork_only:
        return Text("🎨 New artwork for **{title}**. Want it sung anew?", title=title)
    return Text("here is your cover of **{title}**, in a new version.", title=title)


def artwork_alone(title: str, *, is_gone: bool) -> Text:
    if is_gone:
        return Text(
            "🎨 New artwork for **{title}**. The original's audio is no longer available, so it comes alone.",
            title=title,
        )
    return Text(
        "🎨 New artwork for **{title}**. The original's audio could not be fetched in a form that plays, so it comes "
        "alone.",
        title=title,
    )


def reduced() -> Text:
    return Text("Its quality is reduced to fit this server's upload limit.")


def apology() -> Text:
    return Text("Sorry that it took so long.")


def told(user_id: int, *texts: Text) -> str:
    return " ".join([f"<@{user_id}>", *(str(text) for text in texts)])


def file_lost(title: str) -> Text:
    return Text("**{title}** is finished, but VidGo no longer has its file, so I cannot post it.", title=title)


def file_refused(title: str) -> Text:
    return Text(
        "**{title}** is finished, but the file that VidGo delivered is not music that I can post. The owner finds the "
        "reason in the log.",
        title=title,
    )


def artwork_refused(title: str) -> Text:
    return Text(
        "**{title}** is finished, but the artwork that VidGo delivered is not a picture that I can show. The owner "
        "finds the reason in the log.",
        title=title,
    )


def file_never_came(title: str) -> Text:
    return Text(
        "**{title}** is finished, but I could not get its file from VidGo, which keeps files for about a day, so I "
        "cannot post it.",
        title=title,
    )


def file_beyond_bounds(title: str) -> Text:
    return Text(
        "**{title}** is finished, but its file is larger than any that I take, so I cannot post it. The owner finds "
        "its size in the log.",
        title=title,
    )


def address_refused(title: str) -> Text:
    return Text(
        "**{title}** is finished, but VidGo names an address for its file that I must not fetch from, so I cannot post "
        "it. The owner finds the reason in the log.",
        title=title,
    )


def post_refused(title: str) -> Text:
    return Text(
        "**{title}** is finished, but Discord refuses its message. It is in your {library}; the owner of this "
        "bot finds the reason in the log.",
        title=title,
        library=mention("music library"),
    )


def file_too_large(title: str, until: float) -> Text:
    return Text(
        "**{title}** is finished, but this server takes no file of its size. The button fetches it until {until}.",
        title=title,
        until=Raw(f"<t:{int(until)}:f>"),
    )


def file_out_of_reach(title: str) -> Text:
    return Text(
        "**{title}** is finished, but this server takes no file of its size, and there is nowhere that you could "
        "download it from.",
        title=title,
    )
