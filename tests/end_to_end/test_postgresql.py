"""The program on PostgreSQL: the same covers, and a server that may go and come back."""

from __future__ import annotations

import asyncio
import re
import signal
from typing import TYPE_CHECKING, Any

import asyncpg
import psutil
import pytest
import pytest_asyncio

from storage.postgresql.pool import ANSWER_SECONDS
from tests.end_to_end.process import run_program
from tests.end_to_end.shell import rows
from tests.end_to_end.world import World, eventually, open_world
from tests.postgresql import PASSWORD, PostgreSQL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """A server of this file's own, for it is going to be killed."""
    server = PostgreSQL()
    yield server
    server.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(server: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    url = await server.new_database(migrated=False)
    # What is called back while the server is gone is asked for soon.
    settings: dict[str, Any] = {"DATABASE_URL": url, "POLL_MIN_SECONDS": "1", "POLL_MAX_SECONDS": "2"}
    async with open_world(tmp_path_factory.mktemp("postgresql"), **settings) as world:
        yield world
        assert PASSWORD not in world.bot.log
    await server.drop(url)


async def newest(world: World) -> list[str]:
    """Return the state of the newest order."""
    return [row["state"] for row in await rows(world, "SELECT state FROM notifications ORDER BY id DESC LIMIT 1")]


async def delivered(world: World) -> bool:
    """Tell whether the newest order is noted as posted, which it is right after its post is seen."""
    return await newest(world) == ["delivered"]


async def waiting(world: World) -> bool:
    return await newest(world) == ["waiting"]


async def unready(world: World) -> bool:
    return (await world.get("/readyz"))[0] == 503


async def ready(world: World) -> bool:
    return (await world.get("/readyz"))[0] == 200


async def test_a_cover_comes_by_its_callback_and_everything_is_noted(world: World) -> None:
    anna = world.person("anna")
    song = await anna.imports("Sea", seconds=2)
    post = await anna.covered()
    assert [file.filename for file in post.attachments]
    assert world.submitted(song) == 1
    await eventually(lambda: delivered(world))
    assert [row["status"] for row in await rows(world, "SELECT status FROM tasks")] == ["finished"] * 2
    await eventually(lambda: ready(world))


async def test_everybody_who_asks_for_one_cover_at_the_same_moment_gets_it_and_it_is_ordered_once(
    world: World,
) -> None:
    people = [world.person(f"friend{number}") for number in range(8)]
    song = world.vidgo.add_song("River", tags="folk", seconds=2)
    await asyncio.gather(*(person.brings_in(song) for person in people))
    posts = await asyncio.gather(*(person.covered() for person in people))
    assert len(posts) == 8
    assert world.submitted(song) == 1
    assert "deadlock" not in world.bot.log


async def test_check_says_which_server_it_is_and_who_lives(world: World, tmp_path: Path) -> None:
    ended = await run_program(tmp_path, world.bot.settings, "check")
    [line] = [line for line in ended.out.splitlines() if "Database" in line]
    assert re.fullmatch(
        r"hint   Database: PostgreSQL \d+\S* .*can be read and written; processes that live: \S+ \(.+\); fsync is off, "
        r"so .*; autovacuum is off, so .*",
        line,
    )
    assert len(await rows(world, "SELECT id FROM processes")) == 1, "who only looks does not join"


async def test_a_server_that_is_killed_costs_only_time(world: World, server: PostgreSQL) -> None:
    anna = world.person("berta")
    song = await anna.imports("Storm", seconds=2)
    world.vidgo.seconds = 3.0
    call = await anna.cover(song.id)
    await eventually(lambda: waiting(world))
    lines = len(world.bot.log_lines)
    await asyncio.to_thread(server.stop, signal.SIGQUIT)
    await world.bot.wait_log("other processes cannot be heard", after=lines)
    await eventually(lambda: unready(world))
    for path in (f"/callbacks/vidgo/{'0' * 24}/token", f"/media/{'0' * 24}/0/1/signature/song.mp3"):
        method = "POST" if "callbacks" in path else "GET"
        async with world.http.request(method, world.url + path, json={}) as response:
            assert (response.status, await response.json()) == (503, {"message": "try again later"})
    await asyncio.to_thread(server.start)
    world.vidgo.seconds = 0.3
    post = await anna.result(call, 60)
    assert post.attachments
    assert world.submitted(song) == 1
    await eventually(lambda: ready(world))


async def test_a_server_that_is_silent_is_named_while_somebody_still_waits_for_the_answer(
    world: World, server: PostgreSQL
) -> None:
    started = psutil.Process(server.pid)
    for process in (everybody := [started, *started.children(recursive=True)]):
        process.suspend()
    try:
        async with asyncio.timeout(ANSWER_SECONDS / 2):
            looks = await asyncio.gather(*(world.get("/readyz") for _ in range(9)))  # more than there are connections
    finally:
        for process in everybody:
            process.resume()
    assert {status for status, _ in looks} == {503}
    assert all("does not answer" in body for _, body in looks)
    await eventually(lambda: ready(world))


async def test_a_start_after_a_death_finds_everything(world: World) -> None:
    clara = world.person("clara")
    await clara.imports("Wind", seconds=2)
    call = await clara.cover()
    await eventually(lambda: waiting(world))
    await world.bot.kill()
    await world.bot.start()
    assert (await clara.result(call)).attachments


async def test_a_server_that_will_not_do_is_named_without_its_password(server: PostgreSQL, tmp_path: Path) -> None:
    good = await server.new_database()
    wrong = {
        good.replace(PASSWORD, "not-the-password-7a"): "the server refuses the user or the password",
        server.url("nowhere"): "the server has no database of that name",
        f"postgresql://coverbot:{PASSWORD}@127.0.0.1:1/x": "the server cannot be reached",
    }
    for url, words in wrong.items():
        settings = {"DISCORD_TOKEN": "a.b.c", "VIDGO_API_KEY": "abc", "DATABASE_URL": url}
        ended = await run_program(tmp_path, settings, "run")
        assert (ended.code, len(ended.lines)) == (2, 1), ended.err
        assert "DATABASE_URL: the database" in ended.err
        assert words in ended.err
        assert PASSWORD not in ended.err
        assert "not-the-password" not in ended.err


async def test_an_export_makes_no_tables(server: PostgreSQL, tmp_path: Path) -> None:
    empty = await server.new_database(migrated=False)
    ended = await run_program(tmp_path, {"DATABASE_URL": empty}, "export", "123")
    assert (ended.code, len(ended.lines)) == (1, 1), ended.err
    assert "is empty: no Coverbot has run on it" in ended.err
    assert PASSWORD not in ended.err
    connection = await asyncpg.connect(empty)
    assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    await connection.close()
