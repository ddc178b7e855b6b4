"""Members who write whatever Unicode has, and a VidGo that titles its songs so."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from sandbox.artwork import paint
from sandbox.discord import Message
from sandbox.discord.state.content import walk_components
from sandbox.music import compose
from tests.end_to_end.world import COVER, SONG, eventually, open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from sandbox.discord import Call
    from tests.end_to_end.world import Person, World

pytestmark = pytest.mark.asyncio(loop_scope="module")

# {victim} stands for a member who takes part in nothing.
NASTY = {
    "plain mentions": "<@{victim}> <@!{victim}> @everyone @here <@&111111111111111111>",
    "mentions with a gap": "@\u200beveryone @\u2060here <\u200b@{victim}> @every\u00adone",
    "mentions in markdown": "**@everyone** `<@{victim}>` ```@here``` ||<@&111111111111111111>||",
    "mentions made whole": "<@\u202e{victim}\u202c> <<@{victim}>> \\<@{victim}> <@{victim}",
    "references": "<#{victim}> </cover:1> <id:customize> <:a:1> <a:b:2> <t:0:R>",
    "masked links": "[VidGo](https://evil.example/login) [a](<https://evil.example>) [b]( http://evil.example 'c')",
    "links": "https://evil.example/?token=1 http://127.0.0.1:1/ discord://x javascript:alert(1) <https://evil.example>",
    "markdown": "# big\n> quote\n>>> all\n* one\n- two\n-# small __u__ ~~s~~ _i_ `c` ||spoiler|| \\*",
    "fences": "```\n``` ` ``` @everyone",
    "bidirectional": "\u202egnos doog\u202c \u2066<@{victim}>\u2069 \u200f\u061c\u2067",
    "zero width": "in\u200bvi\u200csi\u200dble\u2060\ufeff\u00ad\u180e\u034f",
    "invisible": "\u3164\u115f\u1160\uffa0\u2800",
    "only invisible": "\u200b\u2060\u202e\ufeff",
    "zalgo": "Z\u0335" + "\u0336\u0489\u20dd" * 80 + "algo" + "\u0301" * 200,
    "controls": "a\x00b\x01\x1b[31m\x7f\x85c\r\nd\u2028e\u2029f\tg",
    "lone surrogates": "a\ud800b\udfff\udc00c\ud83d",
    "private and unassigned": "\ue000\U000f0000\U0010ffff\uffff\ufdd0\u0378",
    "emoji sequences": "👩‍👩‍👧‍👦🏴󠁧󠁢󠁥󠁮󠁧󠁿🇩🇪🏳️‍🌈👍🏿" * 8,
    "tags": "\U000e0041\U000e0042\U000e007f hidden \U000e0001",
    "wide": "﷽" * 60 + "𒐫" * 20,
    "normal forms": "\ufb01 \u212b A\u030a \u2163 \uff45veryone \uff20everyone <\uff20{victim}>",
    "templates": "{title} {0} {0.__class__} %s %n %(x)s ${x} {{7*7}}",
    "paths": '../../etc/passwd\\..\\x:y*?"<>|.mp3',
    "one long word": "W" * 6000,
    "long with mentions": "x" * 97 + "<@{victim}>" + "@everyone " * 400,
    "only spaces": " \u00a0\u3000\u2003\t\n ",
}
LIMITS = {"prompt": 3000, "style": 1000, "title": 80, "task_id": 200, "search": 50, "track": 6000}

_LINK = re.compile(r"(?<!\\)\[[^\]]*(?<!\\)\]\(")
_ADDRESS = re.compile(r"[a-z]+://(?!discord\.com/channels/)", re.IGNORECASE)
_SMALL_LINE = re.compile(r"\A-# \*\*(?=[^*])")
_OWN = re.compile(r"<t:\d+:[Rf]>|</[a-z]+( [a-z]+)?:\d{18,19}>")
"""Moments and the bot's own commands, whose ids no text here has."""
_MENTION = re.compile(r"(?<!\\)<(@[!&]?|#|/|id:|a?:)\w")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with open_world(tmp_path_factory.mktemp("members"), callbacks=False) as it:
        # The stand-in cannot compose for every title.
        it.vidgo.set_song_files("bytes", data=compose("Anything", style="folk", seconds=1))
        it.vidgo.set_song_files("bytes", media="image", data=paint("Anything"))
        it.vidgo.credits = 1_000_000
        it.vidgo.seconds = 0.05
        it.guild.add_member("bystander")
        yield it


def victim(world: World) -> int:
    return next(member.id for member in world.guild.members.values() if member.name == "bystander")


def text(world: World, name: str, option: str) -> str:
    """Return a nasty text as long as an option takes it, which Discord itself enforces."""
    return NASTY[name].replace("{victim}", str(victim(world)))[: LIMITS[option]]


async def every(world: World, use: Callable[[Person, str], Any]) -> None:
    """Let somebody for each nasty text do something, some at a time."""
    places = asyncio.Semaphore(5)

    async def one(name: str) -> None:
        async with places:
            await use(world.person("ada"), name)

    await asyncio.gather(*(one(name) for name in NASTY))
    check(world)


async def answered(call: Call) -> Message:
    reply = await call.reply(20)
    assert reply.content or reply.embeds or reply.is_layout
    assert "Something went wrong on my side" not in reply.content
    return reply


def check(world: World) -> None:
    """Hold what must be true of everything that was ever posted, and of what it took to post it."""
    for channel in world.channels:
        for message in channel.history.values():
            if message.author is world.discord.state.bot:
                check_message(message, {person.id for person in world.guild.members.values()} - {victim(world)})
    for request in world.discord.requests:
        for body in bodies(request.body):
            if "content" in body or "embeds" in body:
                allowed = body.get("allowed_mentions")
                assert allowed is not None, (request.path, body)
                assert not allowed.get("parse"), (request.path, body)
                assert not allowed.get("roles"), (request.path, body)
                assert str(victim(world)) not in map(str, allowed.get("users") or [])
    assert world.discord.violations == []
    assert world.discord.refusals == []
    assert world.bot.errors() == []


def bodies(body: Any) -> Iterator[dict[str, Any]]:
    if isinstance(body, dict):
        yield body
        if isinstance(body.get("data"), dict):
            yield body["data"]


def check_message(message: Message, others: set[int]) -> None:
    assert not message.mention_everyone
    assert len(message.pings) <= 1
    assert message.pings <= others
    shown = [message.content, *message.edits]
    shown += [item["content"] for item in walk_components(message.components) if "content" in item]
    for embed in message.embeds:
        shown += [embed.get("title") or "", embed.get("description") or ""]
        shown += [part for field in embed.get("fields", []) for part in (field["name"], field["value"])]
    labels = [button.label or "" for button in message.buttons]
    for words in [*shown, *labels, *(file.filename for file in message.files)]:
        kinds = {unicodedata.category(character) for character in words.replace("\u200b", "").replace("\n", "")}
        assert not kinds & {"Cc", "Cf", "Cs", "Co", "Cn"}, ascii(words)
        assert re.search(r"[\u0300-\u036f\u0483-\u0489\u20d0-\u20ff]{4}", words) is None, ascii(words)
        # Discord cuts nothing: what is too long is refused, and a title of a hundred characters is read by nobody.
        assert len(words) <= 1500
    for words in shown:
        own = _OWN.sub("", re.sub(r"<@\d+>,? ", "", words) if message.pings else words)
        assert _LINK.search(own) is None, ascii(words)
        assert _ADDRESS.search(own) is None, ascii(words)
        assert _MENTION.search(own) is None, ascii(words)
        assert re.search(r"@(everyone|here)", own) is None, ascii(words)
        # The small line in which an acknowledgement ends is the bot's own, and so is the title's fat type in it.
        assert not _SMALL_LINE.sub("**", own).startswith(("# ", "> ", ">>> ", "-# ")), ascii(words)


@pytest.mark.parametrize(
    "content",
    [
        "[a](https://evil.example)",
        "see https://evil.example",
        "<#1174109840956788608>",
        "</cover:1>",
        "hello @everyone",
        "a\u202eb",
        "Z\u0335\u0336\u0335\u0336",
        "a\x00b",
        "# big",
        "x" * 2000,
    ],
    ids=ascii,
)
async def test_the_check_finds_what_must_not_be_posted(world: World, content: str) -> None:
    channel = world.guild.add_channel("nowhere")
    harmless = Message(1, channel, world.discord.state.bot, "<@5>, here is **a song**.", pings={5})
    check_message(harmless, {5})
    with pytest.raises(AssertionError):
        check_message(Message(2, channel, world.discord.state.bot, content), {5})
    with pytest.raises(AssertionError):
        check_message(harmless, {6})


async def test_prompts_styles_and_titles(world: World) -> None:
    async def make(ada: Person, name: str) -> None:
        call = await ada.use(
            "music generate",
            prompt=text(world, name, "prompt"),
            style=text(world, name, "style"),
            title=text(world, name, "title"),
        )
        reply = await answered(call)
        if not reply.ephemeral:
            result = await ada.result(call, 40)
            assert result.pings == {ada.member.id}

    await every(world, make)


async def test_a_prompt_alone(world: World) -> None:
    async def make(ada: Person, name: str) -> None:
        call = await ada.use("music generate", prompt=text(world, name, "prompt")[:400])
        reply = await answered(call)
        if not reply.ephemeral:
            await ada.result(call, 40)

    await every(world, make)


async def test_tracks_ids_and_searches(world: World) -> None:
    async def type_in(ada: Person, name: str) -> None:
        await ada.imports("Innocent")
        track = text(world, name, "track")
        for choice in [*await ada.type_track(track), *await ada.type_track(track[:20])]:
            assert choice.name.startswith("Innocent")
        for command, option in (
            ("cover", "track"),
            ("music import", "task_id"),
            ("music library", "search"),
            ("music extend", "track"),
            ("music forget", "track"),
        ):
            reply = await answered(await ada.use(command, **{option: text(world, name, option)}))
            if not reply.ephemeral:
                await eventually(lambda: len(ada.channel.messages) > 1)

    await every(world, type_in)


async def test_styles_and_prompts_for_a_song(world: World) -> None:
    async def ask(ada: Person, name: str) -> None:
        await ada.imports("Innocent")
        for command, options in (
            ("cover", {"style": text(world, name, "style")}),
            ("music extend", {"prompt": text(world, name, "prompt"), "at": 1.0}),
        ):
            call = await ada.use(command, **options)
            reply = await answered(call)
            if not reply.ephemeral:
                await ada.result(call, 40)

    await every(world, ask)


async def test_titles_and_tags_that_vidgo_gives(world: World) -> None:
    async def bring_in(ada: Person, name: str) -> None:
        nasty = text(world, name, "track")
        song = world.vidgo.add_song(nasty, tags=nasty, seconds=1, variants=1)
        await answered(await ada.use("music import", task_id=song.id))
        [choice] = await ada.type_track("")
        assert 1 <= len(choice.name) <= 100
        assert unicodedata.category(choice.name[0]) not in {"Cc", "Cf", "Cs", "Co", "Cn"}
        await answered(await ada.use("music library"))
        result = await ada.covered()
        assert result.pings == {ada.member.id}
        assert len(result.attachments) == 1
        await answered(await ada.use("music status"))
        await answered(await ada.use("music forget", track=choice.value))

    await every(world, bring_in)


async def test_reasons_why_vidgo_fails(world: World) -> None:
    world.vidgo.hold(COVER)

    async def cover(ada: Person, name: str) -> None:
        song = await ada.imports("Innocent")
        call = await ada.cover()
        await answered(call)
        submission = await world.vidgo.wait_submission(lambda one: one.input == {"task_id": song.id})
        world.vidgo.finish(world.vidgo.tasks[str(submission.task_id)], error_message=text(world, name, "track"))
        failed = await ada.failure(call, 40)
        assert failed.attachments == []
        check_message(failed, {ada.member.id})

    try:
        await every(world, cover)
    finally:
        world.vidgo.release(COVER)


async def test_reasons_why_vidgo_refuses(world: World) -> None:
    for name in NASTY:
        error = {"code": 400, "error": {"message": text(world, name, "track"), "type": "content_moderation_error"}}
        world.vidgo.fault("submit", "status", status=400, body=error, model=SONG)
        ada = world.person("ada")
        call = await ada.use("music generate", prompt="anything")
        await answered(call)
        check_message(await ada.failure(call, 40), {ada.member.id})
    check(world)
