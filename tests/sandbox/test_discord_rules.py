"""What Discord would refuse is refused with its status and code, and noted as a violation."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from sandbox.discord import Call, DiscordStandIn
from sandbox.discord.rest.judge import Judge, find_description, normalise
from sandbox.discord.state.model import AUTOCOMPLETE, COMMAND
from tests.sandbox.discord_bot import furnish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sandbox.discord import Channel, Member

JUDGED = pytest.mark.skipif(find_description("auto") is None, reason="Discord's OpenAPI description is not here")


class Raw:
    """A client with nothing in between."""

    def __init__(self, standin: DiscordStandIn, session: aiohttp.ClientSession) -> None:
        [guild] = standin.state.guilds.values()
        self.standin = standin
        self.session = session
        self.channel: Channel = guild.channels[0]
        self.ada: Member = next(member for member in guild.members.values() if member.name == "ada")

    async def ask(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        if isinstance(body, aiohttp.FormData):
            options["data"] = body
        elif body is not None:
            options["json"] = body
        async with self.session.request(method, self.standin.api_url + path, **options) as answer:
            return answer.status, await answer.json(content_type=None)

    async def post(self, body: Any) -> tuple[int, Any]:
        return await self.ask("POST", f"/channels/{self.channel.id}/messages", body)

    def call(self, kind: int, data: dict[str, Any] | None = None) -> Call:
        command = {"id": "1", "name": "cover", "type": 1, "options": []}
        return Call(self.standin.state, kind, self.ada, self.channel, data or command)

    async def answer(self, call: Call, body: Any) -> tuple[int, Any]:
        return await self.ask("POST", f"/interactions/{call.id}/{call.token}/callback", body)


@pytest.fixture(params=["judged", "unjudged"])
async def raw(request: pytest.FixtureRequest) -> AsyncIterator[Raw]:
    openapi = "auto" if request.param == "judged" else None
    async with DiscordStandIn(token="T", openapi=openapi, rate_limits=False) as standin:
        furnish(standin)
        async with aiohttp.ClientSession(headers={"Authorization": "Bot T"}) as session:
            yield Raw(standin, session)


def form(payload: Any, *files: tuple[str, bytes]) -> aiohttp.FormData:
    data = aiohttp.FormData(quote_fields=False)
    data.add_field("payload_json", json.dumps(payload))
    for index, (name, content) in enumerate(files):
        data.add_field(f"files[{index}]", io.BytesIO(content), filename=name, content_type="application/octet-stream")
    return data


def button(**values: Any) -> dict[str, Any]:
    return {"type": 2, "style": 1, "label": "b", "custom_id": "id"} | values


def rows(*counts: int) -> list[dict[str, Any]]:
    return [
        {"type": 1, "components": [button(custom_id=f"{row}-{column}") for column in range(count)]}
        for row, count in enumerate(counts)
    ]


def menu(kind: int, **values: Any) -> dict[str, Any]:
    return {"type": kind, "custom_id": "menu"} | values


CHOICE = {"label": "l", "value": "v"}
EMBED_FIELD = {"name": "n", "value": "v"}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"content": "x" * 2001}, "content"),
        ({"embeds": [{"title": "x" * 257}]}, "title"),
        ({"embeds": [{"description": "x" * 4097}]}, "description"),
        ({"embeds": [{"title": "t", "fields": [EMBED_FIELD] * 26}]}, "fields"),
        ({"embeds": [{"fields": [{"name": "n", "value": "x" * 1025}]}]}, "value"),
        ({"embeds": [{"fields": [{"name": "n", "value": " "}]}]}, "value"),
        ({"embeds": [{"description": "x" * 4000}, {"description": "x" * 2001}]}, "embeds"),
        ({"embeds": [{"title": "t", "image": {"url": "attachment://cover.png"}}]}, "image"),
        ({"embeds": [{"title": "t", "image": {"url": "javascript:1"}}]}, "image"),
        ({"embeds": [{}]}, "embeds"),
        ({"content": "x", "components": rows(6)}, "components"),
        ({"content": "x", "components": rows(1, 1, 1, 1, 1, 1)}, "components"),
        ({"content": "x", "components": [{"type": 1, "components": [button(), button()]}]}, "components"),
        ({"content": "x", "components": [{"type": 1, "components": [button(label="x" * 81)]}]}, "label"),
        ({"content": "x", "components": [{"type": 1, "components": [button(custom_id="x" * 101)]}]}, "custom_id"),
        ({"content": "x", "components": [{"type": 1, "components": [button(style=5)]}]}, "url"),
        ({"content": "x", "components": [{"type": 1, "components": [button(custom_id=None)]}]}, "custom_id"),
        ({"content": "x", "flags": 1 << 15}, "content"),
        ({"content": "x", "components": [{"type": 10, "content": "text"}]}, "components"),
        ({"content": "x", "allowed_mentions": {"parse": ["users"], "users": ["1"]}}, "allowed_mentions"),
        ({"content": "x", "attachments": [{"id": 0, "filename": "a.mp3"}]}, "attachments"),
        ({"content": "x", "message_reference": {"message_id": "5"}}, "message_reference"),
        ({"flags": 1 << 15, "components": [{"type": 10, "content": "x"}] * 41}, "components"),
        ({"flags": 1 << 15, "components": [{"type": 10, "content": "x" * 2001}] * 2}, "components"),
        ({"components": [{"type": 1, "components": [menu(3, options=[])]}]}, "options"),
        ({"components": [{"type": 1, "components": [menu(3, options=[CHOICE] * 2)]}]}, "options"),
        ({"components": [{"type": 1, "components": [menu(8, max_values=26)]}]}, "max_values"),
    ],
)
async def test_wrong_messages(raw: Raw, body: dict[str, Any], named: str) -> None:
    status, answer = await raw.post(body)
    assert (status, answer["code"]) == (400, 50035)
    assert named in json.dumps(answer["errors"])
    assert raw.channel.messages == []
    [violation] = raw.standin.violations
    assert (violation.method, violation.body) == ("POST", body)
    assert named in violation.reason
    assert [refusal.code for refusal in raw.standin.refusals] == [50035]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, 50006),
        ({"content": ""}, 400, 50006),
        (form({"content": "x"}, *[(f"{number}.mp3", b"x") for number in range(11)]), 400, 30015),
        (form({"embeds": [{"title": "t", "image": {"url": "attachment://b.png"}}]}, ("a.png", b"x")), 400, 50035),
    ],
)
async def test_wrong_contents(raw: Raw, body: Any, status: int, code: int) -> None:
    got, answer = await raw.post(body)
    assert (got, answer["code"]) == (status, code)
    assert len(raw.standin.violations) == 1


async def test_too_large_a_file_is_a_refusal_but_no_violation(raw: Raw) -> None:
    status, answer = await raw.post(form({"content": "x"}, ("a.mp3", b"x" * (10 * 2**20 + 1))))
    assert (status, answer["code"]) == (413, 40005)
    assert [refusal.code for refusal in raw.standin.refusals] == [40005]
    assert raw.standin.violations == []


async def test_honest_messages_at_their_limits_pass(raw: Raw) -> None:
    bodies: list[Any] = [
        {"content": "x" * 2000},
        {"embeds": [{"title": "x" * 256, "description": "y" * 4096, "fields": [EMBED_FIELD] * 25}]},
        {"content": "x", "components": rows(5, 5, 5, 5, 5)},
        {"flags": 1 << 15, "components": [{"type": 10, "content": "text"}]},
        form(
            {
                "content": "x",
                "attachments": [{"id": 0, "description": "d"}],
                "embeds": [{"title": "t", "image": {"url": "attachment://a_b.png"}}],
            },
            ("a b.png", b"x"),
        ),
    ]
    for body in bodies:
        status, answer = await raw.post(body)
        assert status == 200, answer
    assert raw.standin.violations == []
    assert len(raw.channel.messages) == len(bodies)
    assert raw.standin.judged == (len(bodies) if raw.standin.judge else 0)


@JUDGED
async def test_only_the_description_knows() -> None:
    async with DiscordStandIn(token="T") as standin:
        furnish(standin)
        async with aiohttp.ClientSession(headers={"Authorization": "Bot T"}) as session:
            raw = Raw(standin, session)
            status, answer = await raw.post({"content": "x", "tts": "loud"})
            assert (status, answer["code"]) == (400, 50035)
            status, answer = await raw.post({"content": "x", "nonce": "x" * 26})
            assert (status, answer["code"]) == (400, 50035)
            assert [violation.reason.split(":")[0] for violation in standin.violations] == ["$.tts", "$.nonce"]


@JUDGED
async def test_judging_later_lets_pass_and_notes_afterwards() -> None:
    async with DiscordStandIn(token="T", judge="later") as standin:
        furnish(standin)
        async with aiohttp.ClientSession(headers={"Authorization": "Bot T"}) as session:
            raw = Raw(standin, session)
            status, _ = await raw.post({"content": "x", "tts": "loud"})
            assert status == 200
            assert (await raw.post({"content": "y"}))[0] == 200
            assert [violation.reason.split(":")[0] for violation in standin.violations] == ["$.tts"]
            assert standin.judged == 2
            assert len(standin.violations) == 1


def test_numbers_for_ids_are_the_only_thing_forgiven() -> None:
    body = {
        "attachments": [{"id": 0}],
        "message_reference": {"message_id": 5, "channel_id": 6},
        "allowed_mentions": {"users": [7]},
        "components": [{"type": 1, "components": [{"type": 8, "default_values": [{"id": 8, "type": "channel"}]}]}],
        "flags": 64,
    }
    assert normalise({"type": 4, "data": body}) == {
        "type": 4,
        "data": {
            "attachments": [{"id": "0"}],
            "message_reference": {"message_id": "5", "channel_id": "6"},
            "allowed_mentions": {"users": ["7"]},
            "components": [
                {"type": 1, "components": [{"type": 8, "default_values": [{"id": "8", "type": "channel"}]}]}
            ],
            "flags": 64,
        },
    }
    assert body["attachments"] == [{"id": 0}]


@JUDGED
def test_judge_knows_the_documented_bodies_only() -> None:
    description = find_description("auto")
    assert description is not None
    judge = Judge(description)
    template = "/interactions/{interaction_id}/{interaction_token}/callback"
    assert judge.request_error("POST", template, {"type": 5, "data": {"flags": 64}}) is None
    assert judge.request_error("POST", template, {"type": 77}) is not None
    assert judge.request_error("POST", "/nowhere", {"type": 77}) is None


COMMAND_LIST: dict[str, Any] = {"name": "cover", "description": "d", "type": 1}
OPTION = {"type": 3, "name": "track", "description": "d"}


@pytest.mark.parametrize(
    "commands",
    [
        [COMMAND_LIST | {"name": "Cover"}],
        [COMMAND_LIST | {"name": "co ver"}],
        [COMMAND_LIST | {"name": "x" * 33}],
        [COMMAND_LIST | {"description": ""}],
        [COMMAND_LIST | {"description": "x" * 101}],
        [COMMAND_LIST, COMMAND_LIST],
        [COMMAND_LIST | {"options": [OPTION, OPTION]}],
        [COMMAND_LIST | {"options": [OPTION | {"name": "Track"}]}],
        [COMMAND_LIST | {"options": [OPTION, OPTION | {"name": "b", "required": True}]}],
        [COMMAND_LIST | {"options": [OPTION | {"choices": [{"name": "a", "value": "a"}] * 26}]}],
        [COMMAND_LIST | {"name": f"c{number}"} for number in range(101)],
        [{"name": "Cover this track", "type": 3, "description": "d"}],
    ],
)
async def test_wrong_commands(raw: Raw, commands: Any) -> None:
    status, answer = await raw.ask("PUT", f"/applications/{raw.standin.bot_id}/commands", commands)
    assert (status, answer["code"]) == (400, 50035)
    assert len(raw.standin.violations) == 1
    assert not raw.standin.commands.synced


def modal(title: str = "t", label: str = "l", value: str = "v") -> dict[str, Any]:
    field = {"type": 4, "custom_id": "f", "style": 1, "max_length": 7, "value": value}
    return {"custom_id": "m", "title": title, "components": [{"type": 18, "label": label, "component": field}]}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (AUTOCOMPLETE, {"type": 8, "data": {"choices": [{"name": "n", "value": "v"}] * 26}}),
        (AUTOCOMPLETE, {"type": 8, "data": {"choices": [{"name": "x" * 101, "value": "v"}]}}),
        (AUTOCOMPLETE, {"type": 8, "data": {"choices": [{"name": "n", "value": "x" * 101}]}}),
        (AUTOCOMPLETE, {"type": 4, "data": {"content": "x"}}),
        (COMMAND, {"type": 8, "data": {"choices": []}}),
        (COMMAND, {"type": 7, "data": {"content": "x"}}),
        (COMMAND, {"type": 4, "data": {"content": "x" * 2001}}),
        (COMMAND, {"type": 9, "data": modal(title="x" * 46)}),
        (COMMAND, {"type": 9, "data": modal(label="x" * 46)}),
        (COMMAND, {"type": 9, "data": modal(value="x" * 8)}),
    ],
)
async def test_wrong_answers_to_interactions(raw: Raw, kind: int, body: Any) -> None:
    call = raw.call(kind)
    status, answer = await raw.answer(call, body)
    assert (status, answer["code"]) == (400, 50035)
    assert call.acknowledged_at is None
    assert len(raw.standin.violations) == 1


async def test_tokens_of_interactions(raw: Raw) -> None:
    call = raw.call(COMMAND)
    webhook = f"/webhooks/{raw.standin.bot_id}/{call.token}"
    assert (await raw.ask("POST", webhook, {"content": "x"}))[1]["code"] == 10015
    assert (await raw.ask("POST", f"/interactions/{call.id}/wrong/callback", {"type": 5}))[1]["code"] == 10062
    assert (await raw.answer(call, {"type": 5}))[0] == 204
    assert (await raw.answer(call, {"type": 5}))[1]["code"] == 40060
    assert (await raw.ask("GET", f"{webhook}/messages/@original"))[1]["flags"] == 128
    assert (await raw.ask("PATCH", f"{webhook}/messages/12", {"content": "x"}))[1]["code"] == 10008
    raw.standin.advance(901)
    status, answer = await raw.ask("PATCH", f"{webhook}/messages/@original", {"content": "x"})
    assert (status, answer["code"]) == (401, 50027)
    assert raw.standin.violations == []


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        ("GET", "/users/@me", {"Authorization": "Bot wrong"}, 401, 0),
        ("GET", "/nowhere", {}, 404, 0),
        ("GET", "/channels/1", {}, 404, 10003),
        ("GET", "/guilds/1", {}, 404, 10004),
        ("GET", "/users/1", {}, 404, 10013),
        ("GET", "/channels/nonsense", {}, 404, 10003),
    ],
)
async def test_unknown_things(
    raw: Raw, method: str, path: str, headers: dict[str, str], status: int, code: int
) -> None:
    got, answer = await raw.ask(method, path, headers=headers)
    assert (got, answer["code"]) == (status, code)
    assert raw.standin.requests[-1].status == status


async def test_broken_json_is_a_violation(raw: Raw) -> None:
    path = f"/channels/{raw.channel.id}/messages"
    status, answer = await raw.ask("POST", path, data=b"{", headers={"Content-Type": "application/json"})
    assert (status, answer["code"]) == (400, 50109)
    assert len(raw.standin.violations) == 1
