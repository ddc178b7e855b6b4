"""Channel messages through a real discord.py bot: files, replies, nonces, mentions, history, permissions."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
import pytest

from sandbox.discord import DiscordStandIn
from sandbox.discord.state.permissions import BOT_PERMISSIONS
from tests.patience import patient
from tests.sandbox.discord_bot import furnish, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sandbox.discord import Channel, Member
    from tests.sandbox.discord_bot import Bot


class Scene:
    """A guild, its channel as both sides see it, and two members."""

    def __init__(self, standin: DiscordStandIn, bot: Bot) -> None:
        [self.guild] = standin.state.guilds.values()
        self.standin = standin
        self.bot = bot
        self.channel: Channel = self.guild.channels[0]
        people = {member.name: member for member in self.guild.members.values()}
        self.ada: Member = people["ada"]
        self.ben: Member = people["ben"]

    @property
    def text(self) -> discord.TextChannel:
        return self.bot.text_channel(self.channel.id)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with DiscordStandIn(rate_limits=False) as standin:
        furnish(standin)
        async with running(standin) as bot:
            yield Scene(standin, bot)
        assert standin.violations == []
        for record in standin.requests:
            if standin.judge is not None and record.status is not None and record.answer is not None:
                wrong = standin.judge.answer_error(record.method, record.template, record.status, record.answer)
                assert wrong is None, (record.method, record.path, wrong)


async def refused(awaitable: Any) -> tuple[int, int]:
    with pytest.raises(discord.HTTPException) as raised:
        await awaitable
    return raised.value.status, raised.value.code


async def test_song_with_cover_picture_as_reply(scene: Scene) -> None:
    asked = scene.standin.post_as(scene.ada, scene.channel, "please")
    embed = discord.Embed(title="Harbour Lights", description="A cover")
    embed.set_image(url="attachment://cover.png").add_field(name="Length", value="3:20")
    sent = await scene.text.send(
        f"Here you go {scene.ada.mention}",
        embed=embed,
        files=[
            discord.File(io.BytesIO(b"ID3song"), "Harbour Lights.mp3"),
            discord.File(io.BytesIO(b"\x89PNG"), "cover.png"),
        ],
        reference=discord.MessageReference(message_id=asked.id, channel_id=scene.channel.id, fail_if_not_exists=False),
        allowed_mentions=discord.AllowedMentions(users=[discord.Object(scene.ada.id)]),
        nonce="n-1",
    )
    message = await scene.channel.wait_for(lambda message: bool(message.attachments), 5)
    assert message.id == sent.id
    assert message.reference == asked.id
    assert message.replied_to is asked
    assert message.pings == {scene.ada.id}
    [audio] = message.attachments
    assert (audio.filename, audio.content_type, audio.data) == ("Harbour_Lights.mp3", "audio/mpeg", b"ID3song")
    assert [file.filename for file in message.files] == ["Harbour_Lights.mp3", "cover.png"]
    assert message.embeds[0]["image"]["url"] == message.files[1].url
    assert [attachment.filename for attachment in sent.attachments] == ["Harbour_Lights.mp3"]
    assert await sent.attachments[0].read() == b"ID3song"
    assert scene.standin.requests[-1].files == ["Harbour Lights.mp3", "cover.png"]


async def test_same_nonce_posts_once_for_a_few_minutes(scene: Scene) -> None:
    first = await scene.text.send("one", nonce="0123456789abcdef")
    again = await scene.text.send("one", nonce="0123456789abcdef")
    assert again.id == first.id
    assert len(scene.channel.messages) == 1
    scene.standin.advance(301)
    later = await scene.text.send("one", nonce="0123456789abcdef")
    assert later.id != first.id
    assert [message.nonce for message in scene.channel.messages] == ["0123456789abcdef"] * 2


async def test_reply_to_a_deleted_message(scene: Scene) -> None:
    asked = scene.standin.post_as(scene.ada, scene.channel, "please")
    scene.standin.delete_message(asked)
    reference = discord.MessageReference(message_id=asked.id, channel_id=scene.channel.id)
    with pytest.raises(discord.HTTPException) as raised:
        await scene.text.send("hi", reference=reference)
    assert (raised.value.status, raised.value.code) == (400, 50035)
    assert "message_reference" in str(raised.value)
    scene.standin.violations.clear()
    reference.fail_if_not_exists = False
    sent = await scene.text.send("hi", reference=reference)
    assert scene.channel.messages[-1].id == sent.id
    assert scene.channel.messages[-1].reference is None


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        (discord.AllowedMentions(), {"ada", "ben"}),
        (discord.AllowedMentions.none(), set()),
        (discord.AllowedMentions(users=False, replied_user=True), {"ben"}),
        (discord.AllowedMentions(users=True, replied_user=False, everyone=True), {"ada"}),
    ],
)
async def test_allowed_mentions_decide_who_is_notified(
    scene: Scene, allowed: discord.AllowedMentions, expected: set[str]
) -> None:
    asked = scene.standin.post_as(scene.ben, scene.channel, "please")
    outsider = scene.standin.add_guild("Other").add_member("eve")
    await scene.text.send(
        f"@everyone {scene.ada.mention} {outsider.mention}",
        reference=discord.MessageReference(message_id=asked.id, channel_id=scene.channel.id),
        allowed_mentions=allowed,
    )
    names = {scene.ada.id: "ada", scene.ben.id: "ben"}
    assert {names[number] for number in scene.channel.messages[-1].pings} == expected
    assert not scene.channel.messages[-1].mention_everyone


async def test_history_pages_in_both_directions(scene: Scene) -> None:
    sent = [await scene.text.send(f"m{number}") for number in range(7)]
    text = scene.text
    assert [message.content async for message in text.history(limit=3)] == ["m6", "m5", "m4"]
    after = [message.content async for message in text.history(after=sent[2], limit=2)]
    assert after == ["m3", "m4"]
    before = [message.content async for message in text.history(before=sent[2])]
    assert before == ["m1", "m0"]
    around = {message.content async for message in text.history(around=sent[3], limit=3)}
    assert around == {"m2", "m3", "m4"}
    assert (await text.fetch_message(sent[4].id)).content == "m4"
    scene.channel.bot_permissions = BOT_PERMISSIONS - {"read_message_history"}
    assert [message async for message in text.history()] == []


async def test_edit_and_delete(scene: Scene) -> None:
    sent = await scene.text.send("one", file=discord.File(io.BytesIO(b"x"), "x.mp3"))
    url = sent.attachments[0].url
    edited = await sent.edit(content="two")
    assert [attachment.filename for attachment in edited.attachments] == ["x.mp3"]
    [message] = scene.channel.messages
    assert (message.content, message.edits) == ("two", ["one"])
    others = scene.standin.post_as(scene.ada, scene.channel, "mine")
    theirs = await scene.text.fetch_message(others.id)
    assert await refused(theirs.edit(content="yours")) == (403, 50005)
    assert await refused(theirs.delete()) == (403, 50013)
    await sent.delete()
    assert (message.deleted, scene.channel.messages) == (True, [others])
    assert await refused(sent.delete()) == (404, 10008)
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 404


@pytest.mark.parametrize(
    ("missing", "code"),
    [
        ("view_channel", 50001),
        ("send_messages", 50013),
        ("attach_files", 50013),
        ("embed_links", 50013),
        ("read_message_history", 160002),
    ],
)
async def test_missing_permissions(scene: Scene, missing: str, code: int) -> None:
    asked = scene.standin.post_as(scene.ada, scene.channel, "please")
    scene.channel.bot_permissions = BOT_PERMISSIONS - {missing}
    sending = scene.text.send(
        "hi",
        embed=discord.Embed(title="t"),
        file=discord.File(io.BytesIO(b"x"), "x.mp3"),
        reference=discord.MessageReference(message_id=asked.id, channel_id=scene.channel.id),
    )
    assert (await refused(sending))[1] == code
    assert [refusal.code for refusal in scene.standin.refusals] == [code]
    assert scene.channel.messages == [asked]


async def test_upload_limit_of_the_guild(scene: Scene) -> None:
    scene.guild.upload_limit = 1000
    await scene.text.send(file=discord.File(io.BytesIO(b"x" * 1000), "x.mp3"))
    sending = scene.text.send(file=discord.File(io.BytesIO(b"x" * 1001), "x.mp3"))
    assert await refused(sending) == (413, 40005)
    assert len(scene.channel.messages) == 1


async def test_large_uploads_arrive_whole(scene: Scene) -> None:
    scene.guild.upload_limit = 50 * 2**20
    data = bytes(range(256)) * (20 * 2**20 // 256)
    await scene.text.send(file=discord.File(io.BytesIO(data), "x.wav"))
    assert scene.channel.messages[0].attachments[0].data == data


async def test_channels_and_threads_that_go_away(scene: Scene) -> None:
    thread = scene.guild.add_thread(scene.channel, "ideas")
    place = scene.bot.get_partial_messageable(thread.id, guild_id=scene.guild.id)
    await place.send("in the thread")
    assert [message.content for message in thread.messages] == ["in the thread"]
    scene.standin.archive_thread(thread)
    await place.send("awake again")
    assert not thread.archived
    scene.standin.archive_thread(thread, locked=True)
    assert await refused(place.send("no")) == (403, 50083)
    text = scene.text
    scene.standin.delete_channel(scene.channel)
    assert await refused(text.send("gone")) == (404, 10003)
    assert await refused(place.send("gone")) == (404, 10003)
    other = scene.guild.add_channel("other")
    assert (await scene.bot.fetch_channel(other.id)).id == other.id
    scene.standin.remove_guild(scene.guild)
    assert await refused(scene.bot.fetch_channel(other.id)) == (403, 50001)
    assert await refused(scene.bot.fetch_guild(scene.guild.id)) == (404, 10004)


async def test_direct_messages_open_closed_and_without_a_shared_guild(scene: Scene) -> None:
    user = await scene.bot.fetch_user(scene.ada.id)
    await user.send(f"psst {scene.ada.mention}")
    [message] = scene.standin.dm(scene.ada).messages
    assert (message.content, message.pings) == (f"psst {scene.ada.mention}", {scene.ada.id})
    scene.standin.close_dms(scene.ada)
    assert await refused(user.send("hello?")) == (403, 50007)
    scene.standin.close_dms(scene.ada, closed=False)
    scene.standin.remove_member(scene.ada)
    assert await refused(user.send("hello?")) == (403, 50278)
    guild = await scene.bot.fetch_guild(scene.guild.id)
    assert await refused(guild.fetch_member(scene.ada.id)) == (404, 10007)
    assert (await guild.fetch_member(scene.ben.id)).name == "ben"


async def test_account_application_and_guild_are_readable(scene: Scene) -> None:
    application = await scene.bot.application_info()
    assert application.id == scene.standin.bot_id
    guild = await scene.bot.fetch_guild(scene.guild.id)
    assert guild.filesize_limit == 10 * 2**20
    channels = await guild.fetch_channels()
    assert [channel.name for channel in channels] == ["music"]
    roles = await guild.fetch_roles()
    mine = await guild.fetch_member(scene.standin.bot_id)
    granted = next(role.permissions for role in roles if role.id in {item.id for item in mine.roles[1:]})
    assert granted == discord.Permissions(**dict.fromkeys(BOT_PERMISSIONS, True))
    assert [found.id async for found in scene.bot.fetch_guilds(with_counts=False)] == [scene.guild.id]
    assert [command.name for command in await scene.bot.tree.fetch_commands()] == ["act", "music", "Cover this track"]


async def test_guild_events_reach_the_bot(scene: Scene) -> None:
    guild = scene.standin.add_guild("New", upload_limit=100 * 2**20)
    joined = await scene.bot.wait_for("guild_join", timeout=patient(5))
    assert (joined.id, joined.filesize_limit) == (guild.id, 100 * 2**20)
    channel = guild.add_channel("songs")
    assert (await scene.bot.wait_for("guild_channel_create", timeout=patient(5))).id == channel.id
    scene.standin.delete_channel(channel)
    assert (await scene.bot.wait_for("guild_channel_delete", timeout=patient(5))).id == channel.id
    scene.standin.remove_guild(guild)
    assert (await scene.bot.wait_for("guild_remove", timeout=patient(5))).id == guild.id


async def test_message_events_only_for_who_asked() -> None:
    async with DiscordStandIn() as standin:
        guild = furnish(standin)
        channel = guild.channels[0]
        ada = next(member for member in guild.members.values() if member.name == "ada")
        async with running(standin, intents=discord.Intents(guilds=True, guild_messages=True)) as bot:
            said = standin.post_as(ada, channel, "hello")
            heard = await bot.wait_for("message", timeout=patient(5))
            assert (heard.id, heard.author.id) == (said.id, ada.id)
            standin.delete_message(said)
            gone = await bot.wait_for("raw_message_delete", timeout=patient(5))
            assert gone.message_id == said.id


async def test_everything_the_bot_ever_said_is_kept(scene: Scene) -> None:
    sent = await scene.text.send("one", embed=discord.Embed(title="Song", url="https://songs.invalid/1"))
    await sent.edit(content="two", embed=None)
    await sent.edit(view=discord.ui.View().add_item(discord.ui.Button(label="Again", custom_id="again")))
    await sent.delete()
    scene.standin.post_as(scene.ada, scene.channel, "not the bot")
    [message] = scene.standin.said
    assert message.deleted
    assert [revision.words for revision in message.revisions] == ["one\nSong", "two", "two\nAgain"]
    assert message.edits == ["one", "two"]
    assert [revision.at for revision in message.revisions] == sorted(revision.at for revision in message.revisions)


async def test_hundreds_of_messages_of_others_are_cheap(scene: Scene) -> None:
    sent = await scene.text.send("song")
    begun = time.process_time()
    others = scene.standin.chat(scene.ada, scene.channel, 1000)
    assert time.process_time() - begun < 1
    after = [message.id async for message in scene.text.history(limit=None, after=sent, oldest_first=True)]
    assert after == [message.id for message in others]
    assert after == sorted(after)
    newest = [message async for message in scene.text.history(limit=300)]
    assert sent.id not in [message.id for message in newest]
