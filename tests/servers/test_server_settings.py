"""What the managers of a server set: effective at once, noted, and by nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.exc import OperationalError

from sandbox.discord.state.content import texts, walk_components
from sandbox.discord.state.permissions import MEMBER_PERMISSIONS
from storage.servers import settings as servers
from tests.end_to_end.world import Person
from tests.tasks.room import open_room

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.discord import Call, Message
    from storage.database import Transaction
    from tests.tasks.room import Room

BRIEF = 30.0


def manager(room: Room, name: str = "mia") -> Person:
    """Let somebody join who manages the server."""
    person = room.person(name)
    member = room.guild.add_member(f"{name}-manages", permissions=MEMBER_PERMISSIONS | {"manage_guild"})
    return Person(room, member, person.channel)


async def open_panel(person: Person) -> Message:
    panel = await (await person.use("coverbot settings")).reply()
    assert panel.ephemeral
    return panel


def shown(message: Message) -> str:
    """Return all that a panel says."""
    return "\n".join(texts(message.components))


async def press(room: Room, person: Person, panel: Message, name: str) -> Call:
    """Press a button of the panel by its custom id."""
    return await room.discord.press(person.member, panel, f"settings:{name}")


async def fill(room: Room, person: Person, call: Call, **typed: str) -> Call:
    """Fill in the form that a call was answered with."""
    await call.acknowledged()
    return await room.discord.submit_modal(person.member, call, typed)


async def changed(room: Room, panel: Message, words: str) -> None:
    await room.until(lambda: words in shown(panel), words)


async def delivered(room: Room, count: int) -> None:
    await room.pass_until(
        lambda: len(room.rows("SELECT 1 FROM notifications WHERE state = 'delivered'")) == count or None
    )


async def test_limits_are_set_for_the_server_and_by_role(tmp_path: Path) -> None:
    async with open_room(tmp_path, vidgo_seconds=BRIEF, DAILY_SONGS_PER_USER="5") as room:
        mia, ada, bob = manager(room), room.person("ada"), room.person("bob")
        fans = room.guild.add_role("Fans")
        room.discord.give_role(bob.member, fans)
        panel = await open_panel(mia)
        assert "5 new songs" in shown(panel)
        await fill(room, mia, await press(room, mia, panel, "limits"), songs="1")
        await changed(room, panel, "1 new songs")
        assert f"<@{mia.member.id}> **Limits**: · / · → · / 1" in shown(panel)
        assert (await (await ada.use("music generate", prompt="the sea")).reply()).content.endswith(
            "0 of 1 songs left today."
        )
        assert "is reached" in await ada.refusal(await ada.use("music generate", prompt="the shore"))
        # A form shows what is set, and survives a restart of the bot.
        opened = await press(room, mia, panel, "limits")
        await opened.acknowledged()
        assert opened.modal is not None
        assert [item["component"].get("value") for item in opened.modal["components"]] == [None, "1"]
        chosen = await room.discord.select(mia.member, panel, "settings:role", [fans])
        await chosen.acknowledged()
        await room.bot.stop()
        await room.bot.start()
        await room.discord.submit_modal(mia.member, chosen, {"songs": "-1", "covers": "0"})
        await changed(room, panel, f"<@&{fans.id}>: 0 / ∞")
        for words in ("the sea at dawn", "the sea at noon"):
            assert "today" not in (await (await bob.use("music generate", prompt=words)).reply()).content
        # What is no number changes nothing.
        refused = await fill(room, mia, await press(room, mia, panel, "limits"), songs="many")
        assert "“many” is not a limit" in (await refused.reply()).content
        assert "1 new songs" in shown(panel)
        # A role is taken back by leaving both empty.
        call = await room.discord.select(mia.member, panel, "settings:role", [fans])
        await fill(room, mia, call, songs="", covers="")
        await changed(room, panel, f"**Limits by role**: <@&{fans.id}> 0 / ∞ → ·")
        assert [row["setting"] for row in room.rows("SELECT setting FROM changes ORDER BY id")] == [
            "limits",
            "roles",
            "roles",
        ]
        await delivered(room, 3)


async def test_limits_of_roles_that_are_gone_or_never_were_go(tmp_path: Path) -> None:
    async with open_room(tmp_path, vidgo_seconds=BRIEF) as room:
        mia = manager(room)
        gone, fans = room.guild.add_role("Gone"), room.guild.add_role("Fans")
        panel = await open_panel(mia)
        call = await room.discord.select(mia.member, panel, "settings:role", [gone])
        await fill(room, mia, call, songs="1")
        await changed(room, panel, f"<@&{gone.id}>: · / 1")
        room.guild.roles.remove(gone)
        await room.bot.stop()
        await room.bot.start()
        call = await room.discord.select(mia.member, panel, "settings:role", [fans])
        await fill(room, mia, call, songs="2")
        await changed(room, panel, f"<@&{gone.id}> · / 1 → <@&{fans.id}> · / 2")
        call = await room.discord.select(mia.member, panel, "settings:role", [fans])
        await call.acknowledged()
        assert call.modal is not None
        call.modal["custom_id"] = "settings:role:99999999999999999999"
        await (await room.discord.submit_modal(mia.member, call, {"songs": "3", "covers": ""})).settled(20)
        [row] = room.rows("SELECT roles FROM servers")
        assert row["roles"] == f'{{"{fans.id}": [null, 2]}}'
        for number in range(20):
            role = room.guild.add_role(f"Crew {number}")
            call = await room.discord.select(mia.member, panel, "settings:role", [role])
            call = await fill(room, mia, call, songs="1")
            await call.settled(20)
        word = "At most 20 roles can have limits of their own. Clear those of another role first."
        assert (await call.reply()).content == word


async def test_songs_are_ordered_only_where_the_managers_want_them(tmp_path: Path) -> None:
    async with open_room(tmp_path, vidgo_seconds=BRIEF) as room:
        mia, ada = manager(room), room.person("ada")
        bob = room.person("bob")
        await ada.imports("Sea Song")
        panel = await open_panel(mia)
        await room.discord.select(mia.member, panel, "settings:channels", [bob.channel])
        await changed(room, panel, f"· → <#{bob.channel.id}>")
        assert await ada.refusal(await ada.cover()) == (
            f"Songs are made in other channels of this server: <#{bob.channel.id}>. No credits were used."
        )
        in_thread = Person(room, ada.member, room.thread(bob.channel, "songs"))
        await (await in_thread.cover()).reply()
        # What concerns only the caller goes on everywhere.
        assert "Sea Song" in str((await (await ada.use("music library")).reply()).components)
        await room.discord.select(mia.member, panel, "settings:channels", [])
        await changed(room, panel, f"<#{bob.channel.id}> → ·")
        await (await ada.use("music generate", prompt="the shore")).reply()
        await delivered(room, 2)


async def test_channels_that_are_gone_are_named_to_nobody(tmp_path: Path) -> None:
    async with open_room(tmp_path, vidgo_seconds=BRIEF) as room:
        mia, ada = manager(room), room.person("ada")
        await ada.imports("Sea Song")
        panel = await open_panel(mia)
        first, second = (room.guild.add_channel(name) for name in ("first", "second"))
        await room.discord.select(mia.member, panel, "settings:channels", [first, second])
        await changed(room, panel, f"· → <#{first.id}> <#{second.id}>")
        room.discord.delete_channel(first)
        assert await ada.refusal(await ada.cover()) == (
            f"Songs are made in other channels of this server: <#{second.id}>. No credits were used."
        )
        room.discord.delete_channel(second)
        word = await ada.refusal(await ada.cover())
        assert word.startswith(
            "The channels in which songs are made in this server are gone. Ask somebody who manages it"
        )
        panel = await open_panel(mia)
        assert menu(panel, "channels") == ("Nowhere: the channels that were chosen are gone", [])
        await room.discord.select(mia.member, panel, "settings:channels", [])
        await changed(room, panel, f"<#{first.id}> <#{second.id}> → ·")
        assert menu(await open_panel(mia), "channels") == ("Everywhere", [])
        await (await ada.cover()).reply()


def menu(panel: Message, name: str) -> tuple[str, list[str]]:
    """Return what a menu of the panel shows where nothing is chosen, and the ids of what is."""
    for part in walk_components(panel.components):
        if part.get("custom_id") == f"settings:{name}":
            return part["placeholder"], [one["id"] for one in part.get("default_values") or ()]
    raise AssertionError(name)


async def test_the_public_language_the_mention_and_others_posts_are_set(tmp_path: Path) -> None:
    async with open_room(tmp_path, vidgo_seconds=BRIEF) as room:
        mia, ada, bob = manager(room), room.person("ada"), room.person("bob")
        await ada.imports("Sea Song")
        panel = await open_panel(mia)
        await room.discord.select(mia.member, panel, "settings:language", ["de"])
        await changed(room, panel, "**Language**: · → de")
        await press(room, mia, panel, "mentions:0")
        await changed(room, panel, "**Mentions**: ✓ → ✗")
        await press(room, mia, panel, "covers_of_others:0")
        await changed(room, panel, "**Covers of others' posts**: ✓ → ✗")
        call = await ada.use("music generate", prompt="the shore")
        assert "usually takes" not in (await call.reply()).content
        await delivered(room, 1)
        post = await ada.result(call)
        assert f"<@{ada.member.id}> hier ist" in post.content
        assert post.pings == set()
        pressed = await room.discord.press(bob.member, post, next(button.label or "" for button in post.buttons))
        told = await pressed.reply()
        # What only one person sees is in their own language.
        assert told.content == (
            "In this server only whoever asked for a song can cover its post. No credits were used."
        )
        await (await room.discord.press(ada.member, post, next(button.label or "" for button in post.buttons))).reply()
        await delivered(room, 2)


async def test_two_managers_who_see_the_same_and_press_the_same_switch_mean_the_same(tmp_path: Path) -> None:
    async with open_room(tmp_path, vidgo_seconds=BRIEF) as room:
        mia, ole = manager(room), manager(room, "ole")
        panels = [await open_panel(one) for one in (mia, ole)]
        for one, panel in zip((mia, ole), panels, strict=True):
            await (await press(room, one, panel, "mentions:0")).settled(20)
        assert [row["mentions"] for row in room.rows("SELECT mentions FROM servers")] == [0]
        assert [row["after"] for row in room.rows("SELECT after FROM changes")] == ["✗"]
        await changed(room, panels[1], "**Mentions**: ✓ → ✗")
        await press(room, ole, panels[1], "mentions:1")
        await changed(room, panels[1], "**Mentions**: ✗ → ✓")


async def test_what_no_menu_of_the_panel_offers_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async with open_room(tmp_path, vidgo_seconds=BRIEF) as room:
        mia = manager(room)
        panel = await open_panel(mia)
        await room.discord.select(mia.member, panel, "settings:language", ["de"])
        await changed(room, panel, "· → de")
        forged: list[tuple[str, list[object]]] = [
            ("channels", ["everywhere"]),
            ("channels", [str(1 << 63)]),
            ("channels", [{"id": "1"}]),
            ("channels", ["٣"]),
            ("language", ["xx"]),
            ("language", []),
            ("role", []),
            ("role", ["admins"]),
            ("role", ["0"]),
        ]
        for name, values in forged:
            call = await room.discord.press_custom_id(mia.member, panel, f"settings:{name}", values=values)
            assert (await call.reply()).content == "This button belongs to something I no longer know."
        assert [(row["language"], row["channels"]) for row in room.rows("SELECT * FROM servers")] == [("de", "[]")]
        assert len(room.rows("SELECT 1 FROM changes")) == 1


async def test_nobody_else_opens_or_changes_the_panel(tmp_path: Path) -> None:
    async with open_room(tmp_path, vidgo_seconds=BRIEF) as room:
        mia, ada = manager(room), room.person("ada")
        denied = "Only members with the permission Manage Server can do that."
        for command in ("settings", "usage"):
            assert (await (await ada.use(f"coverbot {command}")).reply()).content == denied
        panel = await open_panel(mia)
        mia.member.permissions = MEMBER_PERMISSIONS
        for name in ("mentions:0", "limits", "welcome"):
            assert (await (await press(room, mia, panel, name)).reply()).content == denied
        assert room.rows("SELECT * FROM servers") == []
        assert room.rows("SELECT * FROM changes") == []


async def test_help_says_what_there_is_and_what_is_left(tmp_path: Path) -> None:
    support = "https://support.example/coverbot"
    settings: dict[str, Any] = {"DAILY_SONGS_PER_USER": "2", "SUPPORT_URL": support}
    async with open_room(tmp_path, vidgo_seconds=BRIEF, **settings) as room:
        mia, ada = manager(room), room.person("ada")
        panel = await open_panel(mia)
        await fill(room, mia, await press(room, mia, panel, "welcome"), text="Be *kind*.")
        await changed(room, panel, "Be \\*kind\\*.")
        await (await ada.use("music generate", prompt="the sea")).reply()
        for command in ("help", "coverbot about"):
            page = await (await ada.use(command)).reply()
            assert page.ephemeral
            said = "\n".join(texts(page.embeds))
            ids = {one["name"]: one["id"] for one in room.discord.commands.scope(None)}
            assert f"</cover:{ids['cover']}>" in said
            assert f"</music generate:{ids['music']}>" in said
            assert "1 of 2 songs left today." in said
            assert "As many covers as you like." in said
            assert "Be \\*kind\\*." in said
            assert [(button.label, button.url) for button in page.buttons] == [("Get help", support)]
        # Who needs help finds it under what went wrong, too.
        refused = await (await ada.use("cover", track="nothing of the kind")).reply()
        assert [button.url for button in refused.buttons] == [support]
        stale = await (await room.discord.press_custom_id(ada.member, refused, "of another version")).reply()
        assert [button.url for button in stale.buttons] == [support]
        await delivered(room, 1)


async def test_usage_shows_who_ordered_how_much(tmp_path: Path) -> None:
    async with open_room(tmp_path, vidgo_seconds=BRIEF) as room:
        room.vidgo.tells_credits = ("finished",)
        mia, ada, bob = manager(room), room.person("ada"), room.person("bob")
        song = await ada.imports("Sea Song")
        await (await ada.cover(song.id)).reply()
        for number in range(2):
            await (await bob.use("music generate", prompt=f"the sea, number {number}")).reply()
        await delivered(room, 3)
        room.advance(86400)
        room.vidgo.fault("submit", "status", status=400, body={"error": {"message": "no"}})
        await bob.failure(await bob.use("music generate", prompt="something rude"))
        await (await ada.use("music generate", prompt="the shore")).reply()
        report = await (await mia.use("coverbot usage")).reply()
        assert report.ephemeral
        [embed] = report.embeds
        today, month = embed["fields"]
        assert today["name"] == "Today"
        assert today["value"].splitlines() == [
            f"<@{ada.member.id}>: 0 / 1 / 0 / ?",  # VidGo still works on it
            f"<@{bob.member.id}>: 0 / 0 / 1 / ?",
        ]
        assert month["value"].splitlines() == [
            f"<@{ada.member.id}>: 1 / 1 / 0 / 1",
            f"<@{bob.member.id}>: 0 / 2 / 1 / 40",
        ]
        assert "it is not known what that cost" in embed["footer"]["text"]
        assert embed["description"].splitlines()[1] == "3 │" + " " * 28 + "█ "
        await delivered(room, 4)


@pytest.mark.parametrize("away", [False, True])
async def test_a_server_that_the_bot_has_left_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, away: bool
) -> None:
    """Also where the database is away in that moment, for nobody says it again."""
    faults = [OperationalError("", None, OSError("the server is away"))] if away else []

    async def once(transaction: Transaction, guild_id: int) -> None:
        if faults:
            raise faults.pop()
        await remove(transaction, guild_id)

    remove = servers.remove
    monkeypatch.setattr(servers, "remove", once)
    async with open_room(tmp_path, vidgo_seconds=BRIEF) as room:
        mia = manager(room)
        panel = await open_panel(mia)
        await press(room, mia, panel, "mentions:0")
        await changed(room, panel, "✓ → ✗")
        room.discord.remove_guild(room.guild)
        await room.pass_until(lambda: not room.rows("SELECT 1 FROM servers UNION ALL SELECT 1 FROM changes"))
        assert faults == []
