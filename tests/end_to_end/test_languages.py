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
    described = list(_described([command for command in registered if command["type"] == CHAT_INPUT]))
    assert len(described) > 15
    for item in described:
        expected = {locale: translate(item["description"], locale) for locale in LANGUAGES}
        assert item["description_localizations"] == expected
        assert not item.get("name_localizations")
    assert {"Einen deiner Songs covern", "Ohne Gesang"} <= {
        item["description_localizations"]["de"] for item in described
    }
    menus = [command for command in registered if command["type"] != CHAT_INPUT]
    assert [menu["name"] for menu in menus] == ["Cover this track"]
    # It is read, not typed.
    expected = {locale: translate("Cover this track", locale) for locale in LANGUAGES}
    assert menus[0]["name_localizations"] == expected
    assert expected["de"] == "Diesen Song covern"


def _described(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for item in items:
        yield item
        yield from _described(item.get("options") or [])
