"""The screens of what is ordered: waited for, refused, failed, posted, and what a post leads on to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.music import compose
from sandbox.pictures import asking
from sandbox.pictures.asking import RECORDING_MENU
from sandbox.pictures.walk import SECONDS
from sandbox.play.stage import COVER

if TYPE_CHECKING:
    from sandbox.pictures.walk import Walk

RESTYLE, GENERATE = "upload-and-cover-audio", "generate-music"
LATE, LOST, FAILING, UNWELCOME = "Low Tide", "Lost Anchor", "Storm Warning", "Far Shore"
"""Titles of songs that are ordered, by what becomes of them."""

SMALL = 5_000
"""How many bytes a server takes that has no room for a song."""


async def fail(walk: Walk) -> None:
    """See an order that VidGo refuses for a reason of its own."""
    call = await walk.use(walk.ada, "cover", **await walk.track("Paper Boats"), style="disco")
    told = await walk.privately("Refused, as its member reads it", call)
    public = await call.reply(SECONDS)
    await walk.discord.wait_until(lambda: not public.buttons, SECONDS)
    walk.message("Refused, as everybody reads it", public)
    await walk.form("Change the words…", await walk.press(told, "change:"))


async def fail_for_words(walk: Walk) -> None:
    """See an order that VidGo refuses for a reason that is known."""
    call = await walk.use(walk.ben, "music generate", prompt="[Verse]\nStorm ahead", style="rock", title=FAILING)
    told = await walk.privately("Refused for a reason that is known", call)
    await walk.form("Change the words…, of a song", await walk.press(told, "change:", walk.ben))


async def fail_for_key(walk: Walk) -> None:
    """See an order that nobody but the owner can help."""
    call = await walk.use(walk.ada, "cover", **await walk.track("Paper Boats"), style="disco")
    await walk.privately("Refused because of the bot's key", call)


async def stand_in_line(walk: Walk) -> None:
    """See orders that VidGo has no room for, and take them back."""
    calls = [
        await walk.use(walk.ben, "music generate", prompt="gulls and bells", title=title)
        for title in ("First Light", "Second Wind")
    ]
    for call, name in zip(calls, ("Next in line", "In line after another"), strict=True):
        asked = await call.reply(SECONDS)
        await walk.unpromised(asked)
        walk.message(name, asked)
    for call in calls:
        await walk.redrawn(await call.reply(SECONDS), "stop:", walk.ben)
    walk.message("Don't post, before it was ordered", await calls[0].reply(SECONDS))


async def lose(walk: Walk) -> None:
    """See an order of which nobody knows whether VidGo has it."""
    call = walk.orders[LOST] = await walk.use(walk.cleo, "music generate", prompt="deep water", title=LOST)
    asked = await call.reply(SECONDS)
    await walk.unpromised(asked)
    walk.message("An order that VidGo has not confirmed", asked)


async def wait(walk: Walk) -> None:
    """Order, and see how that is acknowledged."""
    for name, style in ((COVER, {}), (RESTYLE, {"style": "acoustic, slow"})):
        walk.orders[name] = await walk.use(walk.ada, "cover", **await walk.track("Harbour Lights"), **style)
    walk.message("A cover is waited for", await walk.orders[COVER].reply(SECONDS))
    walk.message("A new version is waited for", await walk.orders[RESTYLE].reply(SECONDS))
    words = {"prompt": "[Verse]\nLow tide, slow tide, carry me home", "style": "folk, warm"}
    for who, title in ((walk.ben, LATE), (walk.cleo, FAILING), (walk.cleo, UNWELCOME)):
        walk.orders[title] = await walk.use(who, "music generate", title=title, **words)
    walk.message("A song is waited for", await walk.orders[LATE].reply(SECONDS))


ORDERED = 5
"""How many orders that is."""


async def look_on(walk: Walk) -> None:
    """See what can be done while VidGo works."""
    await walk.answer("/music status", walk.ada, "music status")
    covered = await walk.orders[COVER].reply(SECONDS)
    await walk.told("Don't post, by somebody else", await walk.press(covered, "stop:", walk.ben))
    await (await walk.use(walk.ben, "music import", task_id=walk.song)).settled(SECONDS)
    joined = await (await walk.use(walk.ben, "cover")).reply(SECONDS)
    walk.message("A cover that somebody else waits for already", joined)
    await walk.redrawn(joined, "stop:", walk.ben)
    walk.message("Don't post, while VidGo works", joined)


async def wait_longer(walk: Walk) -> None:
    """See what is said of orders that take longer than most."""
    for title in (LATE, FAILING, UNWELCOME):
        await walk.late(await walk.orders[title].reply(SECONDS))
    walk.message("Longer than most", await walk.orders[LATE].reply(SECONDS))
    await walk.privately("An order that was never confirmed", walk.orders[LOST])


async def be_unwelcome(walk: Walk) -> None:
    """See a song that may not be posted any more where it was ordered."""
    call = walk.orders[UNWELCOME]
    await walk.privately("Done, where the bot may not post any more", call)
    asked = await call.reply(SECONDS)
    await walk.discord.wait_until(lambda: asked.content.startswith("-#"), SECONDS)
    walk.message("The same, as everybody reads it", asked)


async def fail_late(walk: Walk) -> None:
    """See an order that fails when its member can be told nothing privately any more."""
    asked = await walk.orders[FAILING].reply(SECONDS)
    post = await walk.channel.wait_for(lambda one: one.reference == asked.id, SECONDS)
    walk.message("Failed, after a quarter of an hour", post)


async def receive_song(walk: Walk) -> None:
    """See a song come late."""
    post = await walk.result(walk.orders[LATE])
    walk.message("A song that comes late", post)


async def receive_cover(walk: Walk) -> None:
    """See a cover come; what is made one after the other stands in the library in that order."""
    walk.message("A cover", await walk.result(walk.orders[COVER]))


async def receive(walk: Walk) -> None:
    """See what comes, and what it leads on to."""
    version = walk.posts["version"] = await walk.result(walk.orders[RESTYLE])
    walk.message("A new version in a style", version)
    walk.message("What is left of the acknowledgement", await walk.orders[COVER].reply(SECONDS))
    await walk.answer("A song that has its cover already", walk.ada, "cover", **await walk.track("Harbour Lights"))
    await walk.form("Other style…", await walk.press(version, "style:"))
    extend = await walk.form("Extend…", await walk.press(version, "lengthen:"))
    await walk.submit("A moment that is none", walk.ada, extend, at="the bridge")
    recording = walk.discord.post_as(walk.ada, walk.channel, "", {"Evening Walk.mp3": compose("Walk", seconds=2)})
    asked = await walk.discord.message_menu(walk.ada, recording, RECORDING_MENU)
    await walk.form("A recording of a member's own", asked)
    performed = await walk.discord.submit_modal(walk.ada, asked, {"style": "brass band"})
    walk.message("A new version of a recording", await walk.result(performed))
    await asking.keep_house(walk)


async def share(walk: Walk) -> None:
    """See what others can do with a post, and what not."""
    version = walk.posts["version"]
    await walk.told("Keep", await walk.press(version, "keep:", walk.ben))
    await walk.told("Remove, by somebody else", await walk.press(version, "remove:", walk.ben))
    await walk.redrawn(version, "like:", walk.ben)
    walk.message("A post that somebody likes", version)
    panel = await (await walk.use(walk.cleo, "coverbot settings")).reply(SECONDS)
    await walk.redrawn(panel, "settings:covers_of_others", walk.cleo)
    await walk.told("Cover, where others' posts may not be covered", await walk.press(version, "cover:", walk.ben))
    walk.guild.upload_limit = SMALL
    longer = await walk.use(walk.ben, "music extend", prompt="the tide turns")
    asked = await longer.reply(SECONDS)
    walk.message("A longer song is waited for", asked)
    post = await walk.channel.wait_for(lambda one: one.reference == asked.id, SECONDS)
    walk.message("A longer song, too large to be posted", post)


async def paint(walk: Walk) -> None:
    """See a cover that is artwork only."""
    post = await walk.result(await walk.use(walk.ada, "cover", **await walk.track("Paper Boats")))
    walk.message("New artwork, of which one chooses", post)
    await walk.redrawn(post, "picture:")
    walk.message("The other picture is chosen", post)
