"""Discord tells no more than its documentation promises: every command is answered, and its cover posted once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from sandbox.discord.gateway import Gateway, Session
from sandbox.discord.rest import faults, requests
from sandbox.discord.state import payloads
from tests.end_to_end.world import open_world

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.end_to_end.world import Person, World

pytestmark = pytest.mark.asyncio(loop_scope="module")

Json = dict[str, Any]
UNKNOWN = {"of_tomorrow": {"a": [None]}}
NULLS = ("icon", "avatar", "banner", "topic", "parent_id", "nick", "premium_since", "description", "rtc_region")


def bare(told: Json, *names: str) -> Json:
    """Keep these keys of an object, beside what is null and what nobody knows yet."""
    return {name: told[name] for name in names if name in told} | dict.fromkeys(NULLS) | UNKNOWN


def bare_user(told: Json) -> Json:
    return bare(told, "id", "username")


def bare_file(told: Json) -> Json:
    return bare(told, "id", "filename", "size", "url", "proxy_url")


def bare_message(told: Json) -> Json:
    """Leave of a message what nobody could do without."""
    kept = bare(told, "id", "channel_id", "message_snapshots")
    files = [bare_file(one) for one in told.get("attachments", ())]
    return {**kept, "author": bare_user(told["author"]), "attachments": files, "embeds": told["embeds"], "poll": None}


def bare_interaction(told: Json) -> Json:
    """Leave of an interaction what nobody could do without."""
    kept = bare(told, "id", "application_id", "type", "token", "guild_id", "channel_id")
    place = {"id": told["channel"]["id"], "type": told["channel"]["type"]}
    whole = kept | {"data": told["data"], "channel": place, "entitlements": [{}], "locale": None}
    if "member" in told:
        return whole | {"member": {"user": bare_user(told["member"]["user"]), "nick": None, "roles": None}}
    return whole | {"user": bare_user(told["user"])}


def bare_callback(told: Json) -> Json:
    return {"interaction": bare(told["interaction"], "id", "type"), "resource": None}


async def covered(world: World, person: Person, *, times: int = 1) -> None:
    """Let somebody have a new song covered, and see that it is ordered and posted once."""
    lines = len(world.bot.log_lines)
    song = await person.imports(f"Bare {person.channel.name} {times}", seconds=1)
    assert (await person.covered()).attachments
    assert world.submitted(song) == 1
    assert sum(bool(message.attachments) for message in person.channel.messages) == times
    assert world.bot.errors(after=lines) == []


@pytest.mark.parametrize(
    ("name", "bare"),
    [("message", bare_message), ("interaction_create", bare_interaction), ("callback_response", bare_callback)],
)
async def test_what_is_told_in_part_keeps_no_member_waiting(
    calling: World, monkeypatch: pytest.MonkeyPatch, name: str, bare: Callable[[Json], Json]
) -> None:
    ada = calling.person("ada")
    whole: Callable[..., Json] = getattr(payloads, name)
    monkeypatch.setattr(payloads, name, lambda *subject, **options: bare(whole(*subject, **options)))
    await covered(calling, ada)


def events(guild: str, bot: str) -> list[tuple[str, Any]]:
    """Return what can be told of a server with the least that each event may hold."""
    server, nobody = {"guild_id": guild}, {"id": "5", "username": "nobody"}
    kinds = [0, 2, 4, 5, 10, 11, 12, 13, 14, 15, 16, 99]
    places = [{"id": str(700 + kind), "type": kind} | dict.fromkeys(NULLS) | UNKNOWN for kind in kinds]
    threads = [one for one in places if one["type"] in (10, 11, 12)]
    things = [{"id": "9"} | dict.fromkeys((*NULLS, "channel_id", "user", "member")) | UNKNOWN]
    names = ("emojis", "stickers", "voice_states", "presences", "stage_instances", "guild_scheduled_events")
    whole = {
        "id": guild,
        "name": "Harbour",
        "channels": places,
        "threads": threads,
        "unavailable": False,
        "roles": [{"id": guild, "permissions": str(1 << 62)}],
        "members": [{"user": {"id": bot}, "roles": None}],
        **dict.fromkeys((*names, "soundboard_sounds"), things),
    }
    message = {"id": "8", "channel_id": "700", **server}
    return [
        *(("GUILD_CREATE", whole), ("GUILD_UPDATE", whole), ("GUILD_UPDATE", {"id": guild, "roles": None})),
        *((f"CHANNEL_{what}", place | server) for what in ("CREATE", "UPDATE", "DELETE") for place in places),
        *((f"THREAD_{what}", place | server) for what in ("CREATE", "UPDATE", "DELETE") for place in threads),
        ("THREAD_LIST_SYNC", {**server, "threads": threads, "members": [{"id": "710"}], "channel_ids": None}),
        *(("THREAD_MEMBER_UPDATE", {**server, "id": "710"}), ("THREAD_MEMBERS_UPDATE", {**server, "id": "710"})),
        *((f"GUILD_ROLE_{what}", {**server, "role": {"id": "6"}, "role_id": "6"}) for what in ("CREATE", "UPDATE")),
        ("GUILD_ROLE_DELETE", {**server, "role_id": "6"}),
        *((f"GUILD_MEMBER_{what}", {**server, "user": nobody, "roles": []}) for what in ("ADD", "UPDATE", "REMOVE")),
        *((f"MESSAGE_{what}", message) for what in ("CREATE", "UPDATE", "DELETE")),
        *((f"ENTITLEMENT_{what}", {"id": "1", "sku_id": "2"}) for what in ("CREATE", "UPDATE", "DELETE")),
        *(("MESSAGE_DELETE_BULK", {"ids": ["8"], "channel_id": "700"}), ("VOICE_STATE_UPDATE", {"user_id": "5"})),
        *((name, things[0]) for name in ("STAGE_INSTANCE_CREATE", "USER_UPDATE", "TYPING_START", "OF_TOMORROW")),
        *(("PRESENCE_UPDATE", None), ("GUILD_EMOJIS_UPDATE", server), ("CHANNEL_PINS_UPDATE", server)),
    ]


async def test_what_is_told_of_a_server_may_be_as_little_as_can_be(calling: World) -> None:
    ada = calling.person("ada")
    lines = len(calling.bot.log_lines)
    [session] = calling.discord.gateway.current.values()
    for event, data in events(str(calling.guild.id), str(calling.discord.bot_id)):
        session.dispatch(event, data)
    await covered(calling, ada)
    assert calling.bot.errors(after=lines) == []


@pytest.mark.parametrize(
    ("headers", "kind", "is_silent"),
    [
        ({"X-RateLimit-Remaining": "0"}, "application/json", False),
        ({"X-RateLimit-Remaining": "", "X-RateLimit-Reset-After": "soon"}, "application/json", False),
        ({}, "application/json; charset=utf-8", False),
        ({}, "application/json", True),
    ],
)
async def test_answers_may_come_without_what_nobody_needs(
    calling: World, monkeypatch: pytest.MonkeyPatch, headers: Mapping[str, str], kind: str, is_silent: bool
) -> None:
    ada = calling.person("ada")
    whole = requests._json

    def told(status: int, body: Any, _told: Mapping[str, str]) -> web.Response:
        if is_silent and isinstance(body, dict) and "interaction" in body:
            return web.Response(status=204, headers={"Content-Type": kind})
        answer = whole(status, body, headers)
        answer.headers["Content-Type"] = kind
        return answer

    monkeypatch.setattr(requests, "_json", told)
    await covered(calling, ada)
    assert [one for one in calling.discord.refusals if one.code == 40060] == []


@pytest.mark.parametrize("told", [{"retry_after": None}, {"retry_after": "0.1"}, {}])
async def test_a_limit_may_be_told_of_without_a_number(
    calling: World, monkeypatch: pytest.MonkeyPatch, told: Json
) -> None:
    ada = calling.person("ada")
    headers = {"Via": "1.1 google", "Retry-After": "0.1"}
    monkeypatch.setattr(faults.Fault, "answer", lambda _fault: (429, {"message": "Slower.", **told}, headers))
    limits = [calling.discord.rate_limit("POST", where, 1) for where in (faults.POSTS, r"^/interactions/.*/callback$")]
    await covered(calling, ada)
    assert all(limit.over for limit in limits)


async def test_a_session_may_begin_with_as_little_as_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dispatch = Session.dispatch

    def dispatch_less(session: Session, event: str, data: Any) -> None:
        if event != "GUILD_CREATE":
            nothing: Any = None
            dispatch(session, event, nothing if event == "RESUMED" else data)

    ready = Gateway._ready
    monkeypatch.setattr(Session, "dispatch", dispatch_less)
    names = ("user", "session_id", "guilds")
    monkeypatch.setattr(Gateway, "_ready", lambda self, *about: bare(ready(self, *about), *names))
    monkeypatch.setattr(payloads, "own_user", lambda state: bare_user(payloads.user(state.bot)))
    monkeypatch.setattr(payloads, "application", lambda state: {"id": str(state.application_id), "owner": {"id": "5"}})
    async with open_world(tmp_path) as world:
        ada = world.person("ada")
        await covered(world, ada)
        for op, data in ((1, None), (77, {}), (7, None)):
            for session in world.discord.gateway.sessions:
                assert session.connection is not None
                session.connection.send_op(op, data)
        await world.discord.wait_until(lambda: world.discord.resumed == 1)
        await covered(world, ada, times=2)
        assert world.discord.identified == 1
