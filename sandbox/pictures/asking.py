"""The screens of what is only asked: answers for one alone, refusals before anything is ordered, settings, the end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sandbox.discord.clock import Signal
from sandbox.music import compose
from sandbox.pictures.walk import SECONDS

if TYPE_CHECKING:
    from sandbox.discord import Message
    from sandbox.pictures.walk import Walk

RECORDING_MENU = "Cover this track"
UNKNOWN_ID = "q1w2e3r4t5y6u7i8"
ILLUSTRATED = 3
"""Songs of the library's first page that have artwork; recordings have none."""


async def begin(walk: Walk) -> None:
    """See what is there before anything is ordered."""
    commands = sorted(walk.place["commands"], key=lambda command: str(command["label"]))
    walk.show("The commands, as they are offered while one types", "commands", commands)
    await walk.answer("/cover without a song", walk.ben, "cover")
    await walk.answer("An empty library", walk.ben, "music library")
    await walk.answer("/music status, with nothing to wait for", walk.ben, "music status")
    for number, (title, tags) in enumerate((("Paper Boats", "lofi, calm"), ("Harbour Lights", "folk, warm"))):
        song = walk.vidgo.add_song(title, tags=tags, seconds=2, variants=number + 1)
        walk.song = song.id
        call = await walk.use(walk.ada, "music import", task_id=song.id)
        await call.reply(SECONDS)
    walk.message("A song is brought in", await call.reply(SECONDS))
    choices = await walk.discord.autocomplete(walk.ada, walk.channel, "cover", "track", "", timeout=SECONDS)
    walk.show("The songs, as they are offered while one types", "choices", [choice.name for choice in choices])
    await walk.form("/music generate without a prompt", await walk.use(walk.ada, "music generate"))
    await walk.answer("An id that is no song's", walk.ada, "music import", task_id=UNKNOWN_ID)
    await walk.answer("A song that nobody knows", walk.ada, "cover", track="Moon River")
    await walk.answer("A search that finds nothing", walk.ada, "music library", search="Moon")
    await _misuse(walk)


async def _misuse(walk: Walk) -> None:
    said = walk.discord.post_as(walk.ben, walk.channel, "Good evening!")
    menu = await walk.discord.message_menu(walk.ada, said, RECORDING_MENU, timeout=SECONDS)
    await walk.told(f"{RECORDING_MENU}, where there is none", menu)
    notes = walk.discord.attach("Notes.mp3", b"These are words and no music.")
    await walk.answer("A recording that is none", walk.ada, "cover", file=notes, style="waltz")
    await walk.answer(
        "A moment that is after the end", walk.ada, "music extend", **await walk.track("Paper Boats"), at=600
    )
    thread = walk.guild.add_thread(walk.channel, "late-night")
    walk.discord.archive_thread(thread, locked=True)
    await walk.discord.slash(walk.ben, thread, "music library", timeout=SECONDS)
    direct = walk.discord.dm(walk.ben)
    walk.message("In a thread that is locked, by direct message", await direct.wait_for(lambda _: True, SECONDS))


async def manage(walk: Walk) -> None:
    """See what managers set, and what that means to members."""
    panel = await walk.answer("/coverbot settings", walk.cleo, "coverbot settings")
    limits = await walk.form("Change, of the limits", await walk.press(panel, "settings:limits", walk.cleo))
    await walk.submit("A limit that is none", walk.cleo, limits, covers="many")
    welcome = await walk.form("Change, of the message", await walk.press(panel, "settings:welcome", walk.cleo))
    await walk.change(
        panel, walk.discord.submit_modal(walk.cleo, welcome, {"text": "Be kind. Songs of your own only."})
    )
    role = walk.guild.add_role("singers")
    menu = await walk.discord.select(walk.cleo, panel, "settings:role", [role], timeout=SECONDS)
    await walk.form("The limits of a role", menu)
    await walk.change(panel, walk.discord.select(walk.cleo, panel, "settings:channels", [walk.quiet], timeout=SECONDS))
    await walk.redrawn(panel, "settings:recordings", walk.cleo)
    walk.message("The settings after changes", panel)
    await walk.answer("Where no songs may be ordered", walk.ada, "cover", **await walk.track("Paper Boats"))
    await walk.change(panel, walk.discord.select(walk.cleo, panel, "settings:channels", [], timeout=SECONDS))
    tape = walk.discord.attach("Tape.mp3", compose("Tape", seconds=1))
    await walk.answer("Where recordings are switched off", walk.ada, "cover", file=tape, style="waltz")
    await walk.redrawn(panel, "settings:recordings", walk.cleo)
    await walk.answer("/help, which /coverbot about opens too", walk.ada, "help")
    allowed = walk.channel.bot_permissions
    walk.channel.bot_permissions = allowed - {"attach_files"}
    await walk.answer("A permission that is missing", walk.ada, "cover", **await walk.track("Paper Boats"))
    walk.channel.bot_permissions = allowed


async def keep_house(walk: Walk) -> None:
    """See the library, and what can be done with a song there."""
    library = await _illustrated_library(walk)
    walk.message("The library", library)
    playing = await walk.press(library, "song:play:")
    walk.message("Play for me", await playing.reply(SECONDS))
    await walk.redrawn(library, "song:remove:")
    walk.message("The library after Remove", library)
    await walk.redrawn(library, "song:undo:")
    await walk.redrawn(library, "songs:t:f")
    walk.message("The library, turned to older songs", library)


async def _illustrated_library(walk: Walk) -> Message:
    """Open the library until the archive has the pictures of its first page."""
    async with asyncio.timeout(SECONDS * Signal.patience):
        while True:
            library = await (await walk.use(walk.ada, "music library")).reply(SECONDS)
            if len(library.files) == ILLUSTRATED:
                return library
            await asyncio.sleep(0.5)


async def end(walk: Walk) -> None:
    """See the end of what is allowed, what was used, and how one is forgotten."""
    panel = await (await walk.use(walk.cleo, "coverbot settings")).reply(SECONDS)
    await walk.redrawn(panel, "settings:covers_of_others", walk.cleo)
    limits = await walk.press(panel, "settings:limits", walk.cleo)
    await limits.acknowledged(SECONDS)
    await (await walk.discord.submit_modal(walk.cleo, limits, {"songs": "2"})).settled(SECONDS)
    style = await walk.track("Paper Boats") | {"style": "disco"}
    await walk.answer("The end of a limit", walk.ada, "cover", **style)
    await walk.answer("/coverbot usage", walk.cleo, "coverbot usage")
    await walk.answer("/music forget, one song", walk.ada, "music forget", **await walk.track("Paper Boats"))
    question = await walk.answer("/music forget, everything", walk.ada, "music forget")
    cancel = next(one.custom_id or "" for one in question.buttons if (one.custom_id or "").endswith(":cancel"))
    await walk.discord.press(walk.ada, question, cancel, timeout=SECONDS)
    await walk.discord.wait_until(lambda: not question.buttons, SECONDS)
    walk.message("Cancel, and nothing is forgotten", question)
    question = await (await walk.use(walk.ada, "music forget")).reply(SECONDS)
    await walk.redrawn(question, f"forget:{walk.ada.id}")
    walk.message("Everything is forgotten", question)
    await walk.told("A button of something forgotten", await walk.press(walk.posts["version"], "again:"))
