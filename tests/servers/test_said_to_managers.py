"""What the managers of a server read, whole: the panel, its forms and its list of changes, and what was used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.discord.state.content import texts, walk_components
from tests.servers.test_server_settings import manager
from tests.tasks.room import open_room

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.discord import Call, Message

BRIEF = 30.0
MENUS, TEXT, LABEL = {3, 6, 8}, 10, 18
"""Types of components."""


def shown(message: Message) -> list[str]:
    """Return each text of a panel."""
    return [item["content"] for item in walk_components(message.components) if item["type"] == TEXT]


def changes(message: Message) -> list[str]:
    """Return what the list of changes says, without when."""
    head, *lines = shown(message)[-1].splitlines()
    assert head == "**Last changes**"
    return [line.partition(":R> ")[2] or line for line in lines]


async def test_the_panel_says_what_is_set_and_lists_each_change_with_who_made_it(tmp_path: Path) -> None:
    async with open_room(tmp_path, vidgo_seconds=BRIEF, DAILY_SONGS_PER_USER="5") as room:
        mia, fans = manager(room), room.guild.add_role("Fans")
        me = mia.member.mention
        panel = await (await mia.use("coverbot settings")).reply()
        assert panel.ephemeral
        assert shown(panel) == [
            "## Settings in this server",
            "**Channels** in which songs may be ordered",
            "**Limits** of a member for a day: ∞ covers, 5 new songs",
            "**Limits by role** (covers / new songs)",
            "**Covers of others' posts**: may members cover a song that somebody else has posted?",
            "**Recordings**: may members have recordings covered that they upload?",
            "**Mentions**: does a finished song notify whoever asked for it?",
            "**Language** of what everybody can read",
            "**Message in /help**: nothing",
            "**Last changes**\nnothing",
        ]
        menus = [item for item in walk_components(panel.components) if item["type"] in MENUS]
        assert [menu.get("placeholder") for menu in menus] == ["Everywhere", "Choose a role to set its limits", None]
        assert [option["label"] for option in menus[2]["options"] if option.get("default")] == [
            "Each member's own language"
        ]
        assert [button.label for button in panel.buttons] == ["Change", "Yes", "Yes", "Yes", "Change"]

        async def press(name: str) -> Call:
            return await room.discord.press(mia.member, panel, f"settings:{name}")

        async def form(call: Call, title: str, *fields: tuple[str, str], **typed: str) -> None:
            await call.acknowledged()
            assert call.modal is not None
            assert call.modal["title"] == title
            labels = [item for item in walk_components(call.modal["components"]) if item["type"] == LABEL]
            assert [(one["label"], one["description"]) for one in labels] == list(fields)
            await room.discord.submit_modal(mia.member, call, typed)

        async def says(*newest: str) -> None:
            await room.until(lambda: changes(panel)[: len(newest)] == list(newest), str(newest))

        numbers = "0 allows none, -1 as many as wanted. Empty: as it is otherwise."
        limits = (("Covers a day", numbers), ("New songs a day", numbers))
        await form(await press("limits"), "Daily limits", *limits, covers="0", songs="-1")
        await says(f"{me} **Limits**: · / · → 0 / ∞")
        assert "**Limits** of a member for a day: 0 covers, ∞ new songs" in shown(panel)
        await form(await press("limits"), "Daily limits", *limits, covers="", songs="")
        await says(f"{me} **Limits**: 0 / ∞ → · / ·")
        assert "**Limits** of a member for a day: ∞ covers, 5 new songs" in shown(panel)
        call = await room.discord.select(mia.member, panel, "settings:role", [fans])
        await form(call, "Daily limits for a role", *limits, covers="2", songs="")
        await says(f"{me} **Limits by role**: · → <@&{fans.id}> 2 / ·")
        assert f"**Limits by role** (covers / new songs)\n<@&{fans.id}>: 2 / ·" in shown(panel)
        hint = "Shown first in /help, for example your rules. Empty: nothing."
        await form(await press("welcome"), "Message in /help", ("Text", hint), text="Be kind.\nBe brief.")
        await says(f"{me} **Message in /help**: · → Be kind. Be brief.")
        assert "**Message in /help**: Be kind.\nBe brief." in shown(panel)
        await form(await press("welcome"), "Message in /help", ("Text", hint), text=" ")
        await says(f"{me} **Message in /help**: Be kind. Be brief. → ·")
        for name, words in (
            ("recordings:0", "**Recordings**: ✓ → ✗"),
            ("covers_of_others:0", "**Covers of others' posts**: ✓ → ✗"),
            ("mentions:0", "**Mentions**: ✓ → ✗"),
        ):
            await press(name)
            await says(f"{me} {words}")
        assert [button.label for button in panel.buttons] == ["Change", "No", "No", "No", "Change"]
        await room.discord.select(mia.member, panel, "settings:language", ["ja"])
        await says(f"{me} **Language**: · → ja")
        await room.discord.select(mia.member, panel, "settings:language", ["own"])
        await says(f"{me} **Language**: ja → ·")
        await room.discord.select(mia.member, panel, "settings:channels", [mia.channel])
        await says(f"{me} **Channels**: · → <#{mia.channel.id}>", f"{me} **Language**: ja → ·")
        assert len(changes(panel)) == 5
        # Whoever is forgotten is nobody, who has no mention.
        question = await (await mia.use("music forget")).reply()
        await room.discord.press(mia.member, question, "Forget everything")
        await room.until(lambda: "I have forgotten you" in question.content, "forgetting")
        panel = await (await mia.use("coverbot settings")).reply()
        assert changes(panel)[0] == f"**Channels**: · → <#{mia.channel.id}>"


async def test_usage_says_what_its_numbers_are_and_how_much_of_the_servers_limit_is_used(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"DAILY_ORDERS_PER_SERVER": "9"}
    async with open_room(tmp_path, vidgo_seconds=BRIEF, **settings) as room:
        mia = manager(room)
        empty = await (await mia.use("coverbot usage")).reply()
        assert [(one["name"], one["value"]) for one in empty.embeds[0]["fields"]] == [
            ("Today, 0 of 9", "nothing"),
            ("30 days", "nothing"),
        ]
        await (await mia.use("music generate", prompt="the sea")).reply()
        await room.pass_until(lambda: room.tasks("finished") or None)
        report = await (await mia.use("coverbot usage")).reply()
        assert report.ephemeral
        [embed] = report.embeds
        assert embed["title"] == "What was ordered here"
        assert [field["name"] for field in embed["fields"]] == ["Today, 1 of 9", "30 days"]
        assert embed["footer"]["text"].startswith(
            "covers / new songs / failed / credits, as far as they are known; what failed counts against no limit"
        )
        assert "Today, 1 of 9" in texts(report.embeds)
