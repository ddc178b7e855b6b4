"""Every word that the bot shows to people.

A `Text` is a template with values, so that it can travel inside an exception and be put into words where it is shown.
Values that are strings come from outside (titles, VidGo's reasons) and are made harmless when the text is rendered.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import discord

from bot.pages import Page
from bot.vidgo import CoverArt, CoverAudio, ExtendMusic
from storage.library import Song
from storage.notifications import Notification
from storage.schema import TaskStatus
from storage.tasks import File, Task

TITLE_LIMIT = 100
REASON_LIMIT = 300
CHOICE_LIMIT = 100
URL_LIMIT = 512

_MARKDOWN = re.compile(r"([\\*_~`|>#<\[\]])")
_SPACE = re.compile(r"\s+")
# Formatting characters that hide, join or turn text around (category Cf) go; so do control characters, surrogates and
# private-use ones. Combining marks beyond a few on one letter are "zalgo" text that covers its neighbours.
_DROPPED = {"Cc", "Cf", "Cs", "Co", "Cn"}
_MARKS_IN_A_ROW = 3


def clean(text: str, limit: int) -> str:
    """Return text from outside as one harmless line of at most `limit` characters, without markdown escapes."""
    kept: list[str] = []
    marks = 0
    for character in unicodedata.normalize("NFC", _SPACE.sub(" ", text[: limit * 8])):
        category = unicodedata.category(character)
        if category in _DROPPED:
            continue
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if marks <= _MARKS_IN_A_ROW:
            kept.append(character)
    line = _SPACE.sub(" ", "".join(kept)).strip()
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def escape(text: str) -> str:
    """Return a cleaned line so that Discord shows it as it stands: no markdown, mentions, timestamps or links."""
    escaped = _MARKDOWN.sub(r"\\\1", text)
    return escaped.replace("@", "@\u200b").replace("://", ":\u200b//")


class Text:
    """A sentence with its values; `str()` renders it."""

    def __init__(self, template: str, **values: str | int) -> None:
        self._template = template
        self._values = values

    def __str__(self) -> str:
        values = {
            name: escape(clean(value, REASON_LIMIT if name == "reason" else TITLE_LIMIT))
            if isinstance(value, str)
            else value
            for name, value in self._values.items()
        }
        return self._template.format(**values)


class MemberError(Exception):
    """Something a member has to be told, privately; carries the sentence."""

    def __init__(self, text: Text) -> None:
        super().__init__(str(text))
        self.text = text


# What a member did or chose


def no_songs() -> Text:
    """Say that the caller's library is empty."""
    return Text("You have no songs here yet. Make one with `/music generate`, or bring one with `/music import`.")


def unknown_track(track: str) -> Text:
    """Say that nothing is known by that name or id."""
    return Text(
        "I know no song “{track}”. Pick one from the list that appears while you type, or import it with "
        "`/music import`.",
        track=track,
    )


def not_yours() -> Text:
    """Say that the song is in somebody else's library."""
    return Text("That song is not in your library. Bring it in with `/music import` and its VidGo task id first.")


def unfinished(title: str) -> Text:
    """Say that the song is still being made."""
    return Text("**{title}** is still being made. Try again when it is finished.", title=title)


def failed_track(title: str) -> Text:
    """Say that the song was never finished."""
    return Text("**{title}** was never finished, so there is nothing to cover. Pick another song.", title=title)


def not_a_song() -> Text:
    """Say that the task made something else than music."""
    return Text("That VidGo task made no music, so it cannot be used as a song. Use the id of a music task.")


def unknown_task_id() -> Text:
    """Say that VidGo does not know the id."""
    return Text("VidGo knows no task with that id under this bot's key. Check the id and paste it again.")


def unfinished_import() -> Text:
    """Say that VidGo has not finished the task."""
    return Text("VidGo has not finished that task yet. Try again when it is done.")


def failed_import() -> Text:
    """Say that the task failed at VidGo."""
    return Text("That VidGo task failed, so it holds no song. Use the id of a finished music task.")


def missing_permissions(names: list[str]) -> Text:
    """Say which permissions the bot lacks in the channel."""
    return Text(
        "I may not post here: I need the permission{plural} {names} in this channel. Ask somebody who manages the "
        "server, or use another channel. Nothing was ordered.",
        plural="" if len(names) == 1 else "s",
        names=", ".join(names),
    )


def server_only() -> Text:
    """Say that the command works in servers only."""
    return Text("I post songs in channels of servers that I am a member of. Use this command there.")


def too_long(title: str) -> Text:
    """Say that the song is too long to be performed anew."""
    return Text("**{title}** is longer than 8 minutes, and VidGo performs no longer song anew.", title=title)


def no_style() -> Text:
    """Say that the style is empty."""
    return Text("Say in which style, such as: acoustic folk, female voice.")


def source_out_of_reach(title: str, *, kept: bool) -> Text:
    """Say why VidGo could not fetch the song."""
    if kept:
        return Text(
            "VidGo no longer has **{title}**, and cannot fetch it from here: the owner of this bot would have to set "
            "PUBLIC_URL. A cover without a style needs no fetching.",
            title=title,
        )
    return Text("Nobody has the audio of **{title}** any more, so it cannot be performed anew.", title=title)


def not_extendable(title: str) -> Text:
    """Say that VidGo named no audio id."""
    return Text("VidGo gave no id for the audio of **{title}**, so it cannot be extended.", title=title)


def beyond_the_end(title: str, seconds: int) -> Text:
    """Say that the song is shorter than that."""
    return Text("**{title}** is only {seconds} seconds long. Choose an earlier moment.", title=title, seconds=seconds)


def no_song_here() -> Text:
    """Say that a message carries no song."""
    return Text("That message carries no song of mine that I still know.")


# What went wrong on the way


def interrupted() -> Text:
    """Say that the bot was stopped before it had ordered anything."""
    return Text("I was interrupted before I could do that. Nothing was ordered; please type the command again.")


def internal_error(reference: str) -> Text:
    """Say that the fault is the bot's own; `reference` finds it in the log."""
    return Text(
        "Something went wrong on my side. Please try again in a moment; if it happens again, tell the owner of this "
        "bot the reference {reference}.",
        reference=reference,
    )


def stale_button() -> Text:
    """Say that a button leads nowhere any more."""
    return Text("This button belongs to something I no longer know.")


def not_your_order() -> Text:
    """Say who may stop a post."""
    return Text("Only the member who asked for it can stop this.")


def posted_already() -> Text:
    """Say that it is too late to stop a post."""
    return Text("It is being posted already. Use the button under the post to remove it.")


def not_your_button() -> Text:
    """Say who may remove a message."""
    return Text("Only the member who asked for it, or somebody who manages messages, can remove this.")


def vidgo_busy() -> Text:
    """Say that VidGo answers nobody at the moment."""
    return Text("VidGo is busy or out of reach at the moment. Nothing was ordered; please try again in a few minutes.")


def owner_must_act(key: bool) -> Text:
    """Say that only the owner can mend the key (or the credits)."""
    if key:
        return Text("VidGo refuses this bot's key. The owner of this bot has to renew it.")
    return Text("This bot's VidGo account has run out of credits. The owner of this bot has to top it up.")


_FAILURES = {
    "key": "VidGo refuses this bot's key, so nothing was made. The owner of this bot has to renew the key.",
    "credits": "This bot's VidGo account has run out of credits, so nothing was made. The owner of this bot has to "
    "top it up.",
    "duplicate": "VidGo says that a cover of **{title}** exists already, but does not hand it out. It was not ordered "
    "again.",
    "source": "VidGo says that **{title}** is not ready to be covered yet. Try again in a few minutes.",
    "content": "VidGo refused the content: {reason}. Change the words and try again.",
    "invalid": "VidGo did not accept the order: {reason}.",
    "busy": "VidGo had no room for **{title}** for a long time, so it was not ordered. Try again later.",
    "lost": "VidGo never confirmed the order for **{title}**, so I cannot tell whether it was taken. I did not order "
    "it twice. Ask again if you want another try.",
    "nonsense": "VidGo gave an answer that I cannot read, so I do not know what became of **{title}**. Ask again in a "
    "while.",
    "unknown": "VidGo no longer knows the task for **{title}**. Ask again if you want another try.",
    "no_files": "VidGo says that **{title}** is finished, but delivered no file. The owner of this bot can ask VidGo "
    "for a refund.",
    "cancelled": "**{title}** was not wanted any more, so it was not ordered.",
    "time": "VidGo has not finished **{title}** in a very long time, so I stopped waiting for it.",
}


def failure(task: Task) -> Text:
    """Say why a task ended without a result."""
    if task.error_kind == "failed":
        if task.error:
            return Text("VidGo could not make **{title}**: {reason}.", title=task.title, reason=_reason(task.error))
        return Text("VidGo could not make **{title}** and gives no reason. Try again later.", title=task.title)
    template = _FAILURES.get(task.error_kind or "", _FAILURES["nonsense"])
    return Text(template, title=task.title, reason=_reason(task.error or "no reason given"))


def _reason(text: str) -> str:
    return text.rstrip(" .!") or "no reason given"


# Acknowledgements


def _expected(at: float) -> str:
    return f"<t:{int(at)}:R>"


def acknowledgement(task: Task, subject: str, *, joined: bool, expected_at: float) -> str:
    """Name the song and say when to expect the result; Discord's client counts the time down by itself."""
    when = _expected(expected_at)
    if task.model == CoverArt.model:
        if task.status.is_final:
            return str(Text("**{title}** was covered before. Here it comes again.", title=subject))
        if joined:
            return (
                str(Text("**{title}** is being covered already; you get it too, I expect", title=subject)) + f" {when}."
            )
        return str(Text("Covering **{title}**. I expect it", title=subject)) + f" {when}."
    if task.status.is_final:
        return str(Text("Here comes **{title}**.", title=subject))
    if task.model == CoverAudio.model:
        if joined:
            words = Text(
                "**{title}** is being performed in that style already; you get it too, I expect", title=subject
            )
        else:
            words = Text("Performing **{title}** anew in another style. I expect it", title=subject)
    elif task.model == ExtendMusic.model:
        words = Text("Extending **{title}**. I expect it", title=subject)
    else:
        words = Text("Making **{title}**. I expect it", title=subject)
    return f"{words} {when}."


def held_up(subject: str) -> Text:
    """Acknowledge a task that VidGo has no room for yet."""
    return Text("VidGo is busy. **{title}** is in my queue, and I order it as soon as VidGo has room.", title=subject)


def imported(titles: list[str]) -> Text:
    """Say which songs are now in the caller's library."""
    if len(titles) == 1:
        return Text("**{title}** is in your library. Cover it with `/cover`.", title=titles[0])
    return Text(
        "**{title}** is in your library, in {count} versions. Cover it with `/cover`.",
        title=titles[0],
        count=len(titles),
    )


def track_value(song: Song | File) -> str:
    """Return what stands for a song in options and custom ids: its task's id, with the variant's number if not 0."""
    return song.task_id if song.position == 0 else f"{song.task_id}.{song.position}"


def choice(song: Song) -> str:
    """Name a song in an autocompletion, within Discord's 100 characters."""
    number = f" ({song.position + 1})" if song.position else ""
    length = ""
    if song.duration:
        minutes, seconds = divmod(round(song.duration), 60)
        length = f" · {minutes}:{seconds:02d}"
    return clean(song.title, CHOICE_LIMIT - len(number + length)) + number + length


# The library, what runs, and forgetting


def library_page(page: Page) -> tuple[str, list[discord.Embed]]:
    """Show a page of a member's songs, each with its artwork as a thumbnail."""
    if not page.songs:
        words = no_match(page.search) if page.search else no_songs()
        return str(words), []
    head = Text("Your songs and covers, page {number}.", number=page.number + 1)
    if page.search:
        head = Text("Your songs and covers with “{search}”, page {number}.", search=page.search, number=page.number + 1)
    embeds = []
    for place, song in enumerate(page.songs):
        embed = card(SongDetails(song.title, song.tags, song.duration), image=None)
        embed.title = f"{place + 1}. {embed.title}"
        embed.add_field(name="Made", value=f"<t:{int(song.added_at)}:R>")
        embed.add_field(name="Kind", value=str(kind_of(song)))
        if place in page.pictures:
            embed.set_thumbnail(url=f"attachment://{thumbnail_name(place)}")
        embeds.append(embed)
    return str(head), embeds


def no_match(search: str) -> Text:
    """Say that no title contains the words."""
    return Text("None of your songs has “{search}” in its title.", search=search)


def kind_of(song: Song) -> Text:
    """Say what a song of the library is."""
    if song.model == CoverAudio.model:
        return Text("new performance")
    if song.model == ExtendMusic.model:
        return Text("extended song")
    if song.kind == "cover":
        return Text("cover")
    return Text("song")


def thumbnail_name(place: int) -> str:
    """Name the artwork of a place on a page."""
    return f"artwork{place}.png"


def song_actions(song: Song, place: int) -> list[tuple[str, str]]:
    """Return what can be done with a song of the library, as action and label."""
    number = place + 1
    actions = [("post", Text("{number} Post", number=number))]
    if song.kind == "song":
        actions.append(("cover", Text("{number} Cover", number=number)))
        actions.append(("extend", Text("{number} Extend", number=number)))
    actions.append(("remove", Text("{number} Remove", number=number)))
    return [(action, str(label)) for action, label in actions]


def removed(title: str) -> Text:
    """Say that a song is no longer in the library."""
    return Text("**{title}** is no longer in your library.", title=title)


def nothing_running() -> Text:
    """Say that the member waits for nothing."""
    return Text("You are waiting for nothing at the moment.")


def status_line(row: Notification, task: Task, expected_at: float) -> str:
    """Say in one line what a member waits for, and when to expect it."""
    if task.status.is_final:
        return f"- {Text('**{title}**: being posted', title=task.title)}"
    if task.status is TaskStatus.QUEUED:
        return f"- {Text('**{title}**: in my queue, as VidGo is busy', title=task.title)}"
    if task.late_at is not None:
        return f"- {Text('**{title}**: takes longer than usual', title=task.title)}"
    return f"- {Text('**{title}**: I expect it', title=task.title)} {_expected(expected_at)}"


def song_forgotten(title: str) -> Text:
    """Say that a song is forgotten."""
    return Text(
        "**{title}** is forgotten. What was posted stays in its channel until somebody removes it, and VidGo keeps its "
        "own records.",
        title=title,
    )


def confirm_forgetting() -> Text:
    """Ask before everything about a member is forgotten."""
    return Text(
        "This removes everything I keep about you: your library, the files that nobody else needs, and what you are "
        "still waiting for. It cannot be undone. What I posted stays in its channels until somebody removes it, and "
        "VidGo keeps its own records."
    )


def all_forgotten() -> Text:
    """Say that everything is forgotten."""
    return Text(
        "I have forgotten you. What I posted stays in its channels until somebody removes it, and VidGo keeps its own "
        "records."
    )


# What is posted in the channel


@dataclass(frozen=True, slots=True)
class SongDetails:
    """What an embed says about a song. `duration` is in seconds."""

    title: str
    tags: str
    duration: float | None


def result(task: Task, user_id: int, song: SongDetails, *, artwork_only: bool, has_audio: bool, shrunk: bool) -> str:
    """Announce a finished task to its requester."""
    title = song.title or task.title
    if task.model == CoverAudio.model:
        text = Text("here is a new performance of **{title}**, in the style you asked for.", title=title)
    elif task.model == ExtendMusic.model:
        text = Text("here is **{title}**, extended.", title=title)
    elif task.model != CoverArt.model:
        text = Text("here is your song **{title}**.", title=title)
    elif artwork_only and not has_audio:
        text = Text(
            "here is new artwork for **{title}**. The original's audio is no longer to be had, so it comes alone.",
            title=title,
        )
    elif artwork_only:
        text = Text("here is new artwork for **{title}**. The music is the original's.", title=title)
    else:
        text = Text("here is your cover of **{title}**, a new performance.", title=title)
    smaller = " Its quality is reduced to fit this server's upload limit." if shrunk else ""
    late = " Sorry that it took so long." if task.late_at is not None else ""
    return f"<@{user_id}> {text}{smaller}{late}"


def card(song: SongDetails, *, image: str | None) -> discord.Embed:
    """Show title, tags, duration and artwork; `image` names an attachment of the same message."""
    embed = discord.Embed(
        title=escape(clean(song.title, TITLE_LIMIT)) or "Untitled",
        description=escape(clean(song.tags, REASON_LIMIT)) or None,
        colour=0x5B8DEF,
    )
    if song.duration:
        minutes, seconds = divmod(round(song.duration), 60)
        embed.add_field(name="Duration", value=f"{minutes}:{seconds:02d}")
    if image is not None:
        embed.set_image(url=f"attachment://{image}")
    return embed


def told(user_id: int, text: Text) -> str:
    """Address a sentence to a requester."""
    return f"<@{user_id}> {text}"


def late(task: Task) -> Text:
    """Say that a task takes longer than usual."""
    return Text(
        "**{title}** takes longer than usual. I keep watching it and post it when it is done.", title=task.title
    )


def file_lost(title: str) -> Text:
    """Say that VidGo's file cannot be had."""
    return Text("**{title}** is finished, but VidGo no longer has its file, so I cannot post it.", title=title)


def file_refused(title: str) -> Text:
    """Say that VidGo's file cannot be used."""
    return Text(
        "**{title}** is finished, but the file that VidGo delivered is no music that I can post. The owner finds the "
        "reason in the log.",
        title=title,
    )


def file_too_large(title: str) -> Text:
    """Say that the file is too large for the server."""
    return Text(
        "**{title}** is finished, but this server takes no file of its size. The button fetches it", title=title
    )


def until(at: float) -> str:
    """Say until when a link works."""
    return f" until <t:{int(at)}:f>."


def done(title: str, guild_id: int | None, channel_id: int, message_id: int) -> str:
    """Lead from an acknowledgement to the result."""
    return f"{Text('**{title}** is done:', title=title)} {_jump(guild_id, channel_id, message_id)}"


def ended(title: str, guild_id: int | None, channel_id: int, message_id: int | None) -> str:
    """Say in an acknowledgement that there is no result."""
    said = Text("**{title}** could not be made.", title=title)
    return str(said) if message_id is None else f"{said} {_jump(guild_id, channel_id, message_id)}"


def cancelled(title: str) -> Text:
    """Say in an acknowledgement that the requester did not want the post."""
    return Text("**{title}** will not be posted. VidGo may still charge for it.", title=title)


def _jump(guild_id: int | None, channel_id: int, message_id: int) -> str:
    return f"https://discord.com/channels/{guild_id or '@me'}/{channel_id}/{message_id}"


def remove_id(notification_id: str) -> str:
    """Return the custom id of the *Remove* button, by which a posted message is known again after a crash."""
    return f"remove:{notification_id}"


def stop_id(notification_id: str) -> str:
    """Return the custom id of the *Don't post* button."""
    return f"stop:{notification_id}"


def waiting_buttons(notification_id: str) -> discord.ui.View:
    """Make the buttons under an acknowledgement."""
    view = discord.ui.View(timeout=None)
    view.add_item(discord.ui.Button(label="Don't post", custom_id=stop_id(notification_id)))
    view.stop()
    return view


def buttons(notification_id: str, *, cover: str | None = None, link: str | None = None) -> discord.ui.View:
    """Make the buttons under a posted message; their custom ids are understood by `cogs.buttons`."""
    view = discord.ui.View(timeout=None)
    if link is not None:
        view.add_item(discord.ui.Button(label="Download", url=link))
    if cover is not None:
        view.add_item(discord.ui.Button(label="Cover", custom_id=f"cover:{cover}", style=discord.ButtonStyle.primary))
    view.add_item(discord.ui.Button(label="Remove", custom_id=remove_id(notification_id)))
    # A finished view is not kept in memory by discord.py: the buttons work through their custom ids alone.
    view.stop()
    return view
