"""What members read of a server's limits and of the bot, whole: `/help` and what an order is refused with."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.servers.test_server_settings import changed, fill, manager, open_panel, press
from tests.tasks.room import open_room

if TYPE_CHECKING:
    from pathlib import Path

    from tests.end_to_end.world import Person

BRIEF = 30.0


HELP = """\
1. Make a song with /music generate, or import one that you made with VidGo: /music import.
2. Type /cover and choose the song. What is posted is new artwork for it or a new version; each post says which.
3. With a style, such as “acoustic folk”, /cover makes a new version in it.

**Commands**
/cover covers a song, without a choice the newest, or a recording of yours
/music generate makes a new song
/music extend continues a song
/music import imports a song by its VidGo id
/music library shows your songs and covers
/music status shows what you are waiting for
/music forget forgets a song, or everything about you
**Cover this track** in a message's menu, under Apps: covers its song, or its audio file in a style that you type

**Buttons**
**Cover** under a song: covers it for you
**Other style…** under a song: makes a new version in a style that you type
**New version…** under new artwork: the same
**Extend…** under a song: asks how it goes on, and continues it
**Again** under a song: makes another one of the same words
**Version 2** under a song: posts the other version that was made
**Like** under a post: gives it a heart, or takes yours back
**Keep** under a song: takes it into your library
**Use picture 1** under two pictures: gives the song that one
**Post again** where you have a cover already: posts it once more
**Try again** where nothing came of an order: orders the same once more
**Change the words…** where nothing came of an order: opens the form with your words
**Don't post** while you wait: nothing is posted
**Remove** under a post of yours: deletes it
**Download** where a file is too large to be posted: fetches it"""


async def test_help_says_first_what_the_server_says_and_then_all_that_a_member_has_to_know(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"DAILY_SONGS_PER_USER": "5", "DAILY_COVERS_PER_USER": "0"}
    async with open_room(tmp_path, vidgo_seconds=BRIEF, **settings) as room:
        mia, bob = manager(room), room.person("bob")
        panel = await open_panel(mia)
        await fill(room, mia, await press(room, mia, panel, "welcome"), text="Be kind.\n\nBe brief.")
        await changed(room, panel, "Be brief.")
        fans = room.guild.add_role("Fans")
        room.discord.give_role(bob.member, fans)
        call = await room.discord.select(mia.member, panel, "settings:role", [fans])
        await fill(room, mia, call, covers="2", songs="-1")
        await changed(room, panel, f"<@&{fans.id}>: 2 / ∞")

        async def helped(person: Person) -> list[Any]:
            call = await person.use("help")
            reply = await call.reply()
            assert reply.ephemeral
            assert reply.content == ""
            return reply.embeds

        welcome, page = await helped(mia)
        assert (welcome["title"], welcome["description"]) == ("This server says", "Be kind.\nBe brief.")
        assert page["title"] == "A cover in three steps"
        assert re.sub(r"<(/[a-z ]+):\d+>", r"\1", page["description"]) == HELP
        limits, privacy = page["fields"]
        assert limits["name"] == "Your limits"
        first, *others = limits["value"].splitlines()
        assert [first, others[0], others[2]] == [
            "0 of 0 covers left today.",
            "5 of 5 songs left today.",
            "A cover with a style counts as a song. What fails is given back.",
        ]
        assert re.fullmatch(r"Limits reset <t:\d+:R>\.", others[1])
        assert privacy["name"] == "Privacy"
        assert re.sub(r"<(/[a-z ]+):\d+>", r"\1", privacy["value"]) == (
            "I read no messages. What I keep about you is your songs and what you asked for, under your Discord id; "
            "/music forget removes it. VidGo gets your words, but not who you are."
        )
        _, page = await helped(bob)
        assert page["fields"][0]["value"].splitlines()[:2] == [
            "2 of 2 covers left today.",
            "As many songs as you like.",
        ]
        # What is not allowed at all will not be tomorrow.
        await fill(room, mia, await press(room, mia, panel, "limits"), songs="0")
        await changed(room, panel, "0 new songs")
        _, page = await helped(mia)
        assert "reset" not in page["fields"][0]["value"]
        assert await mia.refusal(await mia.use("music generate", prompt="the sea")) == (
            "You may not order new songs in this server. No credits were used."
        )
