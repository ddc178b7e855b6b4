"""A version to come beside this one on one PostgreSQL: its tables have more, and covers go through both."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from sandbox.ports import reserved_port
from storage.database import Server
from storage.postgresql import opening
from tests.end_to_end.newer import HEAD, migrate
from tests.end_to_end.process import Bot, run_program
from tests.end_to_end.shell import rows
from tests.end_to_end.world import World, open_world
from tests.postgresql import shared_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Upgrade(World):
    """A world of this version, in which one to come is going to be started."""

    newer: Bot


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upgrade(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Upgrade]:
    url = await shared_server().new_database(migrated=False)
    older, newer = (tmp_path_factory.mktemp(name) for name in ("older", "newer"))
    settings: dict[str, Any] = {
        "DATABASE_URL": url,
        "POLL_MIN_SECONDS": "1",
        "POLL_MAX_SECONDS": "2",
        "SHARD_COUNT": "1",
    }
    with reserved_port() as port:
        async with open_world(
            older, **settings, PROCESS_NAME="older", ARCHIVE_DIR=str(older / "media"), SHARD_IDS="0"
        ) as world:
            world.__class__ = Upgrade
            assert isinstance(world, Upgrade)
            names = {"LISTEN_PORT": str(port), "PROCESS_NAME": "newer"}
            world.newer = Bot(newer, world.bot.settings | names, world.discord)
            world.newer.module = "tests.end_to_end.newer"
            try:
                yield world
                if world.newer.running:
                    await world.newer.stop()
            finally:
                await world.newer.kill()
    await shared_server().drop(url)


async def covers(upgrade: Upgrade, word: str) -> None:
    """Play covers for some members at once, each made and posted once."""
    people = [upgrade.person(f"{word}{number}") for number in range(4)]
    songs = await asyncio.gather(*(person.imports(f"Song of {person.member.name}") for person in people))
    posts = await asyncio.gather(*(person.covered() for person in people))
    assert all(post.attachments for post in posts)
    assert [upgrade.submitted(song) for song in songs] == [1] * len(songs)


async def test_tables_get_more_under_a_program_that_goes_on(upgrade: Upgrade, monkeypatch: pytest.MonkeyPatch) -> None:
    await covers(upgrade, "before")
    held = upgrade.person("waiting")
    song = await held.imports("Waiting Song")
    upgrade.vidgo.hold("generate-music-cover")
    call = await held.cover()
    await call.reply()
    lines = len(upgrade.bot.log_lines)
    monkeypatch.setattr(opening, "HEAD", HEAD)
    monkeypatch.setattr(opening, "_migrate", migrate)
    url = upgrade.bot.settings["DATABASE_URL"]
    ordering = asyncio.create_task(covers(upgrade, "meanwhile"))
    await opening.prepare(url, Server(process="newer", version="9"))
    upgrade.vidgo.release()
    await ordering
    assert (await held.result(call)).attachments
    assert upgrade.submitted(song) == 1
    await covers(upgrade, "after")
    assert upgrade.bot.errors(lines) == []


async def test_both_versions_work_side_by_side(upgrade: Upgrade) -> None:
    await upgrade.newer.launch()
    await upgrade.newer.wait_log("connected to Discord as")
    assert [row["name"] for row in await rows(upgrade, "SELECT name FROM processes ORDER BY name")] == [
        "newer",
        "older",
    ]
    await covers(upgrade, "beside")
    assert [row["urgency"] for row in await rows(upgrade, "SELECT DISTINCT urgency FROM notifications")] == [1]


async def test_the_older_one_goes_and_does_not_come_back(upgrade: Upgrade, tmp_path: Path) -> None:
    settings = upgrade.bot.settings | {"PUBLIC_URL": ""}
    await upgrade.bot.stop()
    await covers(upgrade, "later")
    ended = await run_program(tmp_path, settings, "run")
    assert ended.code == 2
    assert HEAD in ended.err or "newer" in ended.err
