"""Secrets appear in nothing that leaves the program, whatever goes wrong on its wires."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from sandbox.music import compose
from tests.end_to_end.process import run_program
from tests.end_to_end.world import COVER, KEY, SONG, TOKEN, WEBHOOK_SECRET, eventually, open_world
from tests.hostile.leaks import PART, Places, forms, gather

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.end_to_end.world import Person, World

FILE_SECRET = "X-Amz-Signature-3b9c0f17e2d84a55"
PASSWORD = "hunter2-of-the-database-71"
ID = r"\d+"


def secrets_of(world: World) -> dict[str, str]:
    """Return every secret there is in a world, by name."""
    found = {"Discord token": TOKEN, "API key": KEY, "webhook secret": WEBHOOK_SECRET, "file URL": FILE_SECRET}
    for row in world.rows("SELECT id, token, media_key FROM tasks"):
        found[f"callback token of {row['id']}"] = row["token"]
        found[f"key of the files of {row['id']}"] = row["media_key"]
    for token, call in world.discord.state.calls_by_token.items():
        found[f"interaction token of {call.id}"] = token
    return found


@pytest.mark.parametrize("log_format", ["console", "json"])
async def test_no_secret_is_told_to_anybody(tmp_path: Path, log_format: str, show: Callable[[str], None]) -> None:
    settings: dict[str, Any] = {"LOG_LEVEL": "DEBUG", "LOG_FORMAT": log_format, "VIDGO_WEBHOOK_SECRET": WEBHOOK_SECRET}
    async with open_world(tmp_path, MEDIA_MAX_BYTES="2000000", **settings) as world:
        answers: list[tuple[int, str]] = []
        world.vidgo.seconds = 0.1
        world.vidgo.webhook_secret = WEBHOOK_SECRET
        await all_goes_well(world)
        await vidgo_fails(world)
        await files_are_bad(world)
        answers += await strangers_call(world)
        await the_database_fails(world)
        await discord_fails(world)
        for path in ("/metrics", "/readyz", "/healthz", "/nowhere"):
            answers.append(await world.get(path))
        places, secrets = gather(world, answers), secrets_of(world)
        show(f"{len(secrets)} secrets searched in {len(world.bot.log)} characters of log and {sorted(places.said)}")
        assert len(secrets) > 30
        assert places.holding(secrets) == []
        # The same search finds what is no secret in each of these places.
        task_id = world.rows("SELECT id FROM tasks WHERE model = ?", COVER)[0]["id"]
        known = {
            "log": task_id,
            "messages": "New artwork for",
            "files": "Goes_Well_Indeed",
            "requests to Discord": '"allowed_mentions"',
            "requests to VidGo": "prompt that is no secret",
            "answers": "coverbot_callbacks_total",
            "choices": "Goes Well Indeed · 0:02",
        }
        found = places.holding({f"what is in {place}": words for place, words in known.items()})
        assert {f"what is in {place} in {place}" for place in known} <= set(found)
        # All this was no idle talk: each wire has failed, the database too.
        assert "OperationalError" in world.bot.log
        assert all(json.loads(line) for line in world.bot.log_lines) if log_format == "json" else True
        # What is held of worlds in which nothing fails does not hold here; what faults may lead to is tested elsewhere.
        world.bot.log_lines.clear()
        world.channels.clear()
        world.discord.state.calls.clear()


async def all_goes_well(world: World) -> None:
    ada = world.person("ada")
    await ada.imports("Goes Well Indeed")
    await ada.type_track("Goes")
    assert (await ada.covered()).attachments
    made = await ada.use("music generate", prompt="a prompt that is no secret")
    await ada.result(made)


async def vidgo_fails(world: World) -> None:
    """Let VidGo answer in every bad way, and repeat what it was sent."""
    echo = {"code": 400, "error": {"message": f"Bearer {KEY} is no key, nor is {quote(KEY)}", "type": "x"}}
    faults: list[dict[str, Any]] = [
        {"kind": "status", "status": 500, "body": echo},
        {"kind": "status", "status": 400, "body": echo},
        {"kind": "status", "status": 422, "body": json.dumps(echo)},
        {"kind": "html", "body": f"<html>{KEY}</html>"},
        {"kind": "error_in_200", "body": echo},
        {"kind": "broken_json"},
        {"kind": "lose_answer_before"},
        {"kind": "lose_answer_after"},
        {"kind": "no_credits_429"},
    ]
    for fault in faults:
        ada = world.person("ada")
        world.vidgo.fault("submit", model=SONG, **fault)
        call = await ada.use("music generate", prompt="something")
        await call.reply(20)
        world.vidgo.fault("detail", **fault)
        await (await ada.use("music import", task_id="NEWSONG000000001")).reply(20)
        world.vidgo.clear_faults()
    ada = world.person("ada")
    await ada.imports("Without Key")
    world.vidgo.revoke_key()
    await ada.failure(await ada.cover())
    world.vidgo.revoked = False


async def files_are_bad(world: World) -> None:
    """Let result files lie at addresses that hold credentials, and be no files."""
    here = f"http://user:{FILE_SECRET}@127.0.0.1:{world.vidgo.port}/x.mp3?sig={FILE_SECRET}"
    there = f"http://127.0.0.1:9/x.mp3?sig={FILE_SECRET}"
    refused = ({"kind": "url", "location": here}, {"kind": "redirect", "location": here}, {"kind": "endless"})
    # What may still become a song is tried for as long as VidGo may have it.
    odd: tuple[dict[str, Any], ...] = (
        {"kind": "html"},
        {"kind": "disguised"},
        {"kind": "bytes", "data": compose("Broken", style="folk", seconds=1)[:100] + TOKEN.encode()},  # not one frame
        {"kind": "redirect", "location": there},
    )
    for rule in (*refused, *odd):
        ada = world.person("ada")
        song = world.vidgo.add_song("Bad File", variants=1)
        world.vidgo.set_song_files(task=song, **rule)
        await ada.brings_in(song)
        log = len(world.bot.log_lines)
        call = await ada.cover(song.id)
        if rule in odd:
            await world.bot.wait_log("its file comes later", after=log)
        else:
            await ada.result(call, 30)


async def strangers_call(world: World) -> list[tuple[int, str]]:
    """Post to a callback address in ways that no server likes; its token is in each of them."""
    ada = world.person("ada")
    song = await ada.imports("Rung At")
    world.vidgo.hold(COVER)
    call = await ada.cover()
    await call.reply()
    submission = await world.vidgo.wait_submission(lambda one: one.input == {"task_id": song.id})
    path = str(submission.callback_url).removeprefix(world.url)
    answers = []
    for data in (
        f"POST {path} HTTP/9.9\r\n\r\n",
        f"POST {path}\r\n\r\n",
        f"POST {path} HTTP/1.1\r\nX\x00{path}: {path}\r\n\r\n",
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {path}\r\n\r\n",
        f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{path}\r\n",
        f"POST {path} HTTP/1.1\r\nHost: x\r\nExpect: {path}\r\nContent-Length: 0\r\n\r\n",
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
        f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        f"POST {path}/{path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}",
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{{",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(world.url.rpartition(":")[2]))
        writer.write(data.encode())
        with contextlib.suppress(TimeoutError):
            answers.append((0, (await asyncio.wait_for(reader.read(4096), 1)).decode("latin-1")))
        writer.transport.abort()
    # What aiohttp quotes of a request that it cannot read goes back to him who sent it; that is no leak.
    quoting = ("HTTP/1.0 400", "HTTP/1.1 417")
    answers = [(status, text) for status, text in answers if not text.startswith(quoting)]
    world.vidgo.release(COVER)
    await ada.result(call)
    return answers


@contextlib.contextmanager
def without_table(world: World, table: str) -> Iterator[None]:
    """Take a table away, as nothing but a broken disk would."""
    connection = sqlite3.connect(world.bot.directory / "coverbot.db", timeout=20, isolation_level=None)
    try:
        connection.execute("PRAGMA legacy_alter_table = ON")
        connection.execute(f"ALTER TABLE {table} RENAME TO {table}_gone")
        yield
    finally:
        connection.execute(f"ALTER TABLE {table}_gone RENAME TO {table}")
        connection.close()


async def the_database_fails(world: World) -> None:
    """Let queries fail whose values are secrets, while members and VidGo ask for something."""
    ada = world.person("ada")
    await ada.imports("Not Stored")
    started = len(world.bot.log_lines)
    with without_table(world, "notifications"):
        await (await ada.cover()).reply(20)
        await world.bot.wait_log("OperationalError", after=started)
    with without_table(world, "tasks"):
        await (await ada.use("music generate", prompt="not stored either")).reply(20)
        status, _ = await world.get("/metrics")
        assert status == 200  # what is not known is left out
        async with world.http.post(world.url + "/callbacks/vidgo/" + "0" * 24 + "/x", json={}) as response:
            assert response.status == 503


async def discord_fails(world: World) -> None:
    """Let Discord fail at each step from the command to the post."""
    discord = world.discord
    messages, webhooks, callback = f"^/channels/{ID}/messages$", "^/webhooks/", "^/interactions/"
    breakages: list[Callable[[Person], object]] = [
        lambda _: discord.fail("POST", messages, 500, times=1),
        lambda _: discord.fail("POST", messages, 400, times=1),
        lambda _: discord.lose_answer("POST", messages),
        lambda _: discord.rate_limit("POST", messages, 0.2),
        lambda _: discord.fail("PATCH", webhooks, 500, times=1),
        lambda _: discord.rate_limit("PATCH", webhooks, 0.2),
        lambda _: discord.lose_answer("PATCH", webhooks),
        lambda _: discord.fail("POST", callback, 500, times=1),
        lambda _: discord.lose_answer("POST", callback, when="before"),
        lambda _: discord.drop_gateway(4000),
    ]
    for breakage in breakages:
        ada = world.person("ada")
        await ada.imports("Badly Told")
        breakage(ada)
        call = await ada.cover()
        await call.settled(20)
    ada = world.person("ada")
    await ada.imports("Shut Out")
    world.vidgo.hold(COVER)
    call = await ada.cover()
    await call.reply()
    ada.channel.bot_permissions = ada.channel.bot_permissions - {"send_messages", "view_channel"}
    world.vidgo.release(COVER)
    told = (
        "SELECT 1 FROM notifications JOIN tasks ON tasks.id = task_id WHERE title = 'Shut Out' AND state = 'delivered'"
    )
    await eventually(lambda: bool(world.rows(told)), 40)


def test_the_search_finds_every_form() -> None:
    secret = "s3cr3t/Value+of=Nobody_0123456789"
    for words in (
        secret,
        f"prefix{secret}suffix",
        f"cut {secret[:PART]}… off",
        f"the end: {secret[-PART:]}",
        f"https://host/?key={quote(secret, safe='')}",
        base64.b64encode(f"key={secret};".encode()).decode(),
        base64.b64encode(f"{secret}".encode()).decode(),
        secret.encode().hex(),
        repr({"key": secret}),
    ):
        places = Places()
        places.add("somewhere", words)
        assert places.holding({"it": secret}) == ["it in somewhere"], words
    places = Places()
    places.add("JSON", {"outer": [{"key": "ä" + secret}]})
    places.add("bytes", secret.encode())
    places.add("elsewhere", f"nothing but {secret[: PART - 1]} and nearly {secret[::-1]}")
    assert places.holding({"it": secret}) == ["it in JSON", "it in bytes"]
    assert all(len(form) >= PART for form in forms(KEY))


WRONG: list[dict[str, str]] = [
    {"DATABASE_URL": f"postgresql://coverbot:{PASSWORD}@127.0.0.1:9/coverbot"},
    {"DATABASE_URL": f"nonsense://coverbot:{PASSWORD}@127.0.0.1:9/coverbot"},
    {"PUBLIC_URL": f"https://owner:{PASSWORD}@cover.example"},
    {"VIDGO_API_KEY": f"{KEY} {PASSWORD}"},
    {"LISTEN_PORT": PASSWORD},
]
OUT_OF_REACH = {"DISCORD_API_URL": f"http://127.0.0.1:9/{PASSWORD}"}


@pytest.mark.parametrize(
    ("command", "changes"),
    # `run` would wait for Discord as long as it takes.
    [(command, wrong) for command in ("run", "check", "invite") for wrong in WRONG]
    + [("check", OUT_OF_REACH), ("invite", OUT_OF_REACH)],
)
async def test_no_secret_stands_in_an_error_of_the_start(tmp_path: Path, command: str, changes: dict[str, str]) -> None:
    settings = {
        "DISCORD_TOKEN": TOKEN,
        "VIDGO_API_KEY": KEY,
        "LOG_LEVEL": "DEBUG",
        "DISCORD_API_URL": "http://127.0.0.1:9",
    }
    ended = await run_program(tmp_path, {**settings, "VIDGO_API_URL": "http://127.0.0.1:9", **changes}, command)
    assert ended.code != 0
    places = Places()
    places.add("output", ended.out + ended.err)
    assert places.holding({"token": TOKEN, "key": KEY, "password": PASSWORD}) == []
    assert "Traceback" not in ended.err
