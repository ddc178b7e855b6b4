"""Every sentence and label that the bot shows to people."""

from __future__ import annotations

from bot.vidgo import CoverArt, CoverAudio, ExtendMusic
from bot.words.text import Raw, Text
from storage.library import Song
from storage.schema import TaskStatus
from storage.tasks import Task


class MemberError(Exception):
    """Something a member has to be told, privately; carries the sentence."""

    def __init__(self, text: Text) -> None:
        super().__init__(text.template)
        self.text = text


def _n(template: str) -> str:
    """Mark a template for the catalogues."""
    return template


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


PERMISSION_NAMES = (
    # Translators: the names of permissions as Discord itself shows them in its settings.
    _n("View Channel"),
    _n("Send Messages"),
    _n("Send Messages In Threads"),
    _n("Embed Links"),
    _n("Attach Files"),
    _n("Read Message History"),
)


def missing_permissions(names: list[str]) -> Text:
    """Say which permissions the bot lacks in the channel."""
    return Text(
        "I may not post here: I lack {names} in this channel. Ask somebody who manages the server, or use another "
        "channel. Nothing was ordered.",
        names=Raw(", ".join(f"**{Text(name)}**" for name in names)),
    )


def server_only() -> Text:
    """Say that the command works in servers only."""
    return Text("I post songs in channels of servers that I am a member of. Use this command there.")


def too_long(title: str) -> Text:
    """Say that the song is too long to be performed anew."""
    return Text("**{title}** is longer than 8 minutes, the longest that VidGo can perform anew.", title=title)


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
    # Translators: what comes after a mention of the member, as in "@ada VidGo refused the content: …".
    "key": _n("VidGo refuses this bot's key, so nothing was made. The owner of this bot has to renew the key."),
    "credits": _n(
        "This bot's VidGo account has run out of credits, so nothing was made. The owner of this bot has to top it up."
    ),
    "duplicate": _n(
        "VidGo says that a cover of **{title}** exists already, but does not hand it out. It was not ordered again."
    ),
    "source": _n("VidGo says that **{title}** is not ready to be covered yet. Try again in a few minutes."),
    "content": _n("VidGo refused the content: {reason}. Change the words and try again."),
    "invalid": _n("VidGo did not accept the order: {reason}."),
    "busy": _n("VidGo had no room for **{title}** for a long time, so it was not ordered. Try again later."),
    "lost": _n(
        "VidGo never confirmed the order for **{title}**, so I cannot tell whether it was taken. I did not order it "
        "twice. Ask again if you want another try."
    ),
    "nonsense": _n(
        "VidGo gave an answer that I cannot read, so I do not know what became of **{title}**. Ask again in a while."
    ),
    "unknown": _n("VidGo no longer knows the task for **{title}**. Ask again if you want another try."),
    "no_files": _n(
        "VidGo says that **{title}** is finished, but delivered no file. The owner of this bot can ask VidGo for a "
        "refund."
    ),
    "cancelled": _n("**{title}** was not wanted any more, so it was not ordered."),
    "time": _n("VidGo has not finished **{title}** in a very long time, so I stopped waiting for it."),
}


def failure(task: Task) -> Text:
    """Say why a task ended without a result."""
    if task.error_kind == "failed":
        if task.error:
            return Text("VidGo could not make **{title}**: {reason}.", title=task.title, reason=_reason(task.error))
        return Text("VidGo could not make **{title}** and gives no reason. Try again later.", title=task.title)
    template = _FAILURES.get(task.error_kind or "", _FAILURES["nonsense"])
    return Text(template, title=task.title, reason=_reason(task.error or ""))


def _reason(text: str) -> str | Text:
    # Translators: stands in the place of {reason}, such as in "VidGo refused the content: no reason given."
    return text.rstrip(" .!") or Text("no reason given")


# Acknowledgements


def _when(at: float) -> Raw:
    """Let Discord's client count down by itself."""
    return Raw(f"<t:{int(at)}:R>")


def acknowledgement(task: Task, subject: str, *, joined: bool, expected_at: float) -> Text:
    """Name the song and say when to expect the result."""
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


# The library, what runs, and forgetting


def no_match(search: str) -> Text:
    """Say that no title contains the words."""
    return Text("None of your songs has “{search}” in its title.", search=search)


def kind_of(song: Song) -> Text:
    """Say what a song of the library is."""
    if song.model == CoverAudio.model:
        # Translators: values of the field "Kind" in the library.
        return Text("new performance")
    if song.model == ExtendMusic.model:
        return Text("extended song")
    if song.kind == "cover":
        return Text("cover")
    return Text("song")


def removed(title: str) -> Text:
    """Say that a song is no longer in the library."""
    return Text("**{title}** is no longer in your library.", title=title)


def nothing_running() -> Text:
    """Say that the member waits for nothing."""
    return Text("You are waiting for nothing at the moment.")


def status_line(task: Task, expected_at: float) -> Text:
    """Say in one line what a member waits for, and when to expect it."""
    if task.status.is_final:
        return Text("- **{title}**: being posted", title=task.title)
    if task.status is TaskStatus.QUEUED:
        return Text("- **{title}**: in my queue, as VidGo is busy", title=task.title)
    if task.late_at is not None:
        return Text("- **{title}**: takes longer than usual", title=task.title)
    return Text("- **{title}**: I expect it {when}", title=task.title, when=_when(expected_at))


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


def result(task: Task, title: str, *, artwork_only: bool, has_audio: bool) -> Text:
    """Announce a finished task to its requester, and say what it is."""
    if task.model == CoverAudio.model:
        # Translators: sentences in lower case follow a mention of the member, as in "@ada here is your song …".
        return Text("here is a new performance: **{title}**.", title=title)
    if task.model == ExtendMusic.model:
        return Text("here is **{title}**, extended.", title=title)
    if task.model != CoverArt.model:
        return Text("here is your song **{title}**.", title=title)
    if artwork_only and not has_audio:
        return Text(
            "here is new artwork for **{title}**. The original's audio is no longer to be had, so it comes alone.",
            title=title,
        )
    if artwork_only:
        return Text("here is new artwork for **{title}**. The music is the original's.", title=title)
    return Text("here is your cover of **{title}**, a new performance.", title=title)


def reduced() -> Text:
    """Say that a file was made smaller."""
    return Text("Its quality is reduced to fit this server's upload limit.")


def apology() -> Text:
    """Say sorry for a late result."""
    return Text("Sorry that it took so long.")


def told(user_id: int, *texts: Text) -> str:
    """Address sentences to a requester."""
    return " ".join([f"<@{user_id}>", *(str(text) for text in texts)])


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


def post_refused(title: str) -> Text:
    """Say that Discord takes the song's message in no form."""
    return Text(
        "**{title}** is finished, but Discord refuses its message. It is in your `/music library`; the owner of this "
        "bot finds the reason in the log.",
        title=title,
    )


def file_too_large(title: str, until: float) -> Text:
    """Say that the file is too large for the server, and until when its link works."""
    return Text(
        "**{title}** is finished, but this server takes no file of its size. The button fetches it until {until}.",
        title=title,
        until=Raw(f"<t:{int(until)}:f>"),
    )


def file_out_of_reach(title: str) -> Text:
    """Say that the file is too large for the server, and that no link can be given either."""
    return Text(
        "**{title}** is finished, but this server takes no file of its size, and VidGo no longer offers it for "
        "download.",
        title=title,
    )


def done(title: str, guild_id: int | None, channel_id: int, message_id: int) -> Text:
    """Lead from an acknowledgement to the result."""
    return Text("**{title}** is done: {link}", title=title, link=_jump(guild_id, channel_id, message_id))


def done_elsewhere(title: str) -> Text:
    """Say in an acknowledgement that the requester got the result privately."""
    return Text(
        "**{title}** is done. I may no longer post here, so whoever asked for it got it privately.", title=title
    )


def not_posted(title: str) -> Text:
    """Say in an acknowledgement that nobody got the result."""
    return Text("**{title}** is done, but I could not post it. Use the command again where I may post.", title=title)


def ended(title: str, guild_id: int | None, channel_id: int, message_id: int | None) -> Text:
    """Say in an acknowledgement that there is no result."""
    if message_id is None:
        return Text("**{title}** could not be made.", title=title)
    return Text("**{title}** could not be made: {link}", title=title, link=_jump(guild_id, channel_id, message_id))


def cancelled(title: str) -> Text:
    """Say in an acknowledgement that the requester did not want the post."""
    return Text("**{title}** will not be posted. VidGo may still charge for it.", title=title)


def _jump(guild_id: int | None, channel_id: int, message_id: int) -> Raw:
    return Raw(f"https://discord.com/channels/{guild_id or '@me'}/{channel_id}/{message_id}")


# Labels


def library_head(number: int, search: str) -> Text:
    """Head a page of the library."""
    if search:
        return Text("Your songs and covers with “{search}”, page {number}.", search=search, number=number)
    return Text("Your songs and covers, page {number}.", number=number)


_LABELS = {
    # Translators: buttons; {number} is the song's place on the page; "Post" and "Cover" are verbs.
    "post": _n("{number} Post"),
    "cover": _n("{number} Cover"),
    "extend": _n("{number} Extend"),
    "remove": _n("{number} Remove"),
}


def action_label(action: str, number: int) -> Text:
    """Label what can be done with a song of the library."""
    return Text(_LABELS[action], number=number)


def label_cover() -> Text:
    """Label the button that covers a posted song."""
    # Translators: a button; what pressing it does
    return Text("Cover")


def label_remove() -> Text:
    """Label the button that removes a post."""
    # Translators: a button under a posted message
    return Text("Remove")


def label_stop() -> Text:
    """Label the button that stops a post."""
    return Text("Don't post")


def label_download() -> Text:
    """Label the link to a file."""
    return Text("Download")


def label_forget() -> Text:
    """Label the confirmation before everything is forgotten."""
    return Text("Forget everything")


def label_duration() -> Text:
    """Label a song's length."""
    return Text("Duration")


def label_made() -> Text:
    """Label when a song was made."""
    # Translators: a field; its value is a time, such as "2 days ago"
    return Text("Made")


def label_kind() -> Text:
    """Label what a song is."""
    # Translators: a field; its value is such as "cover" or "song"
    return Text("Kind")


def untitled() -> Text:
    """Stand in for a title."""
    return Text("Untitled")
