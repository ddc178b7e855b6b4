"""What members are told when something cannot be done, or went wrong."""

from __future__ import annotations

import discord

from bot.vidgo import CoverArt
from bot.words.commands import mention
from bot.words.sentences import reasons
from bot.words.text import Raw, Sentences, Text, _n
from storage.tasks import Task


class MemberError(Exception):
    """Something a member has to be told, privately; carries the sentence, and the buttons under it if it has any.

    It may be said of another order than the one that it refuses, which may have cost something: `of_another`.
    """

    def __init__(self, text: Text, view: discord.ui.View | None = None, *, of_another: bool = False) -> None:
        super().__init__(text.template)
        self.text = text
        self.view = view
        self._says_all = of_another or view is not None or reasons.nothing_used().template[:-1] in text.template

    @property
    def refusal(self) -> Text:
        """Return what is told where it ends an order: with that nothing was paid, where that is news."""
        return self.text if self._says_all else Sentences(self.text, reasons.nothing_used())


def no_songs() -> Text:
    return Text(
        "You have no songs here yet. Make one with {generate}, or import one with {bring}.",
        generate=mention("music generate"),
        bring=mention("music import"),
    )


def unknown_track(track: str) -> Text:
    return Text(
        "I do not know a song “{track}”. Pick one from the list that appears while you type, or import it with "
        "{bring}.",
        track=track,
        bring=mention("music import"),
    )


def not_yours() -> Text:
    return Text(
        "That song is not in your library. Import it with {bring} and its VidGo id first.",
        bring=mention("music import"),
    )


def unfinished(title: str) -> Text:
    return Text("**{title}** is still being made. Try again when it is finished.", title=title)


def failed_track(title: str) -> Text:
    return Text("**{title}** was never finished, so nothing can be made from it. Pick another song.", title=title)


def not_a_song() -> Text:
    return Text("What VidGo made under that id is not music. Use the id of a song.")


def not_again(title: str) -> Text:
    return Text(
        "I no longer know in which words **{title}** was made, so I cannot make it again. No credits were used.",
        title=title,
    )


def not_your_picture() -> Text:
    return Text("Only the member who asked for it can choose its picture.")


def pictures_in_channels() -> Text:
    return Text(
        "A picture can be chosen under a post in a channel. Post it there from your {library}.",
        library=mention("music library"),
    )


def unknown_task_id() -> Text:
    return Text("VidGo has no song with that id that this bot may use. Check the id and paste it again.")


def unfinished_import() -> Text:
    return Text("VidGo has not finished that song yet. Try again when it is done.")


def failed_import() -> Text:
    return Text("VidGo could not make that song, so there is nothing to import. Use the id of a finished song.")


def unusable_address() -> Text:
    return Text(
        "VidGo names an address for that song that cannot be used. Try again later, or use the id of another song."
    )


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
    return Text(
        "I may not post here: I lack {names} in this channel. Ask somebody who manages the server, or use another "
        "channel. No credits were used.",
        names=Raw(", ".join(f"**{Text(name)}**" for name in names)),
    )


def server_only() -> Text:
    return Text("I post songs in channels of servers that I am a member of. Use this command there.")


def too_long(title: str, minutes: int) -> Text:
    if minutes == 1:
        return Text(
            "**{title}** is longer than a minute, the longest song that VidGo makes a new version of.", title=title
        )
    return Text(
        "**{title}** is longer than {minutes} minutes, the longest song that VidGo makes a new version of.",
        title=title,
        minutes=minutes,
    )


def no_style() -> Text:
    return Text("Say which style you want, such as: acoustic folk, female voice.")


def source_out_of_reach(title: str, *, kept: bool) -> Text:
    if kept:
        return Text(
            "VidGo no longer has **{title}**, and cannot fetch it from here: the owner of this bot would have to set "
            "PUBLIC_URL. A cover without a style needs no fetching.",
            title=title,
        )
    return Text("Nobody has the audio of **{title}** any more, so no new version of it can be made.", title=title)


def audio_not_now(title: str) -> Text:
    return Text(
        "I cannot get the audio of **{title}** at the moment. No credits were used; try again later.", title=title
    )


def not_extendable(title: str) -> Text:
    return Text("VidGo gave no id for the audio of **{title}**, so it cannot be extended.", title=title)


def beyond_the_end(title: str, seconds: int) -> Text:
    return Text("**{title}** is only {seconds} seconds long. Choose an earlier moment.", title=title, seconds=seconds)


def no_song_here() -> Text:
    return Text("That message carries no song of mine that I still know.")


def interrupted() -> Text:
    return Text("I was interrupted before I could do that. No credits were used; please try again.")


def answer_lost() -> Text:
    return Text("I was interrupted, and my answer got lost. No credits were used; please try again.")


def closed_here() -> Text:
    return Text(
        "I may not answer in that channel or thread: it is locked, or closed to me. No credits were used; use the "
        "command where I may write."
    )


def internal_error(reference: str) -> Text:
    """Say that the fault is the bot's own; `reference` finds it in the log."""
    return Text(
        "Something went wrong on my side. Please try again in a moment; if it happens again, tell the owner of this "
        "bot the reference {reference}.",
        reference=reference,
    )


def managers_only() -> Text:
    return Text("Only members with the permission Manage Server can do that.")


def not_a_limit(typed: str) -> Text:
    return Text("“{typed}” is not a limit. Type a number from 0 to 1000000, -1 for no limit, or nothing.", typed=typed)


def too_many_roles(most: int) -> Text:
    return Text("At most {limit} roles can have limits of their own. Clear those of another role first.", limit=most)


def not_in_this_channel(channels: list[int]) -> Text:
    return Text(
        "Songs are made in other channels of this server: {names}. No credits were used.",
        names=Raw(", ".join(f"<#{channel}>" for channel in channels)),
    )


def no_channel_left() -> Text:
    return Text(
        "The channels in which songs are made in this server are gone. Ask somebody who manages it to choose others "
        "with {settings}. No credits were used.",
        settings=mention("coverbot settings"),
    )


def covers_of_others_off() -> Text:
    return Text("In this server only whoever asked for a song can cover its post. No credits were used.")


def stale_button() -> Text:
    return Text("This button belongs to something I no longer know.")


def stale_form() -> Text:
    return Text("This form belongs to something I no longer know. No credits were used.")


def not_your_try() -> Text:
    return Text("Only the member who asked for it can try it again.")


def tried_again(*, has_words: bool) -> Text:
    if has_words:
        return Text("You have tried that again already. With the other button you can change the words.")
    return Text("You have tried that again already.")


def came_after_all(title: str) -> Text:
    return Text("**{title}** has come after all, so it was not made again.", title=title)


def no_prompt() -> Text:
    return Text("Say what the song is about, or type its lyrics. No credits were used.")


def too_much_typed(limit: int) -> Text:
    return Text("That is longer than the {limit} characters that fit there. No credits were used.", limit=limit)


def not_a_moment(typed: str) -> Text:
    return Text(
        "“{typed}” is not a moment of a song. Type seconds, or minutes and seconds such as 1:30. No credits were used.",
        typed=typed,
    )


def stale_command() -> Text:
    return Text(
        "This command belongs to another version of me. Restart your Discord app and try again; if that does not help, "
        "wait some minutes."
    )


def not_your_order() -> Text:
    return Text("Only the member who asked for it can stop this.")


def posted_already() -> Text:
    return Text("It is being posted already. Use the button under the post to remove it.")


def not_your_button() -> Text:
    return Text("Only the member who asked for it, or somebody who manages messages, can remove this.")


def vidgo_busy() -> Text:
    return Text("VidGo is busy or out of reach at the moment. No credits were used; please try again in a few minutes.")


def owner_must_act(key: bool) -> Text:
    if key:
        return Text("VidGo does not let this bot in. The owner of this bot has to renew its access.")
    return Text("This bot's VidGo account has run out of credits. The owner of this bot has to top it up.")


_FAILURES = {
    # Translators: what comes after a mention of the member, as in "@ada VidGo refused the content: …".
    "key": _n("VidGo does not let this bot in, so nothing was made. The owner of this bot has to renew its access."),
    "credits": _n(
        "This bot's VidGo account has run out of credits, so nothing was made. The owner of this bot has to top it up."
    ),
    "version": _n(
        "VidGo does not take the model version that this bot asks for, so nothing was made. That is no fault of yours: "
        "the owner of this bot has to set another version."
    ),
    "duplicate": _n(
        "VidGo says that a cover of **{title}** exists already, but does not let me have it. It was not made again."
    ),
    "source": _n("VidGo says that **{title}** is not ready to be covered yet. Try again in a few minutes."),
    "missing": _n(
        "VidGo does not find **{title}**, so it made no cover. If the song is new, try again in a few minutes; if it "
        "is old, give a style for a new version of it."
    ),
    "busy": _n(
        "VidGo did not take **{title}** for a long time, so it was not made. No credits were used; try again later."
    ),
    "lost": _n(
        "VidGo never confirmed the order for **{title}**, so I cannot tell whether it was taken. I did not order it "
        "twice. Ask again if you want another try."
    ),
    "lost_cover": _n(
        "VidGo never confirmed the order for **{title}**, however often I asked, so I cannot tell whether it was "
        "taken. VidGo makes a song's cover once and charges for it once. Ask again if you want another try."
    ),
    "nonsense": _n(
        "VidGo gave an answer that I cannot read, so I do not know what became of **{title}**. Ask again in a while."
    ),
    "unknown": _n("VidGo no longer knows anything of **{title}**. Ask again if you want another try."),
    "no_files": _n(
        "VidGo says that **{title}** is finished, but delivered no file. The owner of this bot can ask VidGo for a "
        "refund."
    ),
    "address": _n(
        "VidGo says that **{title}** is finished, but names an address for its file that cannot be used. The owner of "
        "this bot can ask VidGo for a refund."
    ),
    "cancelled": _n("**{title}** was not wanted any more, so it was not made. No credits were used."),
    "time": _n("VidGo has not finished **{title}** in a very long time, so I stopped waiting for it."),
}

_FAILURES_OF_OTHERS = {
    # Translators: of a song that is continued, or made; those before are of covers.
    "duplicate": _n(
        "VidGo says that what was ordered for **{title}** exists already, but does not let me have it. It was not made "
        "again."
    ),
    "source": _n("VidGo says that **{title}** is not finished yet. Try again in a few minutes."),
    "missing": _n(
        "VidGo does not find **{title}**, so it was not continued. If the song is new, try again in a few minutes."
    ),
}


def failure(task: Task) -> Text:
    """Say why there is no result, and whether that was charged."""
    if reasons.has_reason(task):
        said = reasons.refusal(task)
    else:
        kind = task.error_kind or ""
        if kind == "lost" and task.model == CoverArt.model:
            kind = "lost_cover"
        known = _FAILURES if task.model == CoverArt.model else _FAILURES | _FAILURES_OF_OTHERS
        said = Text(known.get(kind, _FAILURES["nonsense"]), title=task.title)
    charge = reasons.charge(task)
    return said if charge is None else Sentences(said, charge)
