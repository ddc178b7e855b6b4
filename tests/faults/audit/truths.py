"""When each sentence of the bot's is true. One that does not stand here is a damage by itself."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.faults.audit.conditions import (
    OF_OTHERS,
    Case,
    Condition,
    all_of,
    always,
    closed,
    demand,
    died_on_the_way,
    failed,
    in_doubt,
    in_library,
    in_past,
    is_cover,
    joined,
    made_before,
    never_taken,
    no_songs,
    not_finished,
    not_made,
    nothing_ordered,
    queued,
    refused,
    refused_anything,
    refused_or_failed,
    said_there,
    shown_there,
    song_is,
    stopped,
    told_privately,
    unconfirmed,
    under_way,
    unfinished,
    unknown_to_vidgo,
    usual,
    waits_for_nothing,
    went_wrong,
    without_files,
)
from tests.faults.audit.conditions_of_files import (
    bad_address,
    file_gone,
    never_came,
    no_music,
    no_picture,
    not_to_be_had,
    source_gone,
    source_unusable,
    too_large,
    with_artwork,
    with_music,
)
from tests.faults.audit.ledgers import ALL_FORGOTTEN, SONG_FORGOTTEN
from tests.faults.audit.owner import OWNED
from tests.faults.audit.sentences import templates

if TYPE_CHECKING:
    from tests.faults.audit.ledgers import Ledgers
    from tests.faults.audit.verdict import Verdict

KEYLESS = (401, 403)
PENNILESS = (402, 429)
BUSY = (429, 430, 455, 503)

NO_SENTENCES = {"forms", "guide", "labels", "library", "panel", "usage"}
"""Files of words that stand on buttons and in fields; what of them is a sentence is in the table all the same."""

_was_late = demand(
    lambda case: case.ledgers.has_said(case.order, LATE) or (case.row is not None and case.row["late_at"] is not None),
    "it was not late",
)
_was_unreachable = demand(
    lambda case: case.order.unreachable or closed(case) is None, "nothing stood in the way of the post"
)
_refused_by_discord = demand(
    lambda case: any(
        one.method == "POST" and one.path.startswith(f"/channels/{case.order.channel.id}/") and one.status == 400
        for one in case.ledgers.stage.discord.requests
    ),
    "Discord refused nothing",
)
_exists = demand(lambda case: case.made, "there is no such cover")
_forgotten = demand(lambda case: case.ledgers.is_forgotten(case.order), "nothing was forgotten")
_posted = demand(lambda case: case.results() or _is_being_posted(case), "nothing was posted")

LATE = "**{title}** needs longer than most, still on it – started {since}."
LOST = (
    "VidGo never confirmed the order for **{title}**, so I cannot tell whether it was taken. I did not order it twice. "
    "Ask again if you want another try."
)
LOST_COVER = (
    "VidGo never confirmed the order for **{title}**, however often I asked, so I cannot tell whether it was taken. "
    "VidGo makes a song's cover once and charges for it once. Ask again if you want another try."
)
NONSENSE = "VidGo gave an answer that I cannot read, so I do not know what became of **{title}**. Ask again in a while."
UNKNOWN = "VidGo no longer knows anything of **{title}**. Ask again if you want another try."
TIME = "VidGo has not finished **{title}** in a very long time, so I stopped waiting for it."
NO_FILES = (
    "VidGo says that **{title}** is finished, but delivered no file. The owner of this bot can ask VidGo for a refund."
)

KNOWN_REASONS = {template for template in templates() if template.startswith("VidGo did not make **{title}**: ")} | {
    "Something went wrong at VidGo while it made **{title}**. Try again later.",
}
"""VidGo's reasons in the bot's own words."""

HAVE_THIS_ONE = "You have this one: {link}"

PROVISIONAL = {LOST, LOST_COVER, NONSENSE, UNKNOWN, TIME, NO_FILES}
"""Ends that nobody can be sure of; what comes after all is posted."""

RESULTS: dict[str, Condition] = {
    "here is a new version: **{title}**.": with_music,
    "here is a new version of your recording **{title}**.": with_music,
    "here is **{title}**, extended.": with_music,
    "here is your song **{title}**.": with_music,
    "🎨 New artwork for **{title}**. The original's audio is no longer available, so it comes alone.": all_of(
        with_artwork, source_gone
    ),
    "🎨 New artwork for **{title}**. The original's audio could not be fetched in a form that plays, so it comes "
    "alone.": all_of(with_artwork, source_unusable),
    "🎨 New artwork for **{title}**. Want it sung anew?": all_of(
        with_artwork, demand(lambda case: case.shown.has_audio, "the post has no music")
    ),
    "here is your cover of **{title}**, in a new version.": with_music,
}
"""What stands over a result."""

WAITING: dict[str, Condition] = {
    "**{title}** was covered before. Here it comes again.": made_before,
    "Here comes **{title}**.": demand(lambda case: case.finished(), "VidGo has not finished it"),
    "**{title}** is being covered already; you get it too – started {since}, usually takes about {duration}.": all_of(
        under_way, joined, in_past, usual
    ),
    "**{title}** is being made already; you get it too – started {since}, usually takes about {duration}.": all_of(
        under_way, joined, in_past, usual
    ),
    "Covering **{title}** – started {since}, usually takes about {duration}.": all_of(under_way, in_past, usual),
    "Covering **{title}** in the style *{style}* – started {since}, usually takes about {duration}.": all_of(
        under_way, in_past, usual
    ),
    "Extending **{title}** – started {since}, usually takes about {duration}.": all_of(under_way, in_past, usual),
    "Making **{title}** – started {since}, usually takes about {duration}.": all_of(under_way, in_past, usual),
    "I have your order and will post the result here.": under_way,
    "VidGo has not taken **{title}** yet; it is {place} in line.": queued,
    "VidGo has not confirmed the order for **{title}** yet. I will tell you here what comes of it.": unconfirmed,
    "**{title}** is finished, but I do not have its file yet. I keep trying, and post it as soon as I have "
    "it.": not_to_be_had,
    "**{title}** is finished, but I still cannot get its file. VidGo keeps files for about a day: until then I "
    "keep trying, and post it as soon as I have it.": not_to_be_had,
    "VidGo has not taken **{title}** yet; it is next in line.": queued,
    LATE: all_of(demand(lambda case: not case.results(case.shown.at), "it had been posted"), in_past),
}
"""What an acknowledgement says while something is made."""

ENDED: dict[str, Condition] = {
    "-# **{title}** is done: {link}": shown_there,
    "-# **{title}** is finished, but could not be posted: {link}": said_there,
    "-# **{title}** is done. It could not be posted here, so whoever asked for it got it privately.": all_of(
        closed, told_privately
    ),
    "**{title}** is done, but I could not post it. It is in your {library}: post it from there where I may post.": (
        _was_unreachable
    ),
    "**{title}** could not be made.": not_made,
    "**{title}** has not come.": always,
    "**{title}** has not come: {link}": always,
    "**{title}** could not be made: {link}": not_made,
    "**{title}** will not be posted. No credits were used.": all_of(stopped, nothing_ordered),
    "**{title}** will not be posted. It may use credits all the same.": stopped,
}
"""What an acknowledgement says in the end."""

FAILED: dict[str, Condition] = {
    "VidGo does not let this bot in, so nothing was made. The owner of this bot has to renew its access.": refused(
        *KEYLESS
    ),
    "This bot's VidGo account has run out of credits, so nothing was made. The owner of this bot has to top it up.": (
        refused(*PENNILESS)
    ),
    "VidGo does not take the model version that this bot asks for, so nothing was made. That is no fault of yours: the "
    "owner of this bot has to set another version.": refused(400, 404, 422),
    "VidGo says that a cover of **{title}** exists already, but does not let me have it. It was not made "
    "again.": _exists,
    **dict.fromkeys(OF_OTHERS, refused(400, 404, 409, 422)),
    "VidGo says that **{title}** is not ready to be covered yet. Try again in a few minutes.": refused(400, 404, 409),
    "VidGo does not find **{title}**, so it made no cover. If the song is new, try again in a few minutes; if it is "
    "old, give a style for a new version of it.": refused(400, 404, 422),
    "VidGo refused the content of **{title}** and says: “{reason}”. Change the words and try again.": refused(),
    "VidGo refused the content of **{title}** and gives no reason. Change the words and try again.": refused(),
    "VidGo did not accept the order for **{title}** and says: “{reason}”.": refused(),
    "VidGo did not accept the order for **{title}** and gives no reason.": refused(),
    **dict.fromkeys(KNOWN_REASONS, refused_or_failed),
    "VidGo did not take **{title}** for a long time, so it was not made. No credits were used; try again "
    "later.": refused(*BUSY),
    LOST: in_doubt,
    LOST_COVER: in_doubt,
    NONSENSE: in_doubt,
    UNKNOWN: unknown_to_vidgo,
    NO_FILES: without_files,
    "**{title}** was not wanted any more, so it was not made. No credits were used.": all_of(stopped, nothing_ordered),
    TIME: unfinished,
    "VidGo could not make **{title}** and says: “{reason}”.": all_of(failed, not_made),
    "VidGo could not make **{title}** and gives no reason. Try again later.": all_of(failed, not_made),
    "**{title}** is finished, but VidGo no longer has its file, so I cannot post it.": file_gone,
    "**{title}** is finished, but the file that VidGo delivered is not music that I can post. The owner finds the "
    "reason in the log.": no_music,
    "**{title}** is finished, but Discord refuses its message. It is in your {library}; the owner of this bot finds "
    "the reason in the log.": _refused_by_discord,
    "**{title}** is finished, but this server takes no file of its size. The button fetches it until {until}.": (
        too_large
    ),
    "**{title}** is finished, but this server takes no file of its size, and there is nowhere that you could download "
    "it from.": too_large,
    "VidGo says that **{title}** is finished, but names an address for its file that cannot be used. The owner of this "
    "bot can ask VidGo for a refund.": bad_address,
    "**{title}** is finished, but VidGo names an address for its file that I must not fetch from, so I cannot post "
    "it. The owner finds the reason in the log.": bad_address,
    "**{title}** is finished, but I could not get its file from VidGo, which keeps files for about a day, so I cannot "
    "post it.": never_came,
    "**{title}** is finished, but its file is larger than any that I take, so I cannot post it. The owner finds its "
    "size in the log.": too_large,
    "**{title}** is finished, but the artwork that VidGo delivered is not a picture that I can show. The owner finds "
    "the reason in the log.": no_picture,
}
"""Why there is no result."""

RECORDING_REFUSED = (
    "Choose either one of your songs or a recording, not both. No credits were used.",
    "In this server recordings that members upload may not be covered. No credits were used.",
    "That message carries no song of mine that I still know, and no audio file.",
    (
        "**{title}** is not an MP3, WAV, FLAC, Ogg or M4A file by its content, so I cannot have it covered. No credits "
        "were used."
    ),
    "I cannot tell how long **{title}** is; its file may be damaged. No credits were used; try another file.",
    "**{title}** is longer than a minute, the longest that VidGo takes here. No credits were used.",
    "**{title}** is longer than {minutes} minutes, the longest that VidGo takes. No credits were used.",
    "**{title}** is larger than {megabytes} MB, the most that I take. No credits were used.",
    "I could not get **{title}** from Discord. No credits were used; try again, or upload it anew.",
    "I no longer know that recording. No credits were used; choose the file again.",
)
"""Why a recording was not covered."""

_within = demand(lambda case: int(case.values["number"]) < int(case.values["limit"]), "more is left than there is")

BESIDES: dict[str, Condition] = {
    "No credits were used.": never_taken,
    "VidGo charges nothing for what it could not make.": not_finished,
    "VidGo may have charged for it.": always,
    "Its quality is reduced to fit this server's upload limit.": too_large,
    "Sorry that it took so long.": _was_late,
    "{number} of {limit} covers left today.": _within,
    "{number} of {limit} songs left today.": _within,
    "All members of this server together: {number} of {limit} orders left today.": demand(
        lambda case: int(case.values["number"]) <= int(case.values["limit"]), "more is left than there is"
    ),
    "As many covers as you like.": always,
    "As many songs as you like.": always,
    "How much you ordered today is counted until {until}, because of the limits; then I forget that too.": always,
}
"""What is added to a result, or to another sentence."""

ORDERED_NOTHING: dict[str, Condition] = {
    "I was interrupted before I could do that. No credits were used; please try again.": nothing_ordered,
    "I was interrupted, and my answer got lost. No credits were used; please try again.": nothing_ordered,
    "I may not answer in that channel or thread: it is locked, or closed to me. No credits were used; use the command "
    "where I may write.": nothing_ordered,
    "Something went wrong on my side. Please try again in a moment; if it happens again, tell the owner of this bot "
    "the reference {reference}.": went_wrong,
    "VidGo is busy or out of reach at the moment. No credits were used; please try again in a few minutes.": (
        nothing_ordered
    ),
    "I may not post here: I lack {names} in this channel. Ask somebody who manages the server, or use another channel. "
    "No credits were used.": nothing_ordered,
    "I post songs in channels of servers that I am a member of. Use this command there.": nothing_ordered,
    "Songs are made in other channels of this server: {names}. No credits were used.": nothing_ordered,
    "The channels in which songs are made in this server are gone. Ask somebody who manages it to choose others with "
    "{settings}. No credits were used.": nothing_ordered,
    "In this server only whoever asked for a song can cover its post. No credits were used.": nothing_ordered,
    "You may not order covers in this server. No credits were used.": nothing_ordered,
    "You may not order new songs in this server. No credits were used.": nothing_ordered,
    "Your limit of covers for today ({limit}) is reached. It resets {when}, at {until}. No credits were used.": (
        nothing_ordered
    ),
    "Your limit of new songs for today ({limit}) is reached. It resets {when}, at {until}. No credits were "
    "used.": nothing_ordered,
    "No songs may be made in this server at the moment. No credits were used.": nothing_ordered,
    "This server's limit of orders for today ({limit}) is reached. It resets {when}, at {until}. No credits were "
    "used.": nothing_ordered,
    "You have no songs here yet. Make one with {generate}, or import one with {bring}.": all_of(
        no_songs, nothing_ordered
    ),
    "I do not know a song “{track}”. Pick one from the list that appears while you type, or import it with "
    "{bring}.": all_of(song_is(), nothing_ordered),
    "That song is not in your library. Import it with {bring} and its VidGo id first.": nothing_ordered,
    "**{title}** is still being made. Try again when it is finished.": unfinished,
    "**{title}** was never finished, so nothing can be made from it. Pick another song.": unfinished,
    "What VidGo made under that id is not music. Use the id of a song.": is_cover,
    "**{title}** is longer than a minute, the longest song that VidGo makes a new version of.": nothing_ordered,
    "**{title}** is longer than {minutes} minutes, the longest song that VidGo makes a new version of.": (
        nothing_ordered
    ),
    "Say which style you want, such as: acoustic folk, female voice.": nothing_ordered,
    "Say what the song is about, or type its lyrics. No credits were used.": nothing_ordered,
    "That is longer than the {limit} characters that fit there. No credits were used.": nothing_ordered,
    "“{typed}” is not a moment of a song. Type seconds, or minutes and seconds such as 1:30. No credits were used.": (
        nothing_ordered
    ),
    "This form belongs to something I no longer know. No credits were used.": nothing_ordered,
    "**{title}** has come after all, so it was not made again.": nothing_ordered,
    "Only the member who asked for it can try it again.": nothing_ordered,
    "You have tried that again already. With the other button you can change the words.": nothing_ordered,
    "You have tried that again already.": nothing_ordered,
    "VidGo no longer has **{title}**, and cannot fetch it from here: the owner of this bot would have to set "
    "PUBLIC_URL. A cover without a style needs no fetching.": all_of(source_gone, nothing_ordered),
    "Nobody has the audio of **{title}** any more, so no new version of it can be made.": all_of(
        source_gone, nothing_ordered
    ),
    "Nobody has the audio of **{title}** any more, so I cannot play it.": nothing_ordered,
    **dict.fromkeys(RECORDING_REFUSED, nothing_ordered),
    "VidGo gave no id for the audio of **{title}**, so it cannot be extended.": nothing_ordered,
    "**{title}** is only {seconds} seconds long. Choose an earlier moment.": nothing_ordered,
    "That message carries no song of mine that I still know.": nothing_ordered,
    "I cannot get the audio of **{title}** at the moment. No credits were used; try again later.": nothing_ordered,
    "This command belongs to another version of me. Restart your Discord app and try again; if that does not help, "
    "wait some minutes.": nothing_ordered,
    "VidGo names an address for that song that cannot be used. Try again later, or use the id of another "
    "song.": bad_address,
    "I no longer know in which words **{title}** was made, so I cannot make it again. No credits were used.": (
        nothing_ordered
    ),
    "VidGo has no song with that id that this bot may use. Check the id and paste it again.": song_is(),
    "VidGo has not finished that song yet. Try again when it is done.": song_is("not_started", "running"),
    "VidGo could not make that song, so there is nothing to import. Use the id of a finished song.": song_is("failed"),
    "VidGo does not let this bot in. The owner of this bot has to renew its access.": all_of(
        refused_anything(*KEYLESS), nothing_ordered
    ),
    "This bot's VidGo account has run out of credits. The owner of this bot has to top it up.": all_of(
        refused_anything(*PENNILESS), nothing_ordered
    ),
}
"""Why nothing was done, said instead of doing it."""

ANSWERS: dict[str, Condition] = {
    HAVE_THIS_ONE: all_of(made_before, shown_there),
    "**{title}** is in your library. Cover it with {cover}.": in_library,
    "**{title}** is in your library, in {count} versions. Cover it with {cover}.": in_library,
    "None of your songs has “{search}” in its title.": demand(
        lambda case: not any(case.values["search"].casefold() in row["folded_title"] for row in case.library),
        "there is such a song",
    ),
    "**{title}** is no longer in your library.": always,
    "You are not waiting for anything at the moment.": waits_for_nothing,
    SONG_FORGOTTEN: _forgotten,
    "This removes everything I keep about you: your library, the files that nobody else needs, and what you are still "
    "waiting for. It cannot be undone. What I posted stays in its channels until somebody removes it, and VidGo keeps "
    "its own records.": always,
    ALL_FORGOTTEN: _forgotten,
    "**{title}**, for you alone.": demand(lambda case: case.shown.has_audio, "there is nothing to hear"),
    "**{title}** is too large for Discord to take it here, so I cannot play it.": always,
    "That song cannot be brought back any more. Import it again with {bring}, or make it again.": always,
    "Nothing was forgotten.": always,
    "Only members with the permission Manage Server can do that.": always,
    "“{typed}” is not a limit. Type a number from 0 to 1000000, -1 for no limit, or nothing.": always,
    "At most {limit} roles can have limits of their own. Clear those of another role first.": always,
    "This button belongs to something I no longer know.": always,
    "Only the member who asked for it can choose its picture.": always,
    "A picture can be chosen under a post in a channel. Post it there from your {library}.": always,
    "Only the member who asked for it can stop this.": always,
    "It is being posted already. Use the button under the post to remove it.": _posted,
    "Only the member who asked for it, or somebody who manages messages, can remove this.": always,
}
"""What is said about what was pressed or asked, and orders nothing."""

TRUTHS: dict[str, Condition] = {
    **RESULTS,
    **WAITING,
    **ENDED,
    **FAILED,
    **BESIDES,
    **ORDERED_NOTHING,
    **ANSWERS,
    **dict.fromkeys(OWNED, always),
}

PARTS = {
    *("View Channel", "Send Messages", "Send Messages In Threads", "Embed Links", "Attach Files"),
    *("Read Message History",),
    *("half a minute", "a minute", "1½ minutes", "2½ minutes", "{minutes} minutes"),
    *("Untitled", "Cover this recording", "Style", "Such as: acoustic folk, female voice"),
    (
        "**{title}** becomes a new version in the style that you give. The recording must be yours to use: your own, "
        "or one whose owner allows it. VidGo gets it."
    ),
}
"""Templates that stand inside others or in forms, and never alone."""


def _is_being_posted(case: Case) -> bool:
    posts = ("POST", f"/channels/{case.order.channel.id}/messages")
    return any((one.method, one.path) == posts for one in case.ledgers.stage.discord.requests)


def sentences() -> set[str]:
    """Return the templates that need an entry."""
    return {template for template, file in templates().items() if file not in NO_SENTENCES} - PARTS


def audit_doubts(ledgers: Ledgers, verdict: Verdict) -> None:
    """Demand that what is called in doubt is what was on its way when the program died, never all that waited.

    As many may be on their way at once as the program's rate lets go together.
    """
    together = float(ledgers.stage.program.settings["VIDGO_REQUESTS_PER_SECOND"])
    told = [order for order in ledgers.stage.orders if ledgers.has_said(order, LOST, NONSENSE)]
    deaths = Counter(end for order in told if (end := died_on_the_way(ledgers, order)) is not None)
    for count in deaths.values():
        if count > together:
            verdict.note("falsehood", f"{count} orders were called in doubt at one death, and VidGo saw none of them")


def audit_sentences(ledgers: Ledgers, verdict: Verdict) -> None:
    """Hold each sentence that was ever shown against what the ledgers say, but for what was taken back in private."""
    for shown, addressed, said in ledgers.said:
        if said is None:
            verdict.note("falsehood", f"nobody has written: {shown.text}")
            continue
        order = ledgers.order_shown(shown, addressed)
        for sentence in said:
            verdict.sentences += 1
            condition = TRUTHS.get(sentence.template)
            owned = OWNED.get(sentence.template)
            if owned is not None:
                if (why := owned(ledgers, shown, sentence.values)) is not None:
                    verdict.note("falsehood", f"the owner was told “{shown.text}”, but {why}")
            elif condition is None:
                verdict.note("falsehood", f"nobody knows when this is true: {sentence.template}")
            elif order is not None and not shown.taken_back:
                why = condition(Case(ledgers, shown, order, sentence.values))
                if why is not None:
                    verdict.note("falsehood", f"{ledgers.name(order)} was told “{shown.text}”, but {why}")
