"""A member reads what concerns them in the language of their Discord client."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from bot.words.text import LANGUAGES, translate
from tests.end_to_end.world import COVER, SONG, Person, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.end_to_end.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT_INPUT = 1

EXPECTED = {
    "de": {
        "unknown": "Ich kenne keinen Song „Nirgendwo“. Wähle einen aus der Liste, die beim Tippen erscheint, oder "
        "importiere ihn mit `/music import`. Es wurden keine Credits verbraucht.",
        "imported": "**Leuchtturm** ist in deiner Bibliothek. Mit `/cover` kannst du den Song covern.",
        "covering": "**Leuchtturm** wird gecovert – begonnen <t:",
        "stop": "Nicht posten",
        "result": "🎨 Neues Artwork für **Leuchtturm**. Soll es neu gesungen werden?",
        "remove": "Entfernen",
        "done": "** ist fertig: https://discord.com/channels/",
        "refused": "VidGo hat den Inhalt von **something rude** abgelehnt und sagt: „",
    },
    "ja": {
        "unknown": "「Nirgendwo」という曲は見つかりません。入力中に表示される一覧から選ぶか、`/music import` で"
        "取り込んでください。クレジットは使われていません。",
        "imported": "**Leuchtturm** がライブラリに入りました。`/cover` でカバーできます。",
        "covering": "**Leuchtturm** をカバー中です（開始: <t:",  # noqa: RUF001 (Japanese is written so)
        "stop": "投稿しない",
        "result": "さん、🎨 **Leuchtturm** の新しいアートワークができました。新しく歌い直してみませんか？",  # noqa: RUF001 (Japanese is written so)
        "remove": "削除",
        "done": "** が完成しました: https://discord.com/channels/",
        "refused": "VidGo は **something rude** の内容を拒否しました。VidGo の説明：「",  # noqa: RUF001 (Japanese is written so)
    },
}


DESCRIPTIONS = {
    "help": "How to get a cover, what there is, and what you have left today",
    "cover": "Make a cover of one of your songs",
    "cover track": "One of your songs, or a VidGo id; left out: your newest song",
    "cover style": "Make a new version in this style, such as: acoustic folk, female voice",
    "cover file": "A recording that is yours to use, in place of a song; it becomes a new version in the style",
    "coverbot": "About this bot, and its settings here",
    "coverbot about": "What this bot is, and what you have left today",
    "coverbot settings": "For managers of this server: who may do what, and where",
    "coverbot usage": "For managers of this server: who has ordered how much",
    "music": "Make, import and find songs",
    "music import": "Import a song made elsewhere with VidGo",
    "music import task_id": "VidGo's id of the finished song",
    "music generate": "Make a new song",
    "music generate prompt": "What the song is about, or its lyrics when you give a style; left out: a form opens",
    "music generate style": "The style, such as: folk, warm, female voice",
    "music generate title": "The song's title",
    "music generate instrumental": "Without singing",
    "music extend": "Continue one of your songs",
    "music extend track": "One of your songs, or a VidGo id; left out: your newest song",
    "music extend prompt": "How it goes on, or more lyrics",
    "music extend at": "From which second of the song on; left out: from its end",
    "music library": "Page through your songs and covers",
    "music library search": "Only titles that contain this",
    "music status": "See what you are waiting for",
    "music forget": "Remove a song, or everything that I keep about you",
    "music forget track": "One of your songs; left out: everything, after a confirmation",
}
"""What is read beside each command and option while one types."""


def person(world: World, locale: str) -> Person:
    """Let somebody join whose Discord client has a language."""
    channel = world.guild.add_channel(f"{locale}-{len(world.channels)}".lower())
    world.channels.append(channel)
    return Person(world, world.guild.add_member(f"member-{locale}", locale=locale), channel)


def typed(content: str) -> str:
    """Return a sentence with its commands as they are typed, not as they are pressed."""
    return re.sub(r"</([a-z ]+):\d+>", r"`/\1`", content)


@pytest.mark.parametrize("locale", EXPECTED)
async def test_a_member_is_spoken_to_in_their_language(polling: World, locale: str) -> None:
    words = EXPECTED[locale]
    member = person(polling, locale)
    assert typed(await member.refusal(await member.cover("Nirgendwo"))) == words["unknown"]

    song = polling.vidgo.add_song("Leuchtturm", tags="folk", seconds=2, variants=1)
    reply = await (await member.use("music import", task_id=song.id)).reply()
    assert reply.ephemeral
    assert typed(reply.content) == words["imported"]

    polling.vidgo.hold(COVER)
    call = await member.cover()
    acknowledgement = await call.reply()
    assert acknowledgement.content.startswith(words["covering"])
    assert [button.label for button in acknowledgement.buttons] == [words["stop"]]
    polling.vidgo.release(COVER)
    result = await member.result(call)
    assert result.content == f"<@{member.member.id}> {words['result']}"
    assert words["remove"] in [button.label for button in result.buttons]
    await eventually(lambda: words["done"] in acknowledgement.content)


@pytest.mark.parametrize("locale", EXPECTED)
async def test_a_refusal_of_vidgo_is_told_in_their_language(polling: World, locale: str) -> None:
    member = person(polling, locale)
    error = {"code": 400, "error": {"message": "the lyrics are indecent", "type": "content_moderation_error"}}
    polling.vidgo.fault("submit", "status", status=400, body=error, model=SONG)
    sentence = (await member.failure(await member.use("music generate", prompt="something rude"))).content
    assert sentence.startswith(EXPECTED[locale]["refused"] + "the lyrics are indecent")


async def test_members_of_one_channel_each_read_their_own_language(polling: World) -> None:
    german = person(polling, "de")
    japanese = Person(polling, polling.guild.add_member("member-ja", locale="ja"), german.channel)
    french = Person(polling, polling.guild.add_member("member-fr", locale="fr"), german.channel)
    calls = [await one.use("music status") for one in (german, japanese, french)]
    assert [(await call.reply()).content for call in calls] == [
        "Du wartest gerade auf nichts.",
        "今、待っているものはありません。",
        "You are not waiting for anything at the moment.",
    ]


async def test_commands_are_described_in_every_language(polling: World) -> None:
    registered = polling.discord.commands.scope(None)
    described = dict(_described([command for command in registered if command["type"] == CHAT_INPUT]))
    assert {path: item["description"] for path, item in described.items()} == DESCRIPTIONS
    for item in described.values():
        expected = {locale: translate(item["description"], locale) for locale in LANGUAGES}
        assert item["description_localizations"] == expected
        assert not item.get("name_localizations")
    assert described["cover"]["description_localizations"]["de"] == "Einen deiner Songs covern"
    menus = [command for command in registered if command["type"] != CHAT_INPUT]
    assert [menu["name"] for menu in menus] == ["Cover this track"]
    # It is read, not typed.
    expected = {locale: translate("Cover this track", locale) for locale in LANGUAGES}
    assert menus[0]["name_localizations"] == expected
    assert expected["de"] == "Diesen Song covern"


def _described(items: list[dict[str, Any]], above: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for item in items:
        path = f"{above}{item['name']}"
        yield path, item
        yield from _described(item.get("options") or [], f"{path} ")
