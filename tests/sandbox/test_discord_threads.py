"""Locked and archived threads, and what is left to an interaction whose "thinking" message is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
import pytest

from sandbox.discord import DiscordStandIn
from tests.sandbox.discord_bot import Bot, furnish, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from sandbox.discord import Call, Channel, Member

    Interaction = discord.Interaction[Bot]


class Scene:
    """A thread as both sides see it."""

    def __init__(self, standin: DiscordStandIn, bot: Bot) -> None:
        [guild] = standin.state.guilds.values()
        self.standin = standin
        self.bot = bot
        self.channel: Channel = guild.channels[0]
        self.thread = guild.add_thread(self.channel, "ideas")
        self.ada: Member = next(member for member in guild.members.values() if member.name == "ada")
        self.place = bot.get_partial_messageable(self.thread.id, guild_id=guild.id)

    async def use(self, act: Callable[[Interaction], Awaitable[Any]], channel: Channel | None = None) -> Call:
        """Use a command and return once the bot has done with it."""
        done: list[bool] = []

        async def wrapped(interaction: Interaction) -> None:
            try:
                await act(interaction)
            finally:
                done.append(True)
                self.standin.state.changed.notify()

        self.bot.acts["act"] = wrapped
        call = await self.standin.slash(self.ada, channel or self.thread, "act", how="act")
        await self.standin.wait_until(lambda: bool(done))
        assert self.bot.failures == []
        return call

    def lock(self, how: str) -> tuple[int, int]:
        """Lock the thread; return status and code that everything is refused with."""
        if how == "open":
            self.standin.lock_thread(self.thread)
            return 400, 160005
        self.standin.archive_thread(self.thread, locked=True)
        return 403, 50083


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with DiscordStandIn() as standin:
        furnish(standin)
        async with running(standin) as bot:
            yield Scene(standin, bot)
        assert standin.violations == []


async def refused(sending: Awaitable[object]) -> tuple[int, int]:
    with pytest.raises(discord.HTTPException) as caught:
        await sending
    return caught.value.status, caught.value.code


@pytest.mark.parametrize("how", ["archived", "open"])
async def test_a_locked_thread_refuses_posts_and_whoever_manages_threads_still_writes(scene: Scene, how: str) -> None:
    wanted = scene.lock(how)
    assert await refused(scene.place.send("no")) == wanted
    scene.channel.bot_permissions = scene.channel.bot_permissions | {"manage_threads"}
    await scene.place.send("yes")
    assert [message.content for message in scene.thread.messages] == ["yes"]


@pytest.mark.parametrize("ephemeral", [False, True])
@pytest.mark.parametrize("how", ["archived", "open"])
async def test_a_locked_thread_refuses_first_answers(scene: Scene, how: str, ephemeral: bool) -> None:
    wanted = scene.lock(how)
    found = []

    async def act(interaction: Interaction) -> None:
        response = interaction.response
        found.append(await refused(response.send_message("no", ephemeral=ephemeral)))
        found.append(await refused(response.defer(thinking=True, ephemeral=ephemeral)))

    call = await scene.use(act)
    assert found == [wanted, wanted]
    assert call.acknowledged_at is None
    assert scene.thread.history == {}


@pytest.mark.parametrize("how", ["archived", "open"])
async def test_a_thread_that_is_locked_meanwhile_refuses_the_rest(scene: Scene, how: str) -> None:
    found = []

    async def act(interaction: Interaction) -> None:
        await interaction.response.defer(thinking=True)
        wanted.append(scene.lock(how))
        found.append(await refused(interaction.followup.send("no")))
        found.append(await refused(interaction.followup.send("no", ephemeral=True)))
        found.append(await refused(interaction.edit_original_response(content="no")))
        await interaction.delete_original_response()
        found.append(await refused(interaction.followup.send("no", ephemeral=True)))

    wanted: list[tuple[int, int]] = []
    await scene.use(act)
    assert found == wanted * 4
    assert scene.standin.said[0].deleted
    assert scene.standin.said[0].revisions == []


async def test_an_archived_thread_is_opened_by_what_is_written_but_lets_nothing_be_changed(scene: Scene) -> None:
    sent = await scene.place.send("song")
    scene.standin.archive_thread(scene.thread)
    assert await refused(sent.edit(content="new")) == (400, 50083)
    assert await refused(sent.delete()) == (400, 50083)
    await scene.use(lambda interaction: interaction.response.send_message("private", ephemeral=True))
    assert scene.thread.archived
    await scene.use(lambda interaction: interaction.response.send_message("public"))
    assert not scene.thread.archived
    await sent.edit(content="new")
    assert [message.content for message in scene.thread.messages] == ["new", "public"]


@pytest.mark.parametrize("refuse", [False, True])
@pytest.mark.parametrize("ephemeral", [False, True])
async def test_a_follow_up_after_a_deleted_deferral_is_taken_or_refused(
    scene: Scene, refuse: bool, ephemeral: bool
) -> None:
    scene.standin.refuse_follow_ups_after_deletion(refuse)
    found = []

    async def act(interaction: Interaction) -> None:
        await interaction.response.defer(thinking=True)
        await interaction.delete_original_response()
        try:
            await interaction.followup.send("after all", ephemeral=ephemeral)
        except discord.NotFound as error:
            found.append(error.code)

    call = await scene.use(act, scene.channel)
    assert found == ([10008] if refuse else [])
    assert [message.content for message in call.replies] == ([] if refuse else ["after all"])


async def test_a_follow_up_after_a_deleted_answer_is_always_taken(scene: Scene) -> None:
    scene.standin.refuse_follow_ups_after_deletion()

    async def act(interaction: Interaction) -> None:
        await interaction.response.defer(thinking=True)
        await interaction.followup.send("first")
        await interaction.delete_original_response()
        await interaction.followup.send("second")

    call = await scene.use(act, scene.channel)
    assert [message.content for message in call.replies] == ["second"]
