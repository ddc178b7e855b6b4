"""A real discord.py bot answers commands, buttons, menus and autocompletion through the stand-in."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import discord
import pytest

from sandbox.discord import DiscordStandIn, NoSuchComponentError, UnknownCommandError
from sandbox.discord.people import Choice
from sandbox.discord.state import model
from tests.patience import SLOWER
from tests.sandbox.discord_bot import Bot, Remove, furnish, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sandbox.discord import Channel, Guild, Member

    Interaction = discord.Interaction[Bot]


class Scene:
    """A guild, its channel, a member, and a bot that is ready."""

    def __init__(self, standin: DiscordStandIn, guild: Guild, bot: Bot) -> None:
        self.standin = standin
        self.guild = guild
        self.bot = bot
        self.channel: Channel = guild.channels[0]
        self.ada: Member = next(member for member in guild.members.values() if member.name == "ada")

    async def act(self, how: Any) -> Any:
        self.bot.acts["now"] = how
        return await self.standin.slash(self.ada, self.channel, "act", how="now")


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with DiscordStandIn() as standin:
        guild = furnish(standin)
        async with running(standin) as bot:
            yield Scene(standin, guild, bot)
        assert standin.violations == []
        assert standin.judge is None or standin.judged > 0
        for record in standin.requests:
            if standin.judge is not None and record.status is not None and record.answer is not None:
                wrong = standin.judge.answer_error(record.method, record.template, record.status, record.answer)
                assert wrong is None, (record.method, record.path, wrong)


async def test_deferred_answer_is_thinking_until_edited(scene: Scene) -> None:
    proceed = asyncio.Event()

    async def how(interaction: Interaction) -> None:
        answer = await interaction.response.defer(thinking=True)
        assert answer is not None
        assert answer.is_thinking()
        await proceed.wait()
        await interaction.edit_original_response(content="one")
        await interaction.edit_original_response(content="two")

    call = await scene.act(how)
    assert 0 < await call.acknowledged(5) < 3000
    assert (call.ack_type, call.ephemeral, call.thinking) == (5, False, True)
    proceed.set()
    reply = await call.reply(5)
    await scene.channel.wait_for(lambda message: message.content == "two", 5)
    assert reply is call.original
    assert reply.edits == ["one"]
    assert not call.thinking
    assert scene.channel.messages == [reply]
    assert reply.author_id == scene.standin.bot_id
    await call.settled(1)


async def test_immediate_ephemeral_answer_is_for_its_user_alone(scene: Scene) -> None:
    call = await scene.standin.slash(scene.ada, scene.channel, "music mode", mode="fast")
    reply = await call.reply(5)
    assert (reply.content, reply.ephemeral, call.ephemeral) == ("fast None", True, True)
    assert scene.channel.messages == []
    assert scene.channel.ephemerals == [reply]
    with pytest.raises(discord.NotFound) as refused:
        await scene.bot.text_channel(scene.channel.id).fetch_message(reply.id)
    assert refused.value.code == 10008


async def test_options_arrive_with_the_types_of_the_synced_definition(scene: Scene) -> None:
    call = await scene.standin.slash(
        scene.ada, scene.channel, "music import", task_id="X", count=3, loud=True, friend=scene.ada
    )
    assert (await call.reply(5)).content == f"X 3 True {scene.ada.id}"


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("sing", {}),
        ("music", {}),
        ("music sing", {}),
        ("music import", {}),
        ("music import", {"task_id": "X", "colour": "red"}),
        ("music import", {"task_id": "X", "count": 6}),
        ("music import", {"task_id": 5}),
        ("music mode", {"mode": "slow"}),
    ],
)
async def test_what_the_client_would_not_send_is_an_error(scene: Scene, path: str, options: dict[str, Any]) -> None:
    with pytest.raises(UnknownCommandError):
        await scene.standin.slash(scene.ada, scene.channel, path, **options)


async def test_first_followup_takes_the_place_and_visibility_of_the_deferred(scene: Scene) -> None:
    async def how(interaction: Interaction) -> None:
        await interaction.response.defer(thinking=True)
        first = await interaction.followup.send("first", ephemeral=True, wait=True)
        original = await interaction.original_response()
        assert first.id == original.id
        await interaction.followup.send("second", ephemeral=True)

    call = await scene.act(how)
    await scene.standin.wait_until(lambda: len(call.followups) == 1, 5)
    assert call.original is not None
    assert (call.original.content, call.original.ephemeral) == ("first", False)
    assert [(message.content, message.ephemeral) for message in call.followups] == [("second", True)]
    assert scene.bot.failures == []


async def test_deleting_the_deferred_first_turns_a_public_wait_into_a_private_word(scene: Scene) -> None:
    async def how(interaction: Interaction) -> None:
        await interaction.response.defer(thinking=True)
        await interaction.delete_original_response()
        await interaction.followup.send("between us", ephemeral=True)

    call = await scene.act(how)
    reply = await call.reply(5)
    assert (reply.content, reply.ephemeral) == ("between us", True)
    assert call.deleted_original
    assert scene.channel.messages == []
    await call.settled(1)


async def test_files_through_the_token_and_edits_of_followups(scene: Scene) -> None:
    async def how(interaction: Interaction) -> None:
        await interaction.response.send_message("hold", file=discord.File(io.BytesIO(b"abc"), "a.mp3"))
        follow = await interaction.followup.send("more", file=discord.File(io.BytesIO(b"defg"), "b c.mp3"), wait=True)
        await follow.edit(content="less", attachments=[])
        await interaction.edit_original_response(
            attachments=[discord.File(io.BytesIO(b"new"), "new.ogg", description="d")]
        )
        assert (await interaction.followup.fetch_message(follow.id)).content == "less"
        await follow.delete()

    call = await scene.act(how)
    await scene.standin.wait_until(lambda: bool(call.followups) and call.followups[0].deleted, 5)
    assert call.followups[0].edits == ["more"]
    assert call.original is not None
    [attachment] = call.original.attachments
    assert (attachment.filename, attachment.data, attachment.content_type) == ("new.ogg", b"new", "audio/ogg")
    assert scene.bot.failures == []


async def test_autocompletion_knows_what_was_filled_in_before(scene: Scene) -> None:
    choices = await scene.standin.autocomplete(scene.ada, scene.channel, "music mode", "track", "har", mode="fast")
    assert choices == [
        Choice("Harbour Lights (fast)", "Harbour Lights"),
        Choice("Hard Rain (fast)", "Hard Rain"),
    ]
    with pytest.raises(UnknownCommandError):
        await scene.standin.autocomplete(scene.ada, scene.channel, "music import", "task_id", "x")


async def test_dynamic_buttons_links_and_forged_ids(scene: Scene) -> None:
    view = discord.ui.View(timeout=None)
    view.add_item(Remove(7))
    view.add_item(discord.ui.Button(label="Listen", url="https://example.com/song"))
    view.add_item(discord.ui.Button(label="Off", custom_id="off", disabled=True))
    await scene.bot.text_channel(scene.channel.id).send("song", view=view)
    [message] = scene.channel.messages
    assert [(button.label, button.custom_id, button.url, button.disabled) for button in message.buttons] == [
        ("Remove", "remove:7", None, False),
        ("Listen", None, "https://example.com/song", False),
        ("Off", "off", None, True),
    ]
    for key in ("Remove", "remove:7"):
        call = await scene.standin.press(scene.ada, message, key)
        reply = await call.reply(5)
        assert (reply.content, reply.ephemeral) == ("removed 7", True)
    forged = await scene.standin.press_custom_id(scene.ada, message, "remove:999")
    assert (await forged.reply(5)).content == "removed 999"
    for key in ("Listen", "Off", "Nothing"):
        with pytest.raises(NoSuchComponentError):
            await scene.standin.press(scene.ada, message, key)


async def test_a_pressed_button_can_update_its_message(scene: Scene) -> None:
    class Once(discord.ui.View):
        @discord.ui.button(label="Don't post")
        async def end(self, interaction: discord.Interaction, _button: discord.ui.Button[Any]) -> None:
            await interaction.response.edit_message(content="stopped", view=None)

        @discord.ui.select(options=[discord.SelectOption(label="A", value="a")], custom_id="pick")
        async def pick(self, interaction: discord.Interaction, chosen: discord.ui.Select[Any]) -> None:
            await interaction.response.defer()
            await interaction.edit_original_response(content=f"picked {chosen.values[0]}")

    await scene.bot.text_channel(scene.channel.id).send("waiting", view=Once())
    [message] = scene.channel.messages
    call = await scene.standin.select(scene.ada, message, "pick", ["a"])
    assert await call.reply(5) is message
    assert (message.content, call.ack_type) == ("picked a", 6)
    call = await scene.standin.press(scene.ada, message, "Don't post")
    assert await call.reply(5) is message
    assert (message.content, message.edits, call.ack_type) == ("stopped", ["waiting", "picked a"], 7)
    assert message.buttons == []


async def test_modal_is_filled_in(scene: Scene) -> None:
    class Words(discord.ui.Modal, title="Words"):
        text: discord.ui.TextInput[Words] = discord.ui.TextInput(label="Text", custom_id="text")

        async def on_submit(self, interaction: discord.Interaction) -> None:
            await interaction.response.send_message(f"you said {self.text.value}")

    async def how(interaction: Interaction) -> None:
        await interaction.response.send_modal(Words())

    call = await scene.act(how)
    await call.acknowledged(5)
    assert call.ack_type == 9
    submitted = await scene.standin.submit_modal(scene.ada, call, {"text": "hello"})
    assert (await submitted.reply(5)).content == "you said hello"


async def test_message_menu_carries_the_message(scene: Scene) -> None:
    message = scene.standin.post_as(scene.ada, scene.channel, "listen to this")
    call = await scene.standin.message_menu(scene.ada, message, "Cover this track")
    assert (await call.reply(5)).content == f"covering {message.id}"
    [seen] = scene.bot.menus
    assert (seen.content, seen.author.id) == ("listen to this", scene.ada.id)


async def test_interaction_tells_permissions_locale_and_limit(scene: Scene) -> None:
    seen: list[Any] = []

    async def how(interaction: Interaction) -> None:
        assert interaction.guild is not None
        seen.extend([interaction.app_permissions, str(interaction.locale), str(interaction.guild_locale)])
        seen.extend([interaction.filesize_limit, interaction.permissions, interaction.context.guild])
        await interaction.response.send_message("ok")

    scene.guild.upload_limit = 3 * 2**20
    scene.channel.bot_permissions = {"view_channel", "send_messages"}
    ben = next(member for member in scene.guild.members.values() if member.name == "ben")
    scene.bot.acts["now"] = how
    call = await scene.standin.slash(ben, scene.channel, "act", how="now")
    await call.reply(5)
    assert seen[0] == discord.Permissions(view_channel=True, send_messages=True)
    assert seen[1:4] == ["de", "en-US", 3 * 2**20]
    assert seen[4].send_messages
    assert not seen[4].manage_guild
    assert seen[5]
    channel = scene.bot.text_channel(scene.channel.id)
    assert channel.permissions_for(channel.guild.me) == seen[0]


async def test_second_answer_late_answer_and_expired_token(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[int] = []
    late, expired = asyncio.Event(), asyncio.Event()

    async def twice(interaction: Interaction) -> None:
        await interaction.response.send_message("one")
        interaction.response._response_type = None
        try:
            await interaction.response.send_message("two")
        except discord.HTTPException as error:
            codes.append(error.code)

    async def too_late(interaction: Interaction) -> None:
        await late.wait()
        await interaction.response.send_message("hello?")

    async def after_a_while(interaction: Interaction) -> None:
        await interaction.response.defer(thinking=True)
        await expired.wait()
        await interaction.followup.send("still there?")

    call = await scene.act(twice)
    await call.settled(5)
    slow = await scene.act(too_late)
    monkeypatch.setattr(model, "ANSWER_SECONDS", model.ANSWER_SECONDS / SLOWER)
    scene.standin.advance(3.1)
    late.set()
    await scene.bot.failed(1)
    waiting = await scene.act(after_a_while)
    await waiting.acknowledged(5)
    scene.standin.advance(15 * 60)
    expired.set()
    await scene.standin.wait_until(lambda: len(scene.standin.refusals) == 3, 5)
    await scene.bot.failed(2)
    assert codes == [40060]
    assert [refusal.code for refusal in scene.standin.refusals] == [40060, 10062, 50027]
    assert [error.code for error in scene.bot.failures if isinstance(error, discord.HTTPException)] == [
        10062,
        50027,
    ]
    assert slow.acknowledged_at is None
    assert waiting.thinking


async def test_commands_that_need_permissions_are_hidden_from_others() -> None:
    async with DiscordStandIn() as standin:
        guild = furnish(standin)
        ada = next(member for member in guild.members.values() if member.name == "ada")
        boss = guild.add_member("boss", permissions={"administrator"})
        async with running(standin) as bot:

            @bot.tree.command(description="Settings")
            @discord.app_commands.default_permissions(manage_guild=True)
            async def settings(interaction: discord.Interaction) -> None:
                await interaction.response.send_message("here", ephemeral=True)

            await bot.tree.sync(guild=discord.Object(guild.id))
            await bot.tree.sync()
            with pytest.raises(UnknownCommandError):
                await standin.slash(ada, guild.channels[0], "settings")
            call = await standin.slash(boss, guild.channels[0], "settings")
            assert (await call.reply(5)).content == "here"
        assert standin.violations == []


async def test_command_in_a_direct_conversation(scene: Scene) -> None:
    seen: list[bool] = []

    async def how(interaction: Interaction) -> None:
        seen.append(interaction.guild is None and interaction.context.dm_channel)
        await interaction.response.send_message("psst")

    scene.bot.acts["now"] = how
    call = await scene.standin.slash(scene.ada, scene.standin.dm(scene.ada), "act", how="now")
    assert (await call.reply(5)).content == "psst"
    assert seen == [True]
    assert [message.content for message in scene.standin.dm(scene.ada).messages] == ["psst"]
