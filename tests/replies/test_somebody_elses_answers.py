"""Answers that are not Discord's, though they say that all is well, and requests that are broken off."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from discord.http import Route

from bot.gateway import rest
from sandbox.discord.rest.faults import FOLLOW_UPS, POSTS
from tests.end_to_end.world import COVER
from tests.tasks.room import open_room

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.discord.rest.faults import When
    from tests.end_to_end.world import Person
    from tests.tasks.room import Room


def results(person: Person) -> int:
    return sum(bool(message.files) for message in person.channel.messages)


async def covered(room: Room, person: Person) -> None:
    """Let somebody have a song covered, and wait for the post."""
    before = results(person)
    await person.imports(f"Song {before}", seconds=1, variants=1)
    await (await person.cover()).reply()
    await room.pass_until(lambda: results(person) > before)
    await room.settle()


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_page_in_the_place_of_the_answer_to_a_post_is_a_lost_answer(tmp_path: Path, when: When) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        fault = room.discord.garble("POST", POSTS, times=2, when=when)
        await covered(room, ada)
        assert fault.struck
        assert results(ada) == 1
        await room.pass_until(lambda: room.rows("SELECT 1 FROM notifications WHERE state = 'delivered'"))


async def test_json_of_another_form_in_the_place_of_the_answer_to_a_post_is_a_lost_answer(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        faults = [room.discord.garble("POST", POSTS, body=body) for body in ("{}", '{"id": "5"}')]
        await covered(room, ada)
        assert not faults[1].struck  # the post was looked for, and found
        await covered(room, ada)
        assert all(fault.over for fault in faults)
        await room.pass_until(lambda: len(room.rows("SELECT 1 FROM notifications WHERE state = 'delivered'")) == 2)
        assert results(ada) == 2


MESSAGE = {"id": "5", "channel_id": "6", "content": "", "type": 0}
MESSAGES, FOLLOW_UP = "/channels/{channel_id}/messages", "/webhooks/{webhook_id}/{webhook_token}"


@pytest.mark.parametrize("wrong", [{}, [], None, "ok", 5, [{}], {"id": 5}, {**MESSAGE, "id": "x"}, {"message": "ok"}])
@pytest.mark.parametrize(
    ("method", "path", "right"),
    [
        ("POST", MESSAGES, MESSAGE),
        ("GET", MESSAGES, [MESSAGE]),
        ("GET", f"{MESSAGES}/{{message_id}}", MESSAGE),
        ("PATCH", f"{MESSAGES}/{{message_id}}", MESSAGE),
        ("POST", FOLLOW_UP, MESSAGE),
        ("GET", f"{FOLLOW_UP}/messages/{{message_id}}", MESSAGE),
        ("PATCH", f"{FOLLOW_UP}/messages/@original", MESSAGE),
        ("POST", "/users/@me/channels", {"id": "5"}),
        ("POST", "/interactions/{webhook_id}/{webhook_token}/callback", {"interaction": {"id": "5", "type": 2}}),
    ],
)
async def test_what_discord_py_would_stumble_over_is_no_answer(method: str, path: str, right: Any, wrong: Any) -> None:
    answers = iter([right, wrong])

    class Http:
        async def request(self, _route: Route) -> Any:
            return next(answers)

    http: Any = Http()
    rest.guard(http)
    route = Route(method, path)
    answer = await http.request(route)
    told, whole = (right, answer) if isinstance(right, list) else ([right], [answer])
    for sent, read in zip(told, whole, strict=True):
        assert {name: read[name] for name in sent} == sent  # as it was told, whatever was completed beside it
    if wrong == [] and isinstance(right, list):
        assert await http.request(route) == wrong
        return
    with pytest.raises(rest.UnreadableError):
        await http.request(route)


async def test_a_page_in_the_place_of_the_answer_to_a_private_sentence_is_a_lost_answer(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        await ada.imports("Low Water", seconds=1, variants=1)
        room.vidgo.set_failure(COVER, "no")
        fault = room.discord.garble("POST", FOLLOW_UPS, when="before")
        call = await ada.cover()
        await room.pass_until(lambda: [one for one in call.followups if one.ephemeral])
        assert fault.over


async def test_a_limit_that_a_broken_off_request_was_told_of_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "LONGEST_WAIT_SECONDS", 3.0)
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        await covered(room, ada)
        limit = room.discord.rate_limit("GET", r"^/channels/\d+/messages/\d+$", 2, global_=True)
        again = await ada.cover()
        assert "Here it comes again" in (await again.reply()).content  # nobody waited for the look at the post
        assert limit.over
        await room.until(lambda: results(ada) == 2)


async def test_a_gate_opens_at_the_latest_of_all_the_moments_it_was_closed_until() -> None:
    gate = rest.Gate()
    gate.close(0.3)
    gate.close(0.1)
    began = asyncio.get_running_loop().time()
    await gate.wait()
    assert asyncio.get_running_loop().time() - began >= 0.29
    gate.close(60)
    gate.set()
    assert gate.is_set()
